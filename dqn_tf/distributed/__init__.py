"""Steps taken by workers in other processes and on other machines, on Ray."""
