"""The same loss and gradient as TF-Agents."""
