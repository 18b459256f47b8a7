"""Compares a candidate export with the requests that were served."""
