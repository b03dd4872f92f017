"""Restarts, counted from what a service manager tells at each look. Pure."""


class RestartCounter:
    """Counts since the first look.

    A manager's own count leaves out the restarts that people make and begins anew with them; beginnings that
    lie between two looks are seen as one. Each counts too few at times and never too many: the larger holds.
    """

    def __init__(self) -> None:
        self._last: tuple[str, int] | None = None
        self._begun = 0
        self._counted = 0

    def update(self, began: str, counted: int) -> int:
        """Take in when it began, in the manager's words, and the manager's count; return all so far."""
        if self._last is not None:
            self._begun += began != self._last[0]
            self._counted += max(counted - self._last[1], 0)
        self._last = (began, counted)
        return max(self._begun, self._counted)
