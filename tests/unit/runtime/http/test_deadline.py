"""A connection that ends at a deadline."""

import socket
import time

import pytest

from shared.runtime.http.dial import DeadlineSocket


def test_until_the_deadline_it_reads_and_writes_as_a_socket_does() -> None:
    here, there = socket.socketpair()
    with here, there:
        stream = DeadlineSocket(here, time.monotonic() + 10).makefile(mode="rwb")
        stream.write(b"ping\n")
        stream.flush()
        assert there.recv(100) == b"ping\n"
        there.sendall(b"pong\n")
        assert stream.readline() == b"pong\n"
        assert here.fileno() >= 0


def test_past_the_deadline_even_what_is_there_is_not_read() -> None:
    here, there = socket.socketpair()
    with here, there:
        there.sendall(b"late\n")
        stream = DeadlineSocket(here, time.monotonic() - 1).makefile()
        with pytest.raises(TimeoutError):
            stream.readline()


def test_a_silent_end_is_left_at_the_deadline() -> None:
    here, there = socket.socketpair()
    with here, there, pytest.raises(TimeoutError):
        DeadlineSocket(here, time.monotonic() + 0.1).makefile().read(1)
