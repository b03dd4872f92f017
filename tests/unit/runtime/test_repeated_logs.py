"""A line that recurs with every request."""

from shared.runtime.repeated_logs import RepeatedLog


def test_a_line_is_logged_once_in_ten_seconds_with_the_number_left_out() -> None:
    """The first one at once; the next says how many there were in between."""
    now_s = 100.0
    line = RepeatedLog(now_s=lambda: now_s)
    assert line.count() == 0
    now_s = 109.9
    assert [line.count(), line.count()] == [None, None]
    now_s = 110.0
    assert line.count() == 2
    now_s = 130.0
    assert line.count() == 0
