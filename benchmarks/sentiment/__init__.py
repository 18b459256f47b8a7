"""One-step sentiment: where supervised learning is simply right, and DQN needs more labels."""
