"""The scanner's sizes, its signatures and its memory."""

from __future__ import annotations

import re
import runpy
import subprocess
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from appliance.errors import ApplianceError, InvalidSpec
from tests.unit.roles_room import bundle, catalog, text, topology, values, view

LOCAL = "roles: {clamav: {signatures: ./sigs}}\n"
SIGNATURES = {
    "./sigs": {
        "own.ndb": b"Own.Test:0:*:6f776e\n",
        "good.fp": b"44d88612fea8a8f36de82e1278abb02f:68:Own.Test\n",
        "README": b"ours",
    }
}
MIB = 2**20


def running(rest: str, folders: object = None) -> set[str]:
    return {n.name for n in topology(rest, folders).nodes if n.role.name == "clamav"}  # type: ignore[arg-type]


def test_freshclam_runs_only_where_it_fetches() -> None:
    assert running("") == {"clamd", "clamav-milter", "freshclam"}
    assert running(LOCAL, SIGNATURES) == {"clamd", "clamav-milter"}
    assert running("roles: {clamav: off}\n") == set()


@pytest.mark.parametrize("message_size", ["1 MiB", "25 MiB", "150 MiB", "300 MiB"])
@pytest.mark.parametrize("unpacked", ["1 MiB", "200 MiB", "1 GiB"])
def test_no_message_that_postfix_accepts_is_larger_than_what_is_scanned(message_size: str, unpacked: str) -> None:
    rest = f"message_size: {message_size}\nroles: {{clamav: {{signatures: ./sigs, unpacked: {unpacked}}}}}\n"
    accepted = view("clamd", rest, SIGNATURES).spec.wire_size
    clamd = values(text(bundle(rest, SIGNATURES), "clamd", "clamd.conf"))
    assert accepted < int(clamd["StreamMaxLength"]) <= int(clamd["MaxFileSize"]) <= int(clamd["MaxScanSize"])


def test_what_is_cut_from_an_archive_is_also_over_the_scan_limit() -> None:
    """clamd tells of MaxScanSize, and not of a member that it cut at MaxFileSize: so the two are one number."""
    clamd = values(text(bundle(LOCAL, SIGNATURES), "clamd", "clamd.conf"))
    assert clamd["MaxFileSize"] == clamd["MaxScanSize"]
    assert clamd["AlertExceedsMax"] == "true"


def test_each_time_limit_is_above_the_one_within() -> None:
    made = bundle(LOCAL, SIGNATURES)
    scan = int(values(text(made, "clamd", "clamd.conf"))["MaxScanTime"]) / 1000
    verdict = float(values(text(made, "clamav-milter", "clamav-milter.conf"))["timeout"])
    (offer,) = [o for s in catalog()["clamav"].services for o in s.offers if o.name == "milter"]
    assert scan < verdict < offer.timeout


def test_signatures_of_a_folder_are_files_that_reload() -> None:
    made = bundle(LOCAL, SIGNATURES)
    found = {f.path: f.on_change for f in made.service("clamd").files if f.path.startswith("signatures/")}
    assert found == {"signatures/own.ndb": "reload", "signatures/good.fp": "reload"}
    assert values(text(made, "clamd", "clamd.conf"))["DatabaseDirectory"] == "/config/current/signatures"
    assert not [f for f in made.service("clamav-milter").files if f.path.startswith("signatures/")]


@pytest.mark.parametrize("files", [{}, {"README": b"none"}, {"good.fp": b"an exception"}], ids=["empty", "readme", "exceptions"])
def test_a_folder_without_signatures_is_refused(files: dict[str, bytes]) -> None:
    with pytest.raises((ApplianceError, InvalidSpec)) as caught:
        bundle(LOCAL, {"./sigs": files})
    assert "signatures" in caught.value.message or any("signatures" in p.message for p in getattr(caught.value, "problems", ()))


def test_memory_follows_the_signatures() -> None:
    def memory(rest: str, size: int = 0) -> int:
        folders = {"./sigs": {"own.ndb": b"Own.Test:0:*:6f776e\n" + b"#" * size}}
        return bundle(rest, folders).service("clamd").runtime.memory

    assert memory("") == 2048 * MIB
    assert memory(LOCAL) < 400 * MIB
    assert memory(LOCAL, 100 * MIB) >= 700 * MIB
    # one more signature rarely needs another container
    assert memory(LOCAL, 1000) == memory(LOCAL, 2000)


@pytest.mark.parametrize(("option", "alerts"), [("accept", False), ("refuse", True)])
def test_encrypted_archives_are_refused_only_where_the_spec_says_so(option: str, alerts: bool) -> None:
    made = bundle(f"roles: {{clamav: {{signatures: ./sigs, encrypted: {option}}}}}\n", SIGNATURES)
    assert (values(text(made, "clamd", "clamd.conf")).get("AlertEncrypted") == "true") is alerts


def test_clamd_waits_only_for_signatures_that_are_fetched() -> None:
    assert "waiting" in text(bundle(""), "clamd", "when-ready.sh")
    assert "waiting" not in text(bundle(LOCAL, SIGNATURES), "clamd", "when-ready.sh")


def test_every_socket_is_where_the_joins_say() -> None:
    made = bundle("")
    socket = re.search(r"^LocalSocket (.*)$", text(made, "clamd", "clamd.conf"), re.MULTILINE)
    assert socket is not None
    assert values(text(made, "clamav-milter", "clamav-milter.conf"))["scanner"] == socket[1]
    assert f"LocalSocket {socket[1]}" in text(made, "freshclam", "clamd.conf")


@pytest.mark.parametrize(("days", "red"), [(0, False), (6, False), (8, True), (400, True)])
def test_the_check_of_the_signatures_age_can_fail(days: int, red: bool) -> None:
    check = runpy.run_path(str(catalog()["clamav"].folder / "checks" / "test_clamav.py"))["test_signatures_are_fresh"]
    date = time.strftime("%a %b %d %H:%M:%S %Y", time.localtime(time.time() - days * 86400))

    class Fake:
        """A Host whose every command answers as clamd's VERSION does."""

        def run(self, *_: str) -> SimpleNamespace:
            return SimpleNamespace(rc=0, stdout=f"ClamAV 1.4.6/27800/{date}\0", stderr="")

    with pytest.raises(AssertionError, match="days old") if red else nullcontext():
        check({"clamd": Fake()}, {"services": ["clamd", "freshclam"]})


@pytest.mark.parametrize(
    ("there", "code"), [((), 75), (("daily.cvd",), 75), (("daily.cvd", "main.cvd"), 0), (("daily.cld", "main.cvd"), 0)]
)
def test_freshclam_waits_for_what_it_fetches_and_is_not_broken(tmp_path: Path, there: tuple[str, ...], code: int) -> None:
    """75 is what `up` waits for outside its deadline: the first download takes minutes."""
    for name in there:
        (tmp_path / name).touch()
    script = text(bundle(""), "freshclam", "health.sh").replace("/var/lib/clamav", str(tmp_path))
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False, timeout=20)
    assert (done.returncode, done.stderr) == (code, "no signatures yet\n" if code else "")
