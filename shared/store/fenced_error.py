"""FencedError: raised when another process has taken over a part; also used without a database."""


class FencedError(RuntimeError):
    """Another process has taken this part over: this one must stop and write nothing."""
