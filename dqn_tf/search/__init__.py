"""Search for settings: trials of several seeds on Optuna, and an honest test of the winner."""
