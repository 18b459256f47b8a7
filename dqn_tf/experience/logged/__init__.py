"""Episodes that somebody logged: where they are read from, checked and described. NumPy only."""
