"""The configuration: every setting's default, unit, range and source, in one place."""
