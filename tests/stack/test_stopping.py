"""The whole stack stops cleanly and comes back with what it knew."""

from tests.stack.compose import ComposeStack, wait_until
from tests.stack.receivers import WebhookServer
from tests.stack.test_containers import PARTS
from tests.stack.test_path import performance


def test_every_part_stops_cleanly_and_open_alerts_survive(stack: ComposeStack) -> None:
    bot = "lasting-bot"
    stack.publish(performance(bot, 40.0))
    [before] = wait_until(lambda: stack.alerts(bot))
    stack.compose("stop", "--timeout", "10")
    codes = {name: container["State"]["ExitCode"] for name, container in stack.containers().items()}
    stack.start()
    assert {name: codes[name] for name in PARTS} == dict.fromkeys(PARTS, 0)
    [after] = wait_until(lambda: stack.alerts(bot))
    assert after["id"] == before["id"]
    stack.publish(performance(bot, 1.0))
    wait_until(lambda: not stack.alerts(bot))


def test_of_a_notifier_that_is_stopped_people_hear_without_it(
    stack: ComposeStack, webhook: WebhookServer
) -> None:
    before = len(webhook.of("botwatch"))

    def told() -> list[str]:
        return [
            body["change"]
            for body in webhook.of("botwatch")[before:]
            if "Notifier is down" in body["message"]
        ]

    # Of a part that has not been seen to live since the start, nobody knows whether it is just coming up.
    for _ in range(2):
        latest = heard(stack)
        wait_until(lambda latest=latest: heard(stack) != latest)  # type: ignore[misc]
    stack.compose("stop", "--timeout", "10", "notifier")
    wait_until(lambda: told() == ["opened"], timeout_s=30)
    stack.start()
    wait_until(lambda: told() == ["opened", "resolved"], timeout_s=60)


def heard(stack: ComposeStack) -> str | None:
    """Return when the watchdog's beat came through last."""
    _, answer = stack.request("DASHBOARD", "/api/monitoring")
    at: str | None = answer["system"]["watchdog"]["heardAt"]
    return at


def test_what_redis_keeps_survives_its_restart(stack: ComposeStack) -> None:
    def last_seen() -> str | None:
        _, bots = stack.request("DASHBOARD", "/api/monitoring/bots")
        found: list[str] = [bot["lastSeen"] for bot in bots if bot["bot"] == "kept-bot"]
        return found[0] if found else None

    stack.publish(performance("kept-bot", 1.0))
    before = wait_until(last_seen)
    # The file is replayed as the default user: what that one may not do is dropped.
    stack.compose("restart", "redis")
    wait_until(lambda: stack.healthy("redis"))
    assert wait_until(last_seen) == before
