"""Fills new generations: all files of a service in one archive beside the present ones, tables built, then given their name."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from appliance.engines import manifest as manifests
from appliance.engines.docker.archive import Entry, moved, pack
from appliance.engines.docker.hand import LONG, VOLUMES, ScriptFailed
from appliance.engines.docker.site import Site
from appliance.engines.docker.words import blame
from appliance.errors import ApplianceError
from appliance.plan.model import Change
from appliance.render.bundle import AnyFile, File, SecretFile, ServiceBundle

END = "end-of-the-record"  # no line of JSON
RELEASES = "releases"  # one record of each release, a Manifest as JSON, named <release>.json


class Stage:
    """The new generations of one apply."""

    def __init__(self, site: Site, changes: tuple[Change, ...]) -> None:
        self.site = site
        self.services = tuple(c.bundle for c in changes if c.bundle is not None and c.action != "keep")
        self.made: list[ServiceBundle] = []

    def do(self) -> None:
        """Fills what is not there yet. A generation that has its name is whole: it got it by a rename."""
        present = self._present()
        for service in self.services:
            if (service.name, service.live) not in present:
                self.made.append(service)
                self._fill(service)
        if self.made:
            # a power cut must not leave a link to a generation whose bytes never reached the disk; only these files, not all
            # the mail that the disk has still to write
            folders = shlex.join(f"{VOLUMES}/{s.name}/gen/{s.live}" for s in self.made)
            self.site.hand.run(f"find {folders} -exec sync {{}} +", "writing to the disk", LONG)

    def undo(self) -> None:
        """Removes what this apply has filled; nobody uses it any more."""
        folders = [f"{VOLUMES}/{s.name}/gen/{s.live}{end}" for s in self.made for end in ("", ".part")]
        if folders:
            self.site.hand.run(f"rm -rf -- {shlex.join(folders)}", "removing the new files")

    def _present(self) -> set[tuple[str, str]]:
        """(service, live digest) of all generations there are; what earlier applies left half-done goes away here."""
        one = f"mkdir -p gen live {RELEASES}; rm -rf gen/*.part live/.new; for g in gen/*; do echo %s $g; done"
        script = "\n".join(f"cd {VOLUMES}/{s.name}; {one % s.name}" for s in self.services)
        lines = self.site.hand.run(script, "looking at the generations").split("\n")
        return {(service, folder.removeprefix("gen/")) for service, _, folder in (line.partition(" ") for line in lines)}

    def _fill(self, service: ServiceBundle) -> None:
        site, part = self.site, f"gen/{service.live}.part"
        manifest = manifests.manifest_of(
            service, site.plan.bundle.release, time=site.time, who=site.who, controller=site.controller
        )
        entries = [Entry(f.path, self._bytes(f), f.mode, f.owner) for f in service.files]
        entries.append(Entry("manifest.json", manifests.dump(manifest)))
        site.hand.put(f"{VOLUMES}/{service.name}", pack(moved(entries, part), time=site.time, folders=[part]))
        for script, file in _builds(service, f"{VOLUMES}/{service.name}/{part}"):
            try:
                site.builder(service).run(script, f"making the table {file.path} of {service.name}", LONG)
            except ScriptFailed as why:
                raise ApplianceError(blame(service, why.output, f"the table {file.path} cannot be made", file)) from None
        final = f"gen/{service.live}"
        site.hand.run(f"cd {VOLUMES}/{service.name}; mv -T {part} {final}", f"naming the new files of {service.name}")

    def _bytes(self, file: AnyFile) -> bytes:
        return self.site.secrets(file.ref) if isinstance(file, SecretFile) else file.data


def _builds(service: ServiceBundle, folder: str) -> Iterator[tuple[str, File | SecretFile]]:
    """The scripts that make tables. The program finds its service's settings where it does in the service: in /config/current."""
    for file in service.files:
        if file.build:
            path = f"/config/current/{file.path}"
            argv = shlex.join(word.replace("{path}", path) for word in file.build)
            ours = shlex.quote(f"{folder}/{file.path}")
            yield (
                f"ln -sfnT {folder} /config/current; ln -sfnT {folder} /config/live; {argv}\n"
                # what was made is as secret as what it was made from
                f"for f in {ours}.*; do [ ! -f $f ] || {{ chown --reference={ours} $f; chmod --reference={ours} $f; }}; done",
                file,
            )


class Record:
    """What `history` and `rollback` read: for every service, kept ones too, what it is in this release."""

    def __init__(self, site: Site) -> None:
        self.site, self.before = site, ""

    def do(self) -> None:
        """Writes one record into each configuration volume; as text, which is cheaper by ten than an archive for each."""
        site, release = self.site, self.site.plan.bundle.release
        texts = []
        for service in site.plan.bundle.services:
            manifest = manifests.manifest_of(service, release, time=site.time, who=site.who, controller=site.controller)
            folder = f"{VOLUMES}/{service.name}/{RELEASES}"
            text = manifests.dump(manifest).decode()
            texts.append(f"mkdir -p {folder}\ncat > {folder}/.{release}.json <<'{END}'\n{text}\n{END}")
        site.hand.run("\n".join(texts), "recording the release")
        self._each("[ ! -e {r}.json ] || mv -T {r}.json .{r}.old; mv -T .{r}.json {r}.json", "recording the release")

    def undo(self) -> None:
        """The record of an earlier time, or none."""
        self._each("rm -f {r}.json .{r}.json; [ ! -e .{r}.old ] || mv -T .{r}.old {r}.json", "removing the record")

    def settle(self) -> None:
        """Forgets the earlier time of the same release."""
        self._each("rm -f .{r}.old", "keeping the record")

    def _each(self, script: str, what: str) -> None:
        bundle = self.site.plan.bundle
        one = script.format(r=bundle.release)
        self.site.hand.run("\n".join(f"cd {VOLUMES}/{s.name}/{RELEASES}; {one}" for s in bundle.services), what)
