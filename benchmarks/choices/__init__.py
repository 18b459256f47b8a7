"""Choices told as texts beside numbered ones: new answers after training, titles in any order."""
