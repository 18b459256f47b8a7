"""Served requests, put to a candidate."""
