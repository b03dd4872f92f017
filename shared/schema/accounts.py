"""Accounts: what a bot's latest records say of its account. Pure."""

from collections.abc import Iterable

from shared.schema.records import AnyRecord, Equity, Performance


def account_currency(records: Iterable[AnyRecord]) -> str | None:
    """Return the currency of a bot's account, as its latest records have it: the computed one first."""
    found: dict[str, str | None] = {}
    for record in records:
        if isinstance(record, Performance):
            found[record.source] = record.currency
        elif isinstance(record, Equity):
            found["equity"] = record.currency
    return found.get("computed") or found.get("equity") or found.get("reported")
