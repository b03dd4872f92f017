"""Caps on connections."""

import pytest
from structlog.testing import capture_logs

from shared.runtime.web.connection_limits import ConnectionLimiter


class Fake:
    """A connection that remembers whether it was dropped."""

    def __init__(self, *, idle: bool = True) -> None:
        self.idle = idle
        self.dropped = False

    def is_idle(self) -> bool:
        """Say what the test says."""
        return self.idle

    def drop(self) -> None:
        """Remember it."""
        self.dropped = True


def test_the_longest_unused_idle_connection_makes_room() -> None:
    connections = ConnectionLimiter(3, 3)
    busy, used, idle, new = Fake(idle=False), Fake(), Fake(), Fake()
    assert all(connections.admit(one, "a") for one in (busy, used, idle))
    connections.mark_used(used)
    assert connections.admit(new, "a")
    assert [one.dropped for one in (busy, used, idle, new)] == [False, False, True, False]


@pytest.mark.parametrize(("address", "is_admitted"), [("a", False), ("b", True)])
def test_the_cap_of_an_address_holds_back_no_other(address: str, is_admitted: bool) -> None:
    connections = ConnectionLimiter(3, 2)
    assert all(connections.admit(Fake(idle=False), "a") for _ in range(2))
    assert connections.admit(Fake(), address) == is_admitted


def test_closed_connections_are_logged_with_the_limit_once_in_a_while() -> None:
    """Their clients see only that the connection ends."""
    connections = ConnectionLimiter(3, 1)
    connections.admit(Fake(idle=False), "a")
    with capture_logs() as lines:
        assert not any(connections.admit(Fake(), "a") for _ in range(3))
    (line,) = lines
    assert (line["address"], line["open_of_address"], line["limit_per_address"]) == ("a", 1, 1)


def test_what_has_gone_makes_room() -> None:
    connections = ConnectionLimiter(1, 1)
    first, second = Fake(idle=False), Fake()
    assert connections.admit(first, "a")
    assert not connections.admit(second, "a")
    connections.remove(second)
    connections.remove(first)
    assert connections.admit(second, "a")
