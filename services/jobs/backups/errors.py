"""Why a backup or a restore is refused.

BackupError           it cannot be done; the message is one sentence that says what to do
  DamagedBackupError  the archive is not what its manifest says
"""


class BackupError(Exception):
    """A backup or a restore that cannot be done; the message is one sentence."""


class DamagedBackupError(BackupError):
    """An archive that cannot be read, or is not what its manifest says."""
