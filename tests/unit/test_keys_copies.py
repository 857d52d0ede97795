"""A ring on its way between machines: exported, imported, pulled back from a running instance."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from appliance.cli.carried import carried, reader
from appliance.engines.base import Engine, ExecResult
from appliance.errors import ApplianceError
from appliance.keys import make
from appliance.keys.copies import Copy, export_to, from_folder, from_tar, take
from appliance.keys.needs import INTERNAL_CA_KEY
from appliance.keys.pull import pull
from appliance.keys.ring import KeyRing
from appliance.observed import FileMark, Manifest, Observed, ObservedService
from appliance.render.bundle import Runtime
from tests.unit.keys_room import Told, contents, ring, spec

RUNTIME = Runtime("image", (), "host")


@pytest.fixture
def there(tmp_path: Path) -> KeyRing:
    """A whole ring on another machine."""
    (tmp_path / "there").mkdir()
    made = ring(tmp_path / "there")
    made.create(spec(), Told())
    return made


@pytest.fixture
def here(tmp_path: Path) -> KeyRing:
    """An empty place for one."""
    (tmp_path / "here").mkdir()
    return ring(tmp_path / "here")


@pytest.mark.parametrize("way", ["folder", "tar"])
def test_an_imported_ring_is_the_same_ring(there: KeyRing, here: KeyRing, tmp_path: Path, way: str) -> None:
    archive = tmp_path / "ring.tar"
    export_to(there, archive)
    assert archive.stat().st_mode & 0o777 == 0o600
    new = take(from_folder(there.folder) if way == "folder" else from_tar(archive), here)
    assert contents(here.folder) == contents(there.folder)
    assert {p.stat().st_mode & 0o077 for p in here.folder.rglob("*")} == {0}
    assert here.view(spec()) == there.view(spec())
    assert "dkim/example.org/s1-ed25519.pem" in new
    assert take(from_folder(there.folder), here) == ()


def test_an_export_never_overwrites(there: KeyRing, tmp_path: Path) -> None:
    (tmp_path / "ring.tar").write_text("mine")
    with pytest.raises(ApplianceError, match="File exists"):
        export_to(there, tmp_path / "ring.tar")


def test_an_import_that_was_cut_short_is_finished_by_the_next(there: KeyRing, here: KeyRing) -> None:
    copy = from_folder(there.folder)
    here.files.create("tls/key.pem", copy.files["tls/key.pem"])
    take(copy, here)
    assert contents(here.folder) == contents(there.folder)


REFUSED: dict[str, tuple[dict[str, bytes | None], str]] = {
    "no identity": ({"ring.json": None}, "holds no key ring"),
    "no hmac key": ({"hmac.key": None}, "holds no key ring"),
    "another hmac key": ({"hmac.key": bytes(32)}, "does not belong"),
    "a garbled key": ({"dkim/example.org/s1-ed25519.pem": b"x"}, "s1-ed25519.pem holds no private key"),
    "a garbled certificate": ({"internal/ca.pem": b"x"}, "ca.pem holds no certificate"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_whole_ring_is_refused_and_nothing_is_written(there: KeyRing, here: KeyRing, case: str) -> None:
    changes, words = REFUSED[case]
    files = {**from_folder(there.folder).files, **changes}
    copy = Copy("copy", {name: data for name, data in files.items() if data is not None})
    with pytest.raises(ApplianceError, match=words):
        take(copy, here)
    assert not here.folder.exists()


def test_another_instances_ring_is_refused(there: KeyRing, tmp_path: Path) -> None:
    with pytest.raises(ApplianceError, match="of 'example', this spec's name is 'second'"):
        take(from_folder(there.folder), ring(tmp_path, name="second"))


def test_a_ring_does_not_take_anothers_place(there: KeyRing, here: KeyRing) -> None:
    here.create(spec(), Told())
    before = contents(here.folder)
    with pytest.raises(ApplianceError, match="is another ring already"):
        take(from_folder(there.folder), here)
    assert contents(here.folder) == before


def test_a_key_that_is_here_and_different_is_not_overwritten(there: KeyRing, here: KeyRing) -> None:
    here.files.create("tls/key.pem", make.private_key("ecdsa-p256"))
    with pytest.raises(ApplianceError, match=r"tls/key\.pem is here already and another key"):
        take(from_folder(there.folder), here)
    assert not here.exists


def test_a_tar_brings_nothing_but_a_ring(there: KeyRing, here: KeyRing, tmp_path: Path) -> None:
    archive = tmp_path / "evil.tar"
    export_to(there, archive)
    with tarfile.open(archive, "a") as tar:
        for name in ("../escape", "dkim/x/../../../escape", "escape.pem"):
            member = tarfile.TarInfo(name)
            member.size = 1
            tar.addfile(member, io.BytesIO(b"x"))
        link = tarfile.TarInfo("internal/link-key.pem")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        big = tarfile.TarInfo("dkim/example.net/s1-rsa.pem")
        big.size = 65537
        tar.addfile(big, io.BytesIO(bytes(big.size)))
    take(from_tar(archive), here)
    assert contents(here.folder) == contents(there.folder)
    assert not list(tmp_path.rglob("escape*"))


@pytest.mark.parametrize("content", [b"", b"not a tar at all" * 100])
def test_a_file_that_is_no_tar(here: KeyRing, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(ApplianceError, match=r"is not a tar of a ring|holds no key ring"):
        take(from_tar(tmp_path / "x"), here)


# -- pulled back from a running instance -----------------------------------------------------------------------------------
@dataclass
class Running:
    """An engine whose services have these files: service → (owner, path → bytes). Only the owner may read."""

    files: Mapping[str, tuple[int, Mapping[str, bytes]]]
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    def exec(self, instance: str, service: str, argv: Sequence[str], **options: Any) -> ExecResult:
        owner, files = self.files[service]
        self.asked.append((instance, service, options["user"]))
        path = argv[1].removeprefix("/config/current/")
        if options["user"] != str(owner) or argv[0] != "cat":
            return ExecResult(1, b"", b"Permission denied")
        return ExecResult(0, files[path], b"")


TLS = ("tls/cert.pem", "tls/key.pem")
DEPLOYED = {
    "postfix": (0, (*TLS, "internal/server-cert.pem", "internal/server-key.pem")),
    "dovecot": (0, (*TLS, "internal/ca.pem", "internal/client-cert.pem", "internal/client-key.pem")),
    "opendkim": (906, ("dkim/example.org/s1-ed25519.pem",)),
}


def instance(there: KeyRing, *, without: tuple[str, ...] = (), stopped: tuple[str, ...] = ()) -> tuple[Observed, Running]:
    view = there.view(spec())
    services, files = {}, {}
    for name, (owner, refs) in DEPLOYED.items():
        marks = {
            f"somewhere/{ref}": FileMark(str(view.fingerprint(ref)), 0o400, (owner, owner), "reload", True, True, ref)
            for ref in refs
            if ref not in without
        }
        manifest = Manifest(name, "live", "frozen", "release", 0.0, "me", "1", RUNTIME, {"main.cf": MARK, **marks})
        state = "exited" if name in stopped else "running"
        services[name] = ObservedService(name, state, "none", RUNTIME, "live", "live", manifest, None, there.ring_id)
        files[name] = (owner, {f"somewhere/{ref}": there.read(ref, spec()) for ref in refs})
    return Observed("example", services, ring_id=there.ring_id), Running(files)


MARK = FileMark("digest", 0o444, (0, 0), "reload")


def bring_back(here: KeyRing, observed: Observed, engine: Running) -> tuple[str, ...]:
    return pull(spec(), here, observed.ring_id, carried(observed), reader(cast(Engine, engine), "example"))


def test_pull_brings_the_same_ring_back(there: KeyRing, here: KeyRing) -> None:
    observed, engine = instance(there)
    pulled = bring_back(here, observed, engine)
    assert "dkim/example.org/s1-ed25519.pem" in pulled
    before, after = there.view(spec()), here.view(spec())
    assert (after.ring_id, after.public, after.tokens) == (before.ring_id, before.public, before.tokens)
    assert {**after.fingerprints, INTERNAL_CA_KEY: before.fingerprint(INTERNAL_CA_KEY)} == before.fingerprints
    assert here.missing(spec()) == ()
    assert set(contents(there.folder)) - set(contents(here.folder)) == {INTERNAL_CA_KEY}
    assert ("example", "opendkim", "906") in engine.asked


def test_pull_reads_each_key_where_it_runs(there: KeyRing, here: KeyRing) -> None:
    observed, engine = instance(there, stopped=("dovecot",))
    with pytest.raises(ApplianceError, match="dovecot does not run, and only it has internal/c") as refused:
        bring_back(here, observed, engine)
    assert refused.value.hint == "docker start example-dovecot"
    assert not here.folder.exists()


def test_pull_refuses_a_file_that_is_not_what_its_manifest_says(there: KeyRing, here: KeyRing) -> None:
    observed, engine = instance(there)
    engine.files["opendkim"][1]["somewhere/dkim/example.org/s1-ed25519.pem"] = make.private_key("ed25519")  # type: ignore[index]
    with pytest.raises(ApplianceError, match="does not have the fingerprint"):
        bring_back(here, observed, engine)
    assert not here.folder.exists()


def test_pull_without_the_rings_first_key_says_what_else_to_do(there: KeyRing, here: KeyRing) -> None:
    observed, engine = instance(there, without=("internal/server-key.pem",))
    with pytest.raises(ApplianceError, match="cannot be derived") as refused:
        bring_back(here, observed, engine)
    assert "keys export" in refused.value.hint


def test_pull_completes_a_ring_that_lost_a_key_and_touches_no_other(there: KeyRing) -> None:
    observed, engine = instance(there)
    before = contents(there.folder)
    there.files.path("dkim/example.org/s1-ed25519.pem").unlink()
    assert bring_back(there, observed, engine) == ("dkim/example.org/s1-ed25519.pem",)
    assert contents(there.folder) == before
    assert bring_back(there, observed, engine) == ()
    assert engine.asked == [("example", "opendkim", "906")]


def test_pull_into_another_ring_and_from_nothing(there: KeyRing, here: KeyRing) -> None:
    observed, engine = instance(there)
    here.create(spec(), Told())
    with pytest.raises(ApplianceError, match="is another ring"):
        bring_back(here, observed, engine)
    with pytest.raises(ApplianceError, match="has no keys on this engine"):
        bring_back(here, Observed("example"), engine)
