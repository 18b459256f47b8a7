"""The speed of the embedded server."""
