"""The applications: agents that learn them, beside supervised learning, rules and the optimum."""
