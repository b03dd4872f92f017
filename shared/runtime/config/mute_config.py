"""Mute config: maintenance windows and inhibitions from `notifications.yml`."""

from zoneinfo import ZoneInfo

from shared.runtime.config.documents import Documents
from shared.runtime.config.notifications import InhibitSection, MaintenanceSection
from shared.schema.cron import validate_cron
from shared.schema.durations import to_timedelta
from shared.schema.faults import Fault, InvalidError
from shared.schema.muting import (
    Inhibition,
    MaintenanceWindow,
    MuteConfig,
    OneOffSchedule,
    RecurringSchedule,
    WindowSpan,
)
from shared.schema.patterns import parse_match
from shared.schema.timestamps import EARLIEST


def parse_mute_config(documents: Documents) -> MuteConfig:
    """Return the maintenance windows and inhibitions; InvalidError lists every invalid cron expression."""
    faults: list[Fault] = []
    windows = []
    for index, section in enumerate(documents.notifications.maintenance):
        try:
            windows.append(MaintenanceWindow(section.name, parse_match(section.match), _when(section)))
        except ValueError as error:
            place = f"notifications.yml: $.maintenance[{index}].cron"
            faults.append(Fault(place, f"expected a cron expression such as `0 2 * * 6`: {error}"))
    if faults:
        raise InvalidError(faults)
    return MuteConfig(tuple(windows), tuple(map(_inhibition, documents.notifications.inhibit)))


def _when(section: MaintenanceSection) -> RecurringSchedule | OneOffSchedule:
    if section.cron is None or section.duration is None:
        return OneOffSchedule(WindowSpan(section.from_ or EARLIEST, section.until or EARLIEST))
    validate_cron(section.cron)
    length = to_timedelta(section.duration)
    return RecurringSchedule(section.cron, length, ZoneInfo(section.time_zone))


def _inhibition(section: InhibitSection) -> Inhibition:
    return Inhibition(parse_match(section.source), parse_match(section.target), tuple(section.equal))
