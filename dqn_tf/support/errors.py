"""The one exception that a user is meant to read."""


class UserError(Exception):
    """A sentence that names the flag, file or value at fault and says what would be right.

    The commands print it as one line and exit with status 1; `--verbose` adds the traceback.
    """
