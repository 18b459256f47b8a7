"""A proof that loss and gradient are those of TF-Agents."""
