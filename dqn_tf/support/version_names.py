"""Names of version directories, as TensorFlow Serving reads them.

dqn_tf.serving knows nothing of the house, and has the same rule in version_policy.py.
"""

LARGEST_VERSION = 2**63 - 1
MOST_DIGITS = 40  # a number may begin with zeros


def version_of(name: str) -> int | None:
    """Return the version in a directory of this name; None if no server takes it for one."""
    if not (name.isascii() and name.isdecimal() and len(name) <= MOST_DIGITS):
        return None
    number = int(name)
    return number if number <= LARGEST_VERSION else None
