"""Where experience meets learning: an engine runs one block after another."""
