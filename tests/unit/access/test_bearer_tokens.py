"""What counts as showing the token."""

import pytest

from shared.access import bearer_tokens
from shared.access.bearer_tokens import Token
from shared.runtime.environment import load_settings
from shared.runtime.settings import PartSettings
from shared.schema.faults import InvalidError

TOKEN = "3f5a9c0d7e1b2468"


class Door(PartSettings, frozen=True, kw_only=True):
    """Settings with a token."""

    ingest_token: Token


@pytest.mark.parametrize(
    "given", [bearer_tokens.authorization_header(TOKEN), f"bearer {TOKEN}", f"BEARER  {TOKEN} "]
)
def test_the_token_fits_whatever_the_case_of_its_scheme(given: str) -> None:
    assert bearer_tokens.digest_from_header(given) == bearer_tokens.digest(TOKEN)


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "Bearer",
        TOKEN,
        f"Basic {TOKEN}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        "Bearer \udcff",
    ],
)
def test_nothing_else_fits(given: str | None) -> None:
    assert bearer_tokens.digest_from_header(given) != bearer_tokens.digest(TOKEN)


@pytest.mark.parametrize("token", ["short", "with a space in it and long", "line\nfeed-line-feed-"])
def test_a_weak_or_malformed_token_is_rejected_without_showing_it(token: str) -> None:
    with pytest.raises(InvalidError) as refused:
        load_settings(Door, {"INGEST_TOKEN": token})
    assert "INGEST_TOKEN" in str(refused.value.faults[0])
    assert token not in str(refused.value.faults[0])
