"""File modes: only the user may read Botwatch's files, and the group if parts share it."""

import os
from pathlib import Path

UMASK = 0o027
"""Natively: the user writes, the group reads."""
SHARED_UMASK = 0o007
"""For a folder that parts of several users share by their group: the group writes too."""


def restrict_umask() -> None:
    """Make new files of this process no more readable than UMASK, whatever it was started with."""
    os.umask(os.umask(0o777) | UMASK)


def restrict_modes(folder: Path, umask: int, *, secret: bool = False) -> None:
    """Apply `umask` to every file and folder below `folder`; `secret` removes all rights of the group, too.

    With SHARED_UMASK the group gets the owner's rights, and new files the folder's group. Links are not
    followed, and files of other users are not changed.
    """
    for path in (folder, *folder.rglob("*")):
        try:
            found = path.lstat()
        except FileNotFoundError:
            continue
        is_folder = path.is_dir()
        if path.is_symlink() or found.st_uid != os.geteuid() or not (is_folder or path.is_file()):
            continue
        mode = found.st_mode & 0o7777 & ~(0o077 if secret else umask)
        if umask == SHARED_UMASK and not secret:
            mode |= (mode & 0o700) >> 3 | (0o2000 if is_folder else 0)
        if mode != found.st_mode & 0o7777:
            path.chmod(mode)


def write_private(path: Path, text: str, mode: int = 0o600) -> None:
    """Write `text` to `path` atomically; at no time is it more readable than `mode`."""
    written = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        os.fchmod(handle, mode)
        file.write(text)
        file.flush()
        os.fsync(handle)
    written.replace(path)
