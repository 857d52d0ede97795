"""One verification of an instance at a time on this machine: two would write each other's password."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance.engines.base import Report
from appliance.errors import ApplianceError, Locked

PATIENCE = 180.0  # seconds: longer than a full suite takes


@contextmanager
def alone(instance: str, report: Report) -> Iterator[None]:
    """Holds the lock of an instance; waits for another verification first. Raises Locked when that does not end.

    The lock is a file of this user; it is free again when its holder ends, however it ends.
    """
    number = os.open(_folder() / f"verify-{instance}", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        _wait(number, instance, report)
        yield
    finally:
        os.close(number)


def _wait(number: int, instance: str, report: Report) -> None:
    end, told = time.monotonic() + PATIENCE, False
    while True:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > end:
                raise Locked(
                    f"another verification of {instance} does not end", hint="`appliance verify` of another shell?"
                ) from None
            if not told:
                report.note(f"another verification of {instance} runs; waiting for it")
                told = True
            time.sleep(0.2)


def _folder() -> Path:
    """A folder that only this user can write to; raises ApplianceError when somebody else made it."""
    folder = Path(tempfile.gettempdir()) / f"appliance-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if folder.is_symlink() or status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise ApplianceError(f"{folder} is not a folder of yours alone", hint=f"rm -r {folder}, or set TMPDIR")
    return folder
