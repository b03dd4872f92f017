"""The error of a process whose part another one has taken over; parts without a database raise it too."""


class FencedError(RuntimeError):
    """Another process has taken this part over: this one must stop and write nothing."""
