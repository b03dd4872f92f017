"""Restarts, counted from what a service manager tells."""

from services.collector.checks.base import RestartCounter


def seen(*looks: tuple[str, int]) -> int:
    restarts = RestartCounter()
    return [restarts.update(*look) for look in looks][-1]


def test_the_first_look_counts_nothing() -> None:
    assert seen(("noon", 7)) == 0


def test_a_managers_count_that_grows_is_as_many_restarts() -> None:
    assert seen(("noon", 7), ("later", 10)) == 3


def test_a_restart_by_hand_is_one_though_the_managers_count_begins_anew() -> None:
    assert seen(("noon", 7), ("later", 0)) == 1


def test_a_restart_that_is_seen_twice_is_one() -> None:
    assert seen(("noon", 0), ("noon", 1), ("later", 1)) == 1
