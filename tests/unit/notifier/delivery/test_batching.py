"""Which deliveries go in one message, and in which order messages are sent."""

import msgspec

from services.notifier.delivery.worker import split_into_messages
from shared.schema.alerts import Change
from shared.store.deliveries import Delivery
from tests.unit.notifier.fake_receivers import NOON, make_notice


def delivery(number: int, alert: str, change: Change = "opened", *, attempts: int = 0) -> Delivery:
    return Delivery(
        id=number,
        channel="hook",
        notice=make_notice(change, alert=alert),
        attempts=attempts,
        created_at=NOON,
        event_id=number,
        batch="all",
    )


def test_what_failed_comes_last_and_what_is_newer_of_the_same_alert_after_it() -> None:
    claimed = [delivery(1, "a1", attempts=3), delivery(2, "a2"), delivery(3, "a1", "resolved")]
    sent = split_into_messages(claimed, bundles=False, is_digest=False)
    assert [[one.id for one in parcel] for parcel in sent] == [[2], [1], [3]]


def test_a_digest_is_one_message_only_for_transports_that_take_several() -> None:
    claimed = [msgspec.structs.replace(delivery(number, f"a{number}"), batch=None) for number in (1, 2)]
    assert split_into_messages(claimed, bundles=True, is_digest=True) == [claimed]
    assert split_into_messages(claimed, bundles=False, is_digest=True) == [[claimed[0]], [claimed[1]]]
