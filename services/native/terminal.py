"""What `botwatch up` prints: where everything is, and alerts as they change."""

from collections.abc import Mapping
from functools import partial
from typing import cast

import msgspec
from redis import Redis

from shared.runtime.redis.decoding import decode_open_alerts, decode_or_none
from shared.runtime.redis.record_log import StreamEntry, StreamReply
from shared.schema import redis_keys
from shared.schema.alerts import Alert, AlertMessage
from shared.schema.terminal_escaping import escape_controls
from shared.schema.watchdog import WATCHDOG


def greeting(addresses: Mapping[str, str], took_s: float, *, demo: bool) -> str:
    """Return what is printed once all parts run: `addresses` is name → where it is."""
    bot = "a demo bot trades EUR/USD, replayed" if demo else "waiting for your bot"
    lines = "\n".join(f"  {name:<15} {address}" for name, address in addresses.items())
    return f"Botwatch is up ({took_s:.1f} s); {bot}.\n\n{lines}\n\nCtrl-C stops it. Alerts:"


class AlertPrinter:
    """Prints the open alerts once, then every change."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._last_entry = ""
        """ID of the last entry of the alert stream that was printed; empty before the open alerts were."""

    def print_new(self) -> None:
        """Print what has changed since the last call; wait up to 0.5 s for it. Raises RedisError."""
        if not self._last_entry:
            self._print_open()
            return
        reply = self._redis.xread({redis_keys.ALERTS: self._last_entry}, count=100, block=500)
        for entry, fields in (one for _, found in cast("StreamReply", reply) for one in found):
            self._last_entry = entry.decode()
            message = decode_or_none(redis_keys.ALERTS, partial(_decode_message, fields))
            if message and message.change != "updated":
                print(alert_line(message.change, message.alert), flush=True)

    def _print_open(self) -> None:
        # The end of the stream is read first: an alert that opens in between is printed twice, not missed.
        newest = cast("list[StreamEntry]", self._redis.xrevrange(redis_keys.ALERTS, count=1))
        found = cast("list[bytes]", self._redis.hvals(redis_keys.ALERTS_OPEN))
        for alert in sorted(decode_open_alerts(found), key=lambda alert: alert.timestamp):
            if alert.id != WATCHDOG:
                print(alert_line("open", alert), flush=True)
        self._last_entry = newest[0][0].decode() if newest else "0-0"


def _decode_message(fields: dict[bytes, bytes]) -> AlertMessage:
    return msgspec.json.decode(fields[redis_keys.FIELD], type=AlertMessage)


def alert_line(change: str, alert: Alert) -> str:
    """Return one line on a change of an alert: time, change, severity, component and message."""
    seen = alert.details
    time = alert.updated_at.astimezone().strftime("%H:%M:%S")
    text = f"{alert.component}: {alert.message}"
    if seen.limit_text and not (seen.value_text in text and seen.limit_text in text):
        text += f" ({seen.measure} {seen.value_text}, limit {seen.operator} {seen.limit_text})"
    return f"{time}  {change:<12} {alert.severity:<8} {escape_controls(text)}"
