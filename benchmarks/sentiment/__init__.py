"""One-step sentiment, where supervised learning is simply right: DQN at equal labels."""
