"""Ingest tokens: which token allows which records."""

import pytest

from services.ingestion.config import IngestionSettings
from services.ingestion.ingest_tokens import UNRESTRICTED, IngestTokens, denial
from shared.access import bearer_tokens
from shared.access.identity import Identity
from shared.runtime.environment import load_settings
from shared.schema.faults import InvalidError
from shared.schema.records import AnyRecord, Check, Equity, Health, Performance

ALL, SCALPER, DESK, COLLECTOR = (letter * 16 for letter in "ABCD")
HOST_RECORDS: list[AnyRecord] = [
    Health(host="box"),
    Check(host="box", check="binance", type="exchange", status="ok"),
]
COMPUTED = Performance(bot="scalper-1", source="computed", max_drawdown=0.0)


def sender(token: str, **environ: str) -> Identity | None:
    """Return who shows a token, where these are set."""
    return IngestTokens(load_settings(IngestionSettings, environ)).identity_of(
        bearer_tokens.authorization_header(token)
    )


def may_write(found: Identity | None, record: AnyRecord) -> bool:
    """Say whether a sender may write a record."""
    return found is not None and denial(found, record) is None


@pytest.mark.parametrize(
    ("token", "bots"),
    [
        (ALL, {"scalper-1", "desk/a=b", "other"}),
        (SCALPER, {"scalper-1"}),
        (f"{DESK}==", {"desk/a=b", "other"}),
        (COLLECTOR, set()),
    ],
)
def test_bots(token: str, bots: set[str]) -> None:
    """A token writes the bots that it is for: names or globs, by comma or line, several of one token."""
    entries = f"{SCALPER}=scalper-1, {DESK}===desk/*\n\n{DESK}===other\n"
    found = sender(token, INGEST_TOKEN=ALL, INGEST_TOKENS=entries, COLLECTOR_TOKEN=COLLECTOR)
    known = {"scalper-1", "scalper-10", "Scalper-1", "desk/a=b", "other"}
    allowed = {bot for bot in known if may_write(found, Equity(bot=bot, equity=1.0))}
    assert allowed == (known if token == ALL else bots)


@pytest.mark.parametrize(
    ("token", "environ", "is_allowed"),
    [
        (COLLECTOR, {"COLLECTOR_TOKEN": COLLECTOR}, True),
        (COLLECTOR, {"COLLECTOR_TOKEN": COLLECTOR, "INGEST_TOKEN": ALL}, True),
        (ALL, {"COLLECTOR_TOKEN": COLLECTOR, "INGEST_TOKEN": ALL}, False),
        (ALL, {"INGEST_TOKEN": ALL}, True),
        (SCALPER, {"INGEST_TOKENS": f"{SCALPER}=*"}, False),
        ("", {}, False),
    ],
)
def test_hosts(token: str, environ: dict[str, str], is_allowed: bool) -> None:
    """Host records need COLLECTOR_TOKEN, or INGEST_TOKEN while there is none."""
    found = sender(token, **environ)
    assert [may_write(found, record) for record in HOST_RECORDS] == [is_allowed] * 2


@pytest.mark.parametrize(
    ("bots", "hosts"), [(("scalper-*",), ()), (("*",), ("*",)), ((), ("*",)), (UNRESTRICTED.bots, ())]
)
def test_computed_figures(bots: tuple[str, ...], hosts: tuple[str, ...]) -> None:
    """Nobody may write computed figures."""
    identity = Identity("token:any", "token", frozenset(("ingest",)), bots, hosts=hosts)
    assert "source: `computed` is reserved" in str(denial(identity, COMPUTED))


@pytest.mark.parametrize("environ", [{"INGEST_TOKENS": f"{SCALPER}=*"}, {"COLLECTOR_TOKEN": COLLECTOR}])
def test_strangers(environ: dict[str, str]) -> None:
    """Any token that is set closes the endpoint to whoever shows none."""
    senders = IngestTokens(load_settings(IngestionSettings, environ))
    assert senders.identity_of(None) is None
    assert senders.identity_of(bearer_tokens.authorization_header(ALL)) is None


@pytest.mark.parametrize(
    ("environ", "fault"),
    [
        ({"INGEST_TOKENS": f"{SCALPER}=a,{DESK}"}, "INGEST_TOKENS: entry 2: expected TOKEN=BOT"),
        ({"INGEST_TOKENS": "short=a"}, "INGEST_TOKENS: entry 1: expected TOKEN=BOT"),
        ({"INGEST_TOKENS": f"{DESK}="}, "INGEST_TOKENS: entry 1: expected TOKEN=BOT"),
        ({"INGEST_TOKENS": " , "}, "INGEST_TOKENS: expected at least one TOKEN=BOT"),
        ({"INGEST_TOKENS": f"{ALL}=a", "INGEST_TOKEN": ALL}, "entry 1: expected a different token than"),
        ({"COLLECTOR_TOKEN": ALL, "INGEST_TOKEN": ALL}, "COLLECTOR_TOKEN: expected a different token than"),
        ({"COLLECTOR_TOKEN": "short"}, "COLLECTOR_TOKEN: expected at least 16 letters, digits and"),
    ],
)
def test_wrong_tokens(environ: dict[str, str], fault: str) -> None:
    """Settings that make no sense are refused by their place, without the token."""
    with pytest.raises(InvalidError) as refused:
        sender(ALL, **environ)
    assert fault in str(refused.value)
    assert not any(token in str(refused.value) for token in (ALL, SCALPER, DESK))
