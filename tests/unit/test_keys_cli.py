"""`appliance keys` and `appliance dns` as a user meets them, without an engine and with a pretended one."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from appliance.cli.main import run
from appliance.errors import Exit, Unavailable
from appliance.observed import HostFacts, Observed
from appliance.spec.passwords import password_hash
from tests.unit.dns_stub import Zone, serve
from tests.unit.keys_room import contents

SPEC = """
version: 1
name: example
hostname: mail.example.org
addresses: [203.0.113.7, "2001:db8::7"]
postmaster: alice@example.org
domains:
  example.org: {dkim: {algorithms: [ed25519]}}
  bücher.example: {dkim: {algorithms: [ed25519]}}
mailboxes:
  alice@example.org: {password: "{SSHA512}cxQ3ZyZkl2xVyFFkDYGzT7y6tdgY5xj4nrKwfkYf0NNyBjLUfp1Hcd3uMHcYhkWf7gkbbdj0AbCdEfGhIjKl"}
"""


class End(NamedTuple):
    code: int
    out: str
    err: str


Appliance = Callable[..., End]


class Pretended:
    """An engine on which an instance runs, or none."""

    def __init__(self, ring_id: str | None, families: tuple[int, ...]) -> None:
        self.observed = Observed("example", ring_id=ring_id, host=HostFacts("", "", families, 0, 0, 0, ()))

    def observe(self, _instance: str, *, manifests: bool) -> Observed:
        assert not manifests  # they take seconds, and nobody looks at them here
        return self.observed


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Callable[[Pretended | None], None]:
    """``engine(None)``: none answers."""

    def pretend(engine: Pretended | None) -> None:
        def connect() -> Pretended:
            if engine is None:
                raise Unavailable("no engine answers")
            return engine

        monkeypatch.setattr("appliance.engines.docker.engine.connect", connect)

    pretend(None)
    return pretend


@pytest.fixture
def appliance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], engine: object) -> Appliance:
    (tmp_path / "mail.yml").write_text(SPEC, encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    def call(*words: str, stdin: bytes = b"") -> End:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = run(list(words))
        caught = capsys.readouterr()
        return End(code, caught.out, caught.err)

    return call


# -- keys hash ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("stdin", [b"secret", b"secret\n", b"secret\r\n"])
def test_hash_prints_the_hash_alone_and_its_cost_beside(appliance: Appliance, stdin: bytes) -> None:
    end = appliance("keys", "hash", stdin=stdin)
    assert end.code == Exit.DONE
    assert password_hash(end.out) == end.out.strip()
    assert "one login costs 19 MiB of memory and" in end.err
    assert "secret" not in end.out + end.err


def test_hash_for_programs(appliance: Appliance) -> None:
    end = appliance("--json", "keys", "hash", "--scheme", "BLF-CRYPT", stdin=b"secret\n")
    document = json.loads(end.out)
    assert document["schema_version"] == 1
    assert document["hash"].startswith("{BLF-CRYPT}$2b$")
    assert document["login"]["memory_kib"] == 4


@pytest.mark.parametrize(
    ("stdin", "code", "words"),
    [(b"", 1, "is empty"), (b"\n", 1, "is empty"), (b"one\ntwo\n", 64, "more than one line"), (b"a\0b\n", 1, "zero byte")],
)
def test_hash_takes_one_line(appliance: Appliance, stdin: bytes, code: int, words: str) -> None:
    end = appliance("keys", "hash", stdin=stdin)
    assert (end.code, end.out) == (code, "")
    assert words in end.err


def test_white_space_at_an_end_counts_and_is_told(appliance: Appliance) -> None:
    assert "begins or ends with white space" in appliance("keys", "hash", stdin=b"secret \n").err


# -- keys list, create, export, import ---------------------------------------------------------------------------------------
def test_list_before_and_after_create(appliance: Appliance, tmp_path: Path) -> None:
    before = appliance("keys", "list")
    assert before.out.count("(new at up)") == 10
    created = appliance("keys", "create")
    assert created.code == Exit.DONE
    assert "dkim/xn--bcher-kva.example/s1-ed25519.pem" in created.out.splitlines()
    assert "no engine to ask whether example runs with another ring" in created.err
    after = appliance("keys", "list")
    assert "(new at up)" not in after.out
    assert "s1-ed25519._domainkey.example.org" in after.out
    assert appliance("keys", "create").out == ""
    for name, data in contents(tmp_path / "keys").items():
        if "key" in name and name.endswith(".pem"):
            assert data.splitlines()[1].decode() not in created.out + after.out


def test_list_for_programs(appliance: Appliance) -> None:
    appliance("keys", "create")
    document = json.loads(appliance("keys", "list", "--json").out)
    entries = {e["ref"]: e for e in document["keys"]}
    assert entries["dkim/example.org/s1-ed25519.pem"]["published_as"] == "s1-ed25519._domainkey.example.org"
    assert len(entries["dkim/example.org/s1-ed25519.pem"]["public"]) == 44
    assert entries["tls/cert.pem"]["expires"] > entries["tls/cert.pem"]["created"]


def test_create_refuses_a_second_ring_for_a_running_instance(
    appliance: Appliance, engine: Callable[[Pretended], None], tmp_path: Path
) -> None:
    engine(Pretended("feedfacecafebeef", (4,)))
    end = appliance("keys", "create")
    assert end.code == Exit.FAILED
    assert "runs already with the ring feedfacecafebeef" in end.err
    assert "keys pull" in end.err
    assert not (tmp_path / "keys").exists()


def test_export_and_import(appliance: Appliance, tmp_path: Path) -> None:
    assert appliance("keys", "export", "ring.tar").code == Exit.FAILED
    appliance("keys", "create")
    whole = contents(tmp_path / "keys" / "example")
    assert appliance("keys", "export", "ring.tar").code == Exit.DONE
    assert appliance("keys", "export", "ring.tar").code == Exit.FAILED
    (tmp_path / "keys").rename(tmp_path / "lost")
    assert appliance("keys", "import", "ring.tar").code == Exit.DONE
    assert contents(tmp_path / "keys" / "example") == whole
    assert appliance("keys", "import", "lost/example").code == Exit.DONE
    assert appliance("keys", "import", "nowhere").code == Exit.USAGE


# -- dns ---------------------------------------------------------------------------------------------------------------------
def test_records_as_a_table_is_plain_on_a_pipe(appliance: Appliance) -> None:
    end = appliance("dns", "records")
    assert end.code == Exit.DONE
    lines = [line.split(None, 2) for line in end.out.splitlines()]
    assert ["mail.example.org", "AAAA", "2001:db8::7"] in lines
    assert ["s1-ed25519._domainkey.example.org", "TXT", '"v=DKIM1; k=ed25519; p=(new at up)"'] in lines
    assert "no engine to ask which address families" in end.err


def test_a_zone_waits_for_its_keys(appliance: Appliance) -> None:
    end = appliance("dns", "records", "--format", "zone")
    assert (end.code, end.out) == (Exit.FAILED, "")
    assert "keys create" in end.err


def test_only_one_zone(appliance: Appliance) -> None:
    end = appliance("dns", "records", "--format", "json", "--zone", "bücher.example")
    names = {r["name"] for r in json.loads(end.out)["records"]}
    assert all(n.endswith("xn--bcher-kva.example") for n in names)
    assert appliance("dns", "records", "--zone", "other.example").code == Exit.USAGE


def test_a_family_that_the_engine_does_not_serve_is_left_out(appliance: Appliance, engine: Callable[[Pretended], None]) -> None:
    engine(Pretended(None, (4,)))
    end = appliance("dns", "records")
    assert " AAAA " not in end.out
    assert "2001:db8::7 gets no record" in end.err


def test_check_says_what_is_wrong_and_ends_with_3(appliance: Appliance) -> None:
    appliance("keys", "create")
    zone = appliance("dns", "records", "--format", "zone").out
    reverse = [line.removeprefix("; ") for line in zone.splitlines() if line.startswith("; ") and " IN PTR " in line]
    whole = "\n".join([zone, *reverse])
    with serve(Zone(whole)) as server:
        end = appliance("dns", "check", "--resolver", server)
        assert (end.code, end.err.splitlines()[-1]) == (Exit.DONE, f"all {zone.count(' IN ')} are as they should be")
    with serve(Zone(whole.replace("p=none", "p=reject").replace("10 mail.example.org", "10 mx.other.example"))) as server:
        end = appliance("dns", "check", "--resolver", server)
        assert end.code == Exit.UNPROVEN
        assert "✗ example.org MX (mx) different: other hosts get the mail" in end.out
        assert "! _dmarc.example.org TXT (dmarc) different: its policy is reject, the spec's is none" in end.out
        document = json.loads(appliance("--json", "dns", "check", "--resolver", server).out)
        assert document["well"] is False
        assert {f["name"] for f in document["findings"] if f["fails"]} == {"example.org", "xn--bcher-kva.example"}


def test_check_without_a_resolver_is_unavailable(appliance: Appliance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.dns.live._PATIENCE", 0.5)
    with serve(Zone("")) as server:
        assert appliance("dns", "check", "--resolver", server).code == Exit.UNPROVEN
    assert appliance("dns", "check", "--resolver", server).code == Exit.UNAVAILABLE
