"""Wakes: at most one waits, none is lost, and nothing in Redis names code that would run."""

import ast

from redis import Redis

from shared.runtime.redis.wake import wait_for_wake, wake
from shared.runtime.settings import REPOSITORY
from shared.schema import redis_keys


def test_a_wake_is_taken_once(redis: Redis) -> None:
    """A wake is taken by the next who waits, and leaves nothing in Redis."""
    wake(redis)
    assert wait_for_wake(redis)
    assert not redis.keys("*")


def test_wakes_that_wait_are_one(redis: Redis) -> None:
    """However often the evaluator wakes an absent notifier, one wake waits."""
    for _ in range(3):
        wake(redis)
    assert redis.llen(redis_keys.WAKE) == 1


def test_no_wake_comes_back_soon(redis: Redis) -> None:
    """Without a wake the wait ends by itself."""
    assert not wait_for_wake(redis)


def test_no_part_runs_what_redis_names() -> None:
    """No part imports pickle or the like, and only `jobs`, which runs registered names alone, imports RQ."""
    unsafe = {"pickle", "marshal", "shelve", "dill"}
    jobs = REPOSITORY / "services" / "jobs"
    for path in (*REPOSITORY.glob("shared/**/*.py"), *REPOSITORY.glob("services/**/*.py")):
        risky = unsafe if jobs in path.parents else unsafe | {"rq"}
        source = path.read_text(encoding="utf-8")
        if not any(name in source for name in risky):
            continue  # parsing all takes seconds
        for node in ast.walk(ast.parse(source)):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            assert not risky & {name.partition(".")[0] for name in names}, path
