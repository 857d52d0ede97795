"""`python -m tests.chaos [ROOM…]`: breaks things, prints one table, writes it as JSON beside the benchmarks'."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.__main__ import main

ROOMS = ("kills", "matrix", "power", "full", "controller", "engine")

if __name__ == "__main__":
    sys.exit(main("tests.chaos", ROOMS, Path("benchmarks/out/chaos.json"), __doc__))
