"""A service's files on the host: live files, the links ``current`` and ``loaded``. All changes are renames.

``loaded`` steps aside (to ``unsettled``) before anything changes and comes back when the daemon works on the new files: a
controller killed in between leaves a service that is not settled, and the next plan sees it.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping

from appliance.engines.docker.hand import VOLUMES
from appliance.engines.docker.site import Site
from appliance.observed import FileMark, ObservedService
from appliance.render.bundle import ServiceBundle

SELF_READ = ("none", "map")  # on_change of files that the daemon re-reads by itself, from live/


class Files:
    """The files of one service in one apply. ``seen``: the service as it was, None for a new one."""

    def __init__(self, site: Site, service: ServiceBundle, seen: ObservedService | None) -> None:
        self.site, self.service, self.seen = site, service, seen
        self.folder = f"{VOLUMES}/{service.name}"
        self.new: Mapping[str, FileMark | None] = {f.path: None for f in service.files if f.on_change in SELF_READ}
        self.tables = {f.path for f in service.files if f.build}
        known = seen.manifest if seen and seen.current else None
        self.old = {p: m for p, m in known.files.items() if m.on_change in SELF_READ} if known else {}

    # -- forth -------------------------------------------------------------------------------------------------------
    def unsettle(self) -> None:
        """``loaded`` → ``unsettled``."""
        self._run("[ ! -L loaded ] || mv -T loaded unsettled", "marking")

    def live(self) -> None:
        """Live files get their new content, by rename and with the present time (Dovecot compares times, and sizes)."""
        built = {p for p, m in self.old.items() if m.build}
        gone = [p for p in self.old if p not in self.new]
        script = _renew(self.service.live, self._changed(), self.tables) + _forget(gone, built, self.new)
        self._run(script, "replacing live files")

    def point(self) -> None:
        """``current`` → the new generation."""
        self._point("current", self.service.live)

    def settled(self) -> None:
        """``loaded`` follows: the daemon works on the new files."""
        self._point("loaded", self.service.live, "; rm -f unsettled")

    # -- back --------------------------------------------------------------------------------------------------------
    def live_back(self) -> None:
        """Live files as the old generation has them; where its manifest cannot be read, as they are: better new than none."""
        if self.seen and self.seen.current and self.seen.manifest is None:
            return
        built = {p for p, m in self.old.items() if m.build}
        fresh = [p for p in self.new if p not in self.old]
        old = self.seen.current if self.seen else None
        renew = _renew(old, self.old, built) if old else ""
        self._run(renew + _forget(fresh, self.tables, self.old), "putting live files back")

    def point_back(self) -> None:
        """``current`` → the old generation, or none."""
        if self.seen and self.seen.current:
            self._point("current", self.seen.current)
        else:
            self._run("rm -f current", "removing the link")

    def settled_back(self) -> None:
        """``loaded`` steps aside again while the rest goes back."""
        self.unsettle()

    def unsettle_back(self) -> None:
        """``loaded`` as it was."""
        if self.seen and self.seen.loaded:
            self._point("loaded", self.seen.loaded, "; rm -f unsettled")
        elif self.seen and self.seen.unsettled:
            self._point("unsettled", self.seen.unsettled, "; rm -f loaded")
        elif not self.seen:
            self._run("rm -f unsettled loaded", "marking")

    # -- by the hand -------------------------------------------------------------------------------------------------
    def _changed(self) -> list[str]:
        """Live files to write: those that differ, or all where an earlier apply did not come to its end."""
        if not (self.seen and self.seen.manifest and self.seen.loaded == self.seen.current):
            return list(self.new)
        before = self.seen.manifest.files
        return [
            f.path
            for f in self.service.files
            if f.path in self.new and (f.path not in self.old or _other(before[f.path], f.digest, f.mode, f.owner, f.build))
        ]

    def _point(self, link: str, live: str, then: str = "") -> None:
        self._run(f"ln -sfnT gen/{live} .{link}; mv -T .{link} {link}{then}", f"switching {link}")

    def _run(self, script: str, what: str) -> None:
        self.site.hand.run(f"cd {self.folder}\n{script}", f"{what} of {self.service.name}")


def _other(mark: FileMark, *now: object) -> bool:
    return (mark.digest, mark.mode, mark.owner, mark.build) != now


def _renew(live: str, paths: Iterable[str], tables: set[str]) -> str:
    """A script that puts files of a generation into live/: copied beside, touched, renamed over; their tables first."""
    lines = ["rm -rf live/.new; mkdir -p live/.new"]
    for path in paths:
        source, name = shlex.quote(f"gen/{live}/{path}"), shlex.quote(path)
        folder = path.rpartition("/")[0]
        if folder:
            lines.append(f"mkdir -p live/{shlex.quote(folder)}")
        wanted = f"{source}.* {source}" if path in tables else source
        lines.append(
            f'for f in {wanted}; do [ ! -f "$f" ] || {{ t=live/{name}"${{f#{source}}}";'
            f' cp -p "$f" live/.new/f; touch live/.new/f; mv -T live/.new/f "$t"; }}; done'
        )
    return "\n".join((*lines, "rmdir live/.new", ""))


def _forget(paths: Iterable[str], built: set[str], keep: Iterable[str]) -> str:
    """A script that removes live files which are no more, and what was built from them, but nothing that is to stay."""
    stay = "|".join(shlex.quote(f"live/{p}") for p in keep) or "''"
    lines = []
    for path in paths:
        name = shlex.quote(f"live/{path}")
        wanted = f"{name} {name}.*" if path in built else name
        lines.append(f'for f in {wanted}; do case "$f" in {stay}) ;; *) rm -f -- "$f" ;; esac; done')
    return "\n".join((*lines, ""))
