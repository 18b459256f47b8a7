"""The formats beside the SavedModel: each is a function that writes one file into a version's directory."""

MAKERS = {}
