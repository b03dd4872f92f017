"""The chain of the audit log: what is done to it without the key is found, the first bad entry named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.store.audit_chain import (
    PRUNE,
    ROTATE,
    AuditRow,
    ChainFault,
    ChainHead,
    ChainReport,
    ChainVerifier,
    entry_mac,
    key_id,
    make_head,
    older_mac,
)

KEY, NEXT_KEY = b"k" * 32, b"n" * 32
OLDER, LENGTH = 2, 9


def make_row(number: int, action: str, after: str | None = None) -> AuditRow:
    return AuditRow(
        number, f"2026-11-28 12:00:00.{number:03}", action, "a", "ann", None, None, after, "ok", 1, None, None
    )


def chained(rows: list[AuditRow], key: bytes = KEY, previous: str = "") -> list[AuditRow]:
    """Return `rows` with MACs, the first after an entry with the MAC `previous`."""
    found = []
    for row in rows:
        named = replace(row, key_id=key_id(key))
        found.append(replace(named, mac=entry_mac(key, previous, named)))
        previous = found[-1].mac or ""
    return found


OLD_ROWS = [make_row(number, "bot.forget") for number in range(1, OLDER + 1)]
ROWS = OLD_ROWS + chained(
    [make_row(number, "user.add", f'{{"n":{number}}}') for number in range(OLDER + 1, LENGTH + 1)],
    previous=older_mac(KEY, OLD_ROWS),
)
HEAD = make_head(KEY, LENGTH, ROWS[-1].mac or "")


def verify(rows: list[AuditRow], head: ChainHead | None = HEAD) -> ChainReport:
    return ChainVerifier([KEY]).verify(rows, head)


def fault_of(rows: list[AuditRow], head: ChainHead | None = HEAD) -> ChainFault:
    fault = verify(rows, head).fault
    assert fault is not None
    return fault


def test_intact() -> None:
    """An untouched chain is right, also with a head that fell behind at a crash."""
    for row in (ROWS[-1], ROWS[-3]):
        report = verify(ROWS, make_head(KEY, row.id, row.mac or ""))
        assert (report.fault, report.entries, report.older) == (None, LENGTH - OLDER, OLDER)
    assert verify(ROWS, make_head(KEY, 0, "")).fault is None


@given(
    st.integers(0, LENGTH - 1),
    st.sampled_from([name for name in AuditRow.__struct_fields__ if name not in ("id", "count")]),
    st.text(max_size=20),
)
def test_any_change_of_a_text(index: int, field: str, text: str) -> None:
    """A change of any field is found at that row; of older rows, which share a MAC, at one of them."""
    changed = replace(ROWS[index], **{field: text})
    if changed != ROWS[index]:
        named = fault_of([*ROWS[:index], changed, *ROWS[index + 1 :]]).id
        assert named == ROWS[index].id if index > OLDER else named <= OLDER + 1


@given(st.integers(0, LENGTH - 1), st.integers(1, 5))
def test_any_change_of_a_number(index: int, added: int) -> None:
    """A changed count or ID is found."""
    for field in ("count", "id"):
        changed = replace(ROWS[index], **{field: getattr(ROWS[index], field) + added})
        assert verify([*ROWS[:index], changed, *ROWS[index + 1 :]]).fault


@given(st.integers(0, LENGTH - 1), st.integers(1, LENGTH))
def test_any_removal(start: int, number: int) -> None:
    """A removed range is found, at its first entry where that is chained, also at the end."""
    fault = fault_of(ROWS[:start] + ROWS[start + number :])
    if start > OLDER:
        assert fault.id == start + 1


@given(st.integers(0, LENGTH - 1), st.integers(0, LENGTH - 1), st.booleans())
def test_any_swap(one: int, other: int, renumbered: bool) -> None:
    """Two entries that change places are found, also if they exchange their IDs and times."""
    if one != other:
        rows = list(ROWS)
        rows[one], rows[other] = ROWS[other], ROWS[one]
        if renumbered:
            for index in (one, other):
                rows[index] = replace(rows[index], id=ROWS[index].id, timestamp=ROWS[index].timestamp)
        if (rows != ROWS and not max(one, other) < OLDER) or renumbered:
            assert verify(rows).fault or rows == ROWS


@given(st.integers(0, LENGTH), st.booleans(), st.booleans())
def test_any_insertion(index: int, has_mac: bool, renumbered: bool) -> None:
    """An inserted entry is found, without a MAC or with a copied one, also if those after it move up."""
    copied = ROWS[index - 1] if has_mac and index else make_row(0, "user.add")
    inserted = replace(copied, id=index + 1)
    later = [replace(row, id=row.id + 1) for row in ROWS[index:]] if renumbered else ROWS[index:]
    assert verify([*ROWS[:index], inserted, *later]).fault


@given(st.integers(OLDER + 1, LENGTH - 1))
def test_truncated_and_continued(length: int) -> None:
    """Entries removed at the end stay found after others were appended in their place."""
    cut = ROWS[:length]
    added = [make_row(number, "user.remove") for number in range(length + 1, LENGTH + 3)]
    assert fault_of(cut + chained(added, previous=cut[-1].mac or "")).id == LENGTH


def test_head() -> None:
    """Without a head, or with one that was made without the key, entries at the end may be missing."""
    assert "missing or unreadable" in fault_of(ROWS, None).problem
    forged = make_head(b"guess", 5, ROWS[4].mac or "")
    assert "head file was changed" in fault_of(ROWS[:5], forged).problem
    assert fault_of([], HEAD) == (1, f"is missing (removed at the end: 1 to {LENGTH})")


def test_rotated() -> None:
    """After a rotation the old key verifies the older entries, and is refused for later ones."""
    last = ROWS[-1]
    rotate = chained([make_row(10, ROTATE, f'{{"keyId":"{key_id(NEXT_KEY)}"}}')], KEY, last.mac or "")
    new = chained([make_row(11, "user.add")], NEXT_KEY, rotate[0].mac or "")
    forged = chained([make_row(11, "user.add")], KEY, rotate[0].mac or "")
    verifier = ChainVerifier([KEY, NEXT_KEY])
    assert verifier.verify(ROWS + rotate + new, make_head(NEXT_KEY, 11, new[0].mac or "")).fault is None
    fault = ChainVerifier([KEY, NEXT_KEY]).verify(ROWS + rotate + forged, HEAD).fault
    assert fault
    assert (fault.id, key_id(NEXT_KEY) in fault.problem) == (11, True)
    lost = ChainVerifier([NEXT_KEY]).verify(ROWS + rotate + new, HEAD).fault
    assert lost
    assert "not in the key file" in lost.problem


@pytest.mark.parametrize(("rows", "bad"), [(slice(5, None), None), (slice(6, None), 6), (slice(4, None), 5)])
def test_pruned(rows: slice, bad: int | None) -> None:
    """A range that was pruned is no fault; one entry more that is missing, or is put back, is one."""
    sealed = ROWS[4]
    after = f'{{"last":5,"mac":"{sealed.mac}","keyId":"{sealed.key_id}"}}'
    prune = chained([make_row(10, PRUNE, after)], previous=ROWS[-1].mac or "")
    head = make_head(KEY, 10, prune[0].mac or "")
    fault = ChainVerifier([KEY], prune[0]).verify(ROWS[rows] + prune, head).fault
    assert (fault.id if fault else None) == bad
