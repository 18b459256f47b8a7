"""Q-values over the next token of a frozen language model: what they add to its replies."""
