"""A process as a user starts it: how long it takes, how much memory and CPU, what it said."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True)
class Took:
    """``seconds`` of wall clock, ``cpu`` seconds (user and system), ``peak`` bytes of resident memory, the exit ``code``."""

    seconds: float
    cpu: float
    peak: int
    code: int
    out: str
    err: str


def run(argv: Sequence[str], *, cwd: Path, codes: tuple[int, ...] = (0,)) -> Took:
    """Runs a program once. Raises RuntimeError with its words when it ends otherwise."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.perf_counter()
        process = subprocess.Popen(argv, cwd=cwd, stdout=out, stderr=err, stdin=subprocess.DEVNULL)
        peak = _watch(process)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode(errors="replace"))
    if process.returncode not in codes:
        raise RuntimeError(f"{' '.join(argv)} ended with {process.returncode}:\n{texts[1][-2000:]}")
    return Took(seconds, used.ru_utime + used.ru_stime, max(peak, 0), process.returncode, *texts)


def _watch(process: subprocess.Popen[bytes]) -> int:
    """The process's own peak (VmHWM, which begins anew at exec), read until it is a zombie."""
    peak = 0
    while True:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            return peak
        if "\nState:\tZ" in status:
            return peak
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        peak = max(peak, int(found[1]) * 1024 if found else 0)
        time.sleep(0.02)


def appliance(spec: Path, *words: str) -> list[str]:
    """`appliance -f SPEC …` of the Python that runs this."""
    return [sys.executable, "-m", "appliance", "-f", str(spec), *words]


def middle(once: Callable[[], Took], rounds: int) -> Took:
    """The run of median duration of ``rounds``, after one that warms the disk's cache."""
    once()
    found = sorted((once() for _ in range(rounds)), key=lambda t: t.seconds)
    wanted = median(t.seconds for t in found)
    return min(found, key=lambda t: abs(t.seconds - wanted))
