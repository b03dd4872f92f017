"""Alertmanager's webhook bodies, as a receiver gets them."""

from datetime import timedelta

import msgspec

from services.notifier.channels.alertmanager import AlertmanagerTransport, webhook_payload
from shared.runtime.config.routes import Route, group_key
from shared.schema.alerts import Notice, alert_links
from shared.schema.fingerprints import fingerprint_of
from tests.unit.notifier.fake_receivers import (
    NOON,
    WebhookReceiver,
    alert_of,
    make_external_notice,
    make_message,
    make_notice,
)


def on(bot: str, rule: str = "slippage", **further: object) -> Notice:
    """Return a notice about a bot's rule."""
    known = make_notice().details
    links = {"alert": f"http://watch/base/#{bot}-{rule}", "runbook": "http://watch/runbooks/slippage"}
    details = msgspec.structs.replace(
        known, bot=bot, rule=rule, links=links, labels={"desk": "fx", "empty": ""}
    )
    return make_notice(alert=f"{bot}-{rule}", component=bot, details=details, **further)  # type: ignore[arg-type]


def test_a_receiver_gets_version_four(receiver: WebhookReceiver) -> None:
    transport = AlertmanagerTransport("ops", receiver.url, "whsec")
    transport.send(make_message(on("a")))
    labels = {
        "alertname": "slippage", "bot": "a", "category": "PERFORMANCE", "component": "a", "desk": "fx",
        "metric": "maxDrawdown", "severity": "HIGH",
    }  # fmt: skip
    annotations = {
        "summary": "Maximum drawdown exceeded 20%",
        "description": "a: Maximum drawdown exceeded 20% (Drawdown max 21.3%, limit > 20%)",
        "runbook_url": "http://watch/runbooks/slippage",
    }
    lasting = {name: labels[name] for name in ("alertname", "bot", "component", "desk")}
    fingerprint = fingerprint_of(lasting)
    assert receiver.bodies == [
        {
            "version": "4",
            "groupKey": f'{{}}:{{fingerprint="{fingerprint}"}}',
            "truncatedAlerts": 0,
            "status": "firing",
            "receiver": "ops",
            "groupLabels": {"alertname": "slippage"},
            "commonLabels": labels,
            "commonAnnotations": annotations,
            "externalURL": "http://watch/base",
            "alerts": [
                {
                    "status": "firing",
                    "labels": labels,
                    "annotations": annotations,
                    "startsAt": "2026-01-31T12:00:00.000Z",
                    "endsAt": "0001-01-01T00:00:00Z",
                    "generatorURL": "http://watch/base/#a-slippage",
                    "fingerprint": fingerprint,
                }
            ],
        }
    ]
    assert "botwatch-signature" in receiver.headers[0]
    assert transport.last_response() == "200 OK: ok"


def test_a_group_has_each_alert_once_and_what_they_have_in_common() -> None:
    at = NOON + timedelta(minutes=5)
    ended = on("b", change="resolved", resolved_at=at)
    body = webhook_payload(make_message(on("a"), on("b"), ended, group="night/{}"), "ops")
    assert [alert["status"] for alert in body["alerts"]] == ["firing", "resolved"]
    assert body["alerts"][1]["endsAt"] == "2026-01-31T12:05:00.000Z"
    assert body["status"] == "firing"
    assert body["groupKey"] == "night/{}"
    assert body["groupLabels"] == {}
    assert "bot" not in body["commonLabels"]
    assert body["commonLabels"]["desk"] == "fx"
    assert set(body["commonAnnotations"]) == {"summary", "runbook_url"}


def test_a_group_is_resolved_when_all_of_it_is() -> None:
    ended = [on(bot, change="resolved", resolved_at=NOON) for bot in "ab"]
    assert webhook_payload(make_message(*ended), "ops")["status"] == "resolved"


def test_group_labels_are_those_that_the_route_groups_by() -> None:
    route = Route(
        name="night", notify=("ops",), policy=None, group_by=("rule", "desk"),
        group_wait=timedelta(0), group_interval=timedelta(0), repeat={}, quiet=None,
    )  # fmt: skip
    notices = [on("a"), on("b")]
    key = group_key(route, notices[0])
    assert webhook_payload(make_message(*notices, group=key), "ops")["groupLabels"] == {
        "alertname": "slippage",
        "desk": "fx",
    }


def test_an_alert_without_a_page_is_told_too() -> None:
    bare = msgspec.structs.replace(make_notice().details, links={})
    body = webhook_payload(make_message(make_notice(details=bare)), "ops")
    assert body["externalURL"] == body["alerts"][0]["generatorURL"] == ""
    assert "runbook_url" not in body["alerts"][0]["annotations"]


def test_an_alert_that_is_raised_is_the_same_alert() -> None:
    """What opened as HIGH is resolved by the same fingerprint, by which receivers know it."""
    story = (
        on("a"),
        on("a", change="raised", severity="CRITICAL"),
        on("a", change="resolved", severity="LOW"),
    )
    bodies = [webhook_payload(make_message(told), "ops") for told in story]
    assert len({body["alerts"][0]["fingerprint"] for body in bodies}) == 1
    assert len({body["groupKey"] for body in bodies}) == 1
    assert [body["commonLabels"]["severity"] for body in bodies] == ["HIGH", "CRITICAL", "LOW"]
    assert webhook_payload(make_message(on("b")), "ops")["groupKey"] != bodies[0]["groupKey"]


def test_the_external_url_is_the_page() -> None:
    """It is what the link to an alert, as notices have it, begins with."""
    links = alert_links(alert_of(make_notice()), "http://watch/base")
    told = make_notice(details=msgspec.structs.replace(make_notice().details, links=links))
    assert webhook_payload(make_message(told), "ops")["externalURL"] == "http://watch/base"


def test_an_external_alert_is_passed_on_as_it_was_posted() -> None:
    """Labels, annotations, start and source; so a receiver sees what it would see of Alertmanager."""
    notice = make_external_notice()
    labels = {"alertname": "DiskFull", "severity": "critical", "instance": "db1:9100"}
    payload = webhook_payload(make_message(notice), "ops")
    assert payload["alerts"] == [
        {
            "status": "firing",
            "labels": labels,
            "annotations": {"summary": "Disk full", "description": "97% of /data are used."},
            "startsAt": "2026-01-31T11:00:00.000Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "https://prometheus.example/graph",
            "fingerprint": fingerprint_of(labels),
        }
    ]
