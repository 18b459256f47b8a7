"""The page of the agents that come with the project."""
