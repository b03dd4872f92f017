"""Group append: concurrent requests share an entry of the log, as in a database's group commit."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import NamedTuple

from shared.runtime.redis.record_log import RecordLog, TooManyBotsError
from shared.schema.records import AnyRecord

MAX_RECORDS = 5_000
"""Limit of the records in an entry that several requests share."""


class _Waiting(NamedTuple):
    records: Sequence[AnyRecord]
    entry: asyncio.Future[str]


class GroupAppend:
    """Appends to the log from an event loop: what arrives while an append is under way is the next entry."""

    def __init__(self, record_log: RecordLog, source: str) -> None:
        self._log = record_log
        self._source = source
        self._waiting: list[_Waiting] = []
        self._appending: asyncio.Task[None] | None = None
        # It makes its thread when it is first used: in a worker, after the fork.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="append")

    async def append(self, records: Sequence[AnyRecord]) -> str:
        """Append `records`, and return the ID of their entry once it is in the log.

        Raises what `RecordLog.append` raises; TooManyBotsError only for what these records themselves cause.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(records, loop.create_future())
        self._waiting.append(waiting)
        if self._appending is None:
            self._appending = loop.create_task(self._append_waiting(loop))
        return await waiting.entry

    async def _append_waiting(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._waiting:
            group = self._take()
            try:
                entry: str | Exception = await loop.run_in_executor(self._thread, self._append, group)
            except TooManyBotsError as error:
                if len(group) > 1:
                    await self._append_each(loop, group)
                    continue
                entry = error
            except Exception as error:  # noqa: BLE001 - each request answers it
                entry = error
            for one in group:
                _finish(one, entry)
        self._appending = None

    def _take(self) -> list[_Waiting]:
        """Take the next group, at least one request."""
        taken = records = 0
        while taken < len(self._waiting) and (not taken or records < MAX_RECORDS):
            records += len(self._waiting[taken].records)
            taken += 1
        group, self._waiting = self._waiting[:taken], self._waiting[taken:]
        return group

    async def _append_each(self, loop: asyncio.AbstractEventLoop, group: Sequence[_Waiting]) -> None:
        """Append each request by itself: a bot too many concerns only who sends it."""
        for one in group:
            try:
                entry: str | Exception = await loop.run_in_executor(self._thread, self._append, [one])
            except Exception as error:  # noqa: BLE001 - the request answers it
                entry = error
            _finish(one, entry)

    def _append(self, group: Sequence[_Waiting]) -> str:
        records = (
            group[0].records if len(group) == 1 else list(chain.from_iterable(one.records for one in group))
        )
        return self._log.append(records, self._source, until_written=True)


def _finish(waiting: _Waiting, entry: str | Exception) -> None:
    if waiting.entry.done():
        return  # the client has gone
    if isinstance(entry, Exception):
        waiting.entry.set_exception(entry)
    else:
        waiting.entry.set_result(entry)
