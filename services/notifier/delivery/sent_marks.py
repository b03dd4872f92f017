"""Sent marks: what was sent is marked in the outbox; in a backlog, several messages in one transaction.

A notifier that is killed sends again what is sent and not marked: at most `MAX_UNMARKED` messages per worker.
"""

import threading
from collections import deque
from collections.abc import Sequence
from datetime import datetime

from services.notifier.delivery.channel_state import ChannelState
from shared.store import deliveries as store
from shared.store.database import Database
from shared.store.deliveries import Delivery, SentDelivery

BACKLOG = 10
"""Marks gather while a worker has claimed at least so many messages; else each is marked before the next."""
MAX_UNMARKED = 20
"""Maximum number of messages of one worker that are sent and not marked."""


class SentMarks:
    """What one worker has sent and is not marked yet; only that worker calls `add`."""

    def __init__(self, channel: ChannelState, database: Database) -> None:
        self._channel = channel
        self._database = database
        self._unmarked: deque[Sequence[SentDelivery]] = deque()
        """The messages, oldest first, until their mark is committed."""
        self._flushing = threading.Lock()

    def add(self, batch: Sequence[Delivery], now: datetime, response: str) -> int:
        """Add a message that was sent; return how many are not marked."""
        self._unmarked.append([SentDelivery(delivery, now, response) for delivery in batch])
        return len(self._unmarked)

    def flush(self) -> bool:
        """Mark all in one transaction; return whether the worker has sent more meanwhile.

        Raises SQLAlchemyError; then the next call tries again.
        """
        with self._flushing:  # what another thread is marking is marked, too, when this returns
            messages = self._unmarked.copy()
            if not messages:
                return False
            sent = [one for message in messages for one in message]
            with self._database.write() as connection:
                store.mark_sent(connection, sent)
                self._channel.resolve_channel_alert(connection, sent[-1].at)
            for _ in messages:
                self._unmarked.popleft()
        self._channel.count_sent(sent)
        return bool(self._unmarked)
