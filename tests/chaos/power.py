"""The power is cut under load: an image of the disk as it was at that moment holds all that was answered 250."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.table import Control, Row
from tests.chaos import disks
from tests.chaos.ledger import Ledger
from tests.chaos.world import drained, started, until
from tests.instances import Instances
from tests.integration.running import Appliance
from tests.integration.sabotage import dovecot

if TYPE_CHECKING:
    import docker

ROOM = "power"
CUTS, CONTROLS = 24, 3
#: mails that are acknowledged between two cuts, at least
LOAD = 60
IDENT = re.compile(rb"^message-id: *<([^>]+)>|Message-ID: <([^>]+)>", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Cut:
    """``new``: acknowledged since the last cut; ``before``: all of them; and which of either the image does not hold."""

    new: int
    before: int
    lost: frozenset[str]

    @property
    def share(self) -> float:
        """Per cent of the new ones that are gone."""
        return 100 * len(self.lost) / self.new


def rows(client: docker.DockerClient, instances: Instances) -> Iterator[Row]:
    """Every line of this room."""
    with (
        disks.cuttable(600 * disks.MIB) as (image, place),
        started(client, instances, "power", volumes=disks.volumes(place, ("mail", "queue"))) as where,
    ):
        cuts = struck(where, image, CUTS)
        # the way back: Edit puts the file right and reloads
        with dovecot("s/^mail_uid = .*/&\\nmail_fsync = never/").on(where):
            worse = struck(where, image, CONTROLS)
    yield Row(
        ROOM,
        f"acknowledged mails that an image does not hold, of {cuts[-1].before:,}, in {len(cuts)} power cuts",
        "mails",
        sum(len(c.lost) for c in cuts),
        floor=0,
        goal=0,
        control=Control("mail_fsync = never", sum(len(c.lost) for c in worse)),
        raw={"lost": [sorted(c.lost) for c in cuts]},
    )
    yield Row(
        ROOM,
        "lost of what was acknowledged since the last cut",
        "%",
        max(c.share for c in cuts),
        floor=10,
        goal=0,
        control=Control("mail_fsync = never, the mildest cut", min(c.share for c in worse)),
    )


def struck(where: Appliance, image: Path, cuts: int) -> list[Cut]:
    """That many cuts under load; each image is compared with what the ledger held before."""
    found: list[Cut] = []
    with tempfile.TemporaryDirectory(prefix="t-chaos-") as folder:
        with Ledger(where, Path(folder) / "ledger") as ledger:
            for number in range(cuts):
                found.append(cut(ledger, image, found[-1].before if found else 0))
                print(f"    {number + 1}/{cuts} {found[-1].new} new, {len(found[-1].lost)} lost", file=sys.stderr, flush=True)
        missing = ledger.idents - set(drained(where, ledger.idents))
    if missing:
        raise RuntimeError(f"{len(missing)} mails were lost without any cut")
    return found


def cut(ledger: Ledger, image: Path, last: int) -> Cut:
    """One cut, when enough mail has come since ``last``."""
    until(lambda: len(ledger.acks) > last + LOAD or None, "new mail is acknowledged", 120)
    before = ledger.idents
    copy = image.with_name("cut")
    disks.run("cp", "--reflink=always", image, copy)
    with disks.mounted(copy) as place:
        held = survivors(place)
    copy.unlink()
    return Cut(len(before) - last, len(before), frozenset(before - held))


def survivors(place: Path) -> set[str]:
    """Message-IDs of whole messages: files of the Maildirs as long as their names say, queue files that are marked complete.

    Postfix gives a queue file its execute bit after its last fsync; one without it is dropped at the next start.
    """
    found: set[str] = set()
    for file in place.glob("mail/*/*/Maildir/[cn][ue][rw]/*"):
        size = re.search(r",S=(\d+)", file.name)
        if size and file.stat().st_size == int(size[1]):
            found |= idents(file)
    for file in place.glob("queue/*/**/*"):
        if file.is_file() and file.stat().st_mode & 0o100:
            found |= idents(file)
    return found


def idents(file: Path) -> set[str]:
    """The Message-IDs in a file's first kilobytes."""
    with file.open("rb") as stream:
        return {(a or b).decode(errors="replace") for a, b in IDENT.findall(stream.read(16384))}
