"""What train.py makes of environments that it has no preset for, beside what is best there."""
