"""What each part of learning to write walks is worth, over four graphs."""
