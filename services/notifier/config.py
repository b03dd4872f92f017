"""Settings of the watchdog."""

from typing import Annotated

import msgspec

from shared.runtime.settings import PartSettings


class WatchdogSettings(PartSettings, frozen=True, kw_only=True):
    """Settings of the watchdog."""

    backup_max_age_hours: Annotated[int, msgspec.Meta(ge=1, le=8760)] = 36
    """An alert opens when the newest verified backup is older."""
