"""Which of the three services run, the chain of sizes, what the signatures of a folder are, and the memory that they take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from appliance.errors import ApplianceError
from appliance.render.bundle import File
from appliance.spec.model import Folder, Spec
from appliance.spec.types import size
from appliance.topology import View

MIB = 2**20

#: what clamd takes for a signature database (its manual calls them by these endings)
DATABASES = (
    *("cvd", "cld", "cud", "cdb", "hdb", "hsb", "hdu", "hsu", "mdb", "msb", "mdu", "msu", "ndb", "ndu", "ldb", "ldu", "idb"),
    *("fp", "sfp", "ign", "ign2", "pdb", "gdb", "wdb", "ftm", "cfg", "db", "info", "yar", "yara", "pwdb", "crb", "imp", "ioc"),
)
#: those that only say what is no virus
EXCEPTIONS = ("fp", "sfp", "ign", "ign2", "wdb", "cfg", "info", "pwdb", "ftm")

THREADS = 4
#: seconds; each above the one before (the milter's offer in role.yml has Postfix's: 90)
SCAN_SECONDS = 60
VERDICT_SECONDS = 75
#: clamd with an empty database, its threads and the pages of what they scan
BASE = 160 * MIB
#: loaded signatures take a few times their files' size
LOADED = 6


def local(options: Mapping[str, Any]) -> Folder | None:
    """The folder of signatures, None with freshclam."""
    chosen = options.get("signatures")
    return chosen if isinstance(chosen, Folder) else None


def services(spec: Spec, options: Mapping[str, Any]) -> Iterator[str]:  # noqa: ARG001
    """freshclam only where it fetches something."""
    yield from ("clamd", "clamav-milter")
    if local(options) is None:
        yield "freshclam"


def ending(name: str) -> str:
    """The file name's ending in lower case."""
    return name.rpartition(".")[2].lower()


def files(view: View) -> Iterable[File]:
    """The folder's signatures as files of clamd's generation; clamd reads them again at its RELOAD."""
    folder = local(view.options)
    if folder is None or view.service.name != "clamd":
        return
    chosen = {name: data for name, data in sorted(folder.files.items()) if ending(name) in DATABASES}
    if not any(ending(name) not in EXCEPTIONS for name in chosen):
        raise ApplianceError(
            f"the folder {folder.path} holds no signatures",
            hint="put ClamAV databases there (.cvd, .ndb, .hdb, .yara …), or choose signatures: freshclam",
        )
    for name, data in chosen.items():
        yield File(f"signatures/{name}", data, 0o444, (0, 0), "reload", f"{folder.path}/{name}")


def memory(view: View) -> int:
    """The container's limit in bytes."""
    folder = local(view.options)
    if view.service.name != "clamd" or folder is None:
        return {"clamd": 2048, "clamav-milter": 128, "freshclam": 1024}[view.service.name] * MIB
    # in steps, so that another signature rarely means another container
    loaded = LOADED * sum(len(data) for data in folder.files.values()) + THREADS * view.spec.wire_size
    return BASE + -(-loaded // (64 * MIB)) * 64 * MIB


def context(view: View) -> Mapping[str, object]:
    """Variables of the templates beside the View's own."""
    folder = local(view.options)
    # the mbox line before the message and Received fields that Postfix adds come on top of what the client sent
    stream = view.spec.wire_size + MIB
    return {
        "sockets": f"/sock/{view.service.name}",
        "database": "/var/lib/clamav" if folder is None else f"{view.config}/signatures",
        "fetched": folder is None,
        "threads": THREADS,
        "stream_size": stream,
        "unpacked": max(size(view.options["unpacked"]), 2 * stream),
        "scan_milliseconds": SCAN_SECONDS * 1000,
        "verdict_seconds": VERDICT_SECONDS,
    }
