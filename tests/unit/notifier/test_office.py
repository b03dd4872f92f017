"""The office: channels that come and go while the notifier runs."""

from collections.abc import Iterator

import pytest
from redis import Redis
from sqlalchemy.exc import OperationalError

from services.notifier.office import Office
from services.notifier.standing import Post
from shared.runtime.announce import Announcer
from shared.store.database import Database
from tests.support import wait_for
from tests.unit.notifier.config import documents
from tests.unit.notifier.receivers import FakeContent, Receiver, notice, put


@pytest.fixture
def office(database: Database, redis: Redis) -> Iterator[Office]:
    """Run an office without a channel of a user's."""
    post = Post(database, "here", lambda: 0.0, "http://page", lambda _: None)
    office = Office(documents(), lambda _: FakeContent(), post, Announcer(redis, database))
    office.start()
    yield office
    office.close()


@pytest.mark.integration
def test_a_store_that_is_locked_during_a_reload_leaves_no_channel_unserved(
    office: Office, database: Database, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*_: object) -> None:
        raise OperationalError("UPDATE", {}, Exception("database is locked"))

    added = documents(f"channels: {{ desk: {{ url: '{receiver.url}' }} }}")
    with monkeypatch.context() as patch:
        patch.setattr(office.dispatcher, "abandon", locked)
        with pytest.raises(OperationalError):
            office.rearrange(added, lambda _: FakeContent())
    office.rearrange(added, lambda _: FakeContent())
    put(database, "desk", notice())
    wait_for(lambda: receiver.taken)
