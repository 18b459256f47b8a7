"""The Q-network: encode, torso, head."""
