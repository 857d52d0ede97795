"""validate, schema, explain and init, as a user runs them."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.catalog.load import load as load_catalog
from appliance.cli import main
from appliance.cli.effects import effect
from appliance.cli.explain import find
from appliance.errors import UsageError
from appliance.resources import folder
from appliance.spec import example
from appliance.spec.draft import Answers, draft
from appliance.spec.fields import all_fields
from appliance.spec.load import DiskReader, load
from tests.unit.test_spec_load import HASH, MINIMAL

ROLES = load_catalog([folder("roles")])
FIELDS = all_fields(ROLES)
CHANGEABLE = [p for p, d in FIELDS.items() if (not d.section or p == "relay_host") and p not in ("roles", "version")]


class Shell:
    """Runs the program in this process, in an empty folder."""

    def __init__(self, folder_: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capture = folder_, capture

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        code = main.run(list(words))
        said = self._capture.readouterr()
        return subprocess.CompletedProcess(words, code, said.out, said.err)

    def spec(self, text: str | bytes) -> None:
        (self.folder / "mail.yml").write_bytes(text if isinstance(text, bytes) else text.encode())


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("APPLIANCE_FILE", raising=False)
    return Shell(tmp_path, capsys)


# -- validate ----------------------------------------------------------------------------------------------------
def test_validate_says_what_a_spec_holds(shell: Shell) -> None:
    shell.spec(MINIMAL)
    end = shell("validate")
    assert (end.returncode, end.stderr) == (0, "")
    assert end.stdout.startswith("mail.yml is valid: 1 domain, 1 mailbox, ")


def test_validate_prints_every_problem(shell: Shell) -> None:
    shell.spec(MINIMAL.replace("mail.example.org", "mail") + "colour: blue\n")
    end = shell("validate")
    assert (end.returncode, end.stdout) == (65, "")
    assert re.findall(r"^mail.yml:(\d+:\d+): error\[([a-z-]+)\]", end.stderr, re.MULTILINE) == [
        ("3:11", "not-a-domain"), ("11:1", "unknown-field"),
    ]  # fmt: skip
    assert end.stderr.endswith("error: 2 errors in the spec\n")
    assert "\033" not in end.stderr


def test_validate_for_programs(shell: Shell) -> None:
    shell.spec(MINIMAL + "colour: blue\n")
    end = shell("--json", "validate")
    assert end.returncode == 65
    said = json.loads(end.stdout)
    assert said["valid"] is False
    assert [(p["kind"], p["line"], p["column"], p["length"]) for p in said["problems"]] == [("unknown-field", 11, 1, 6)]
    shell.spec(MINIMAL)
    assert json.loads(shell("validate", "--json").stdout)["mailboxes"] == 1


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"\x7fELF\x00\x01", b"name: \xe9\n"])
def test_what_is_no_text_is_no_traceback(shell: Shell, data: bytes) -> None:
    shell.spec(data)
    end = shell("validate")
    assert end.returncode == 65
    assert "Traceback" not in end.stderr


@pytest.mark.parametrize("words", [["validate"], ["--help"], ["validate", "--help"], ["schema"]])
def test_what_is_not_needed_is_not_imported(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "mail.yml").write_text(MINIMAL)
    code = (
        "import sys; from appliance.cli.main import run; code = run(sys.argv[1:]); "
        "heavy = ('docker', 'dns', 'ansible_runner', 'jinja2', 'cryptography', 'pytest', 'argon2'); "
        "print(*(m for m in heavy if m in sys.modules), file=sys.stderr); sys.exit(code)"
    )
    end = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (end.returncode, end.stderr) == (0, "\n")


def test_a_hundred_thousand_mailboxes_in_time_and_memory(tmp_path: Path) -> None:
    """0.9 s and 130 MB for the whole process where this was written; the bounds are for a busy machine."""
    rows = [f'user{i:06d}@example.org,"{HASH[:-6]}{i:06d}",{"1 GiB" if i % 2 else ""}\n' for i in range(100_000)]
    (tmp_path / "m.csv").write_text("address,password,quota\n" + "".join(rows))
    (tmp_path / "mail.yml").write_text(MINIMAL.replace("mailboxes:\n", "mailboxes:\n  include: m.csv\n"))
    # the child's own peak: what wait4 tells includes the memory of the process that forked it
    program = (
        "import sys; from appliance.cli.main import run; code = run(['validate']);"
        "print(open('/proc/self/status').read(), file=sys.stderr); sys.exit(code)"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        said, status = process.stdout.read(), process.stderr.read()
        _, ended, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(ended)
    assert process.returncode == 0
    assert "100001 mailboxes" in said
    assert used.ru_utime + used.ru_stime < 4
    peak = int(status.partition("VmHWM:")[2].split()[0])
    assert peak < 200 * 1024  # kB


# -- schema -----------------------------------------------------------------------------------------------------------
def test_schema_is_printed(shell: Shell) -> None:
    end = shell("schema")
    assert json.loads(end.stdout)["required"] == ["version", "name", "hostname", "postmaster", "domains"]


# -- explain ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("message_size", "message_size"),
        ("domains.*.dkim.selector", "domains.*.dkim.selector"),
        ("domains.example.org.dkim.selector", "domains.*.dkim.selector"),
        ('mailboxes."alice@example.org".quota', "mailboxes.*.quota"),
        ("mailboxes.alice@example.org", "mailboxes"),
        ("roles.policy.recipients_per_hour", "roles.policy.recipients_per_hour"),
    ],
)
def test_fields_are_found(asked: str, found: str) -> None:
    assert find(asked, FIELDS).path == found


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("mesage_size", "did you mean message_size?"),
        ("domains.*.dkim.selektor", "did you mean domains.*.dkim.selector?"),
        ("selector", "did you mean domains.*.dkim.selector?"),
        ("roles.clamv", "did you mean roles.clamav?"),
        ("zzz", "`appliance explain` lists them"),
    ],
)
def test_fields_that_are_not_there(asked: str, meant: str) -> None:
    with pytest.raises(UsageError) as why:
        find(asked, FIELDS)
    assert why.value.hint == meant


def test_every_field_is_explained() -> None:
    for doc in FIELDS.values():
        assert doc.about.text, doc.path
        assert doc.required or doc.section or doc.default, doc.path


def test_what_a_change_does_is_found_by_doing_it() -> None:
    """The promises of the design, seen in the computed effects."""
    mailboxes = effect(FIELDS["mailboxes"], ROLES)
    assert "users" in mailboxes.files["dovecot"]
    assert not mailboxes.anew, "adding a mailbox makes no container anew"
    assert {mailboxes.action(s) for s in mailboxes.files} <= {"none", "map"}, "adding a mailbox reloads nothing"
    ports = effect(FIELDS["listen.ports.imaps"], ROLES)
    assert set(ports.anew) == {"dovecot"}
    assert ports.anew["dovecot"] == {"ports"}
    spf = effect(FIELDS["domains.*.spf.all"], ROLES)
    assert (spf.files, spf.anew, spf.records) == ({}, {}, {"example.org TXT"})
    assert effect(FIELDS["name"], ROLES).instance
    size = effect(FIELDS["message_size"], ROLES)
    assert {"postfix", "clamd"} <= set(size.files) | set(size.anew)


@pytest.mark.slow
@pytest.mark.parametrize("path", CHANGEABLE)
def test_every_field_can_be_changed(path: str) -> None:
    """Each has another value that the example can be rendered with, or says why not."""
    found = effect(FIELDS[path], ROLES)
    assert found.summary()
    if not found.refused and not path.startswith("tls."):
        assert list(found.lines()), f"{path} reaches nothing"


def test_explain_as_it_is_printed(shell: Shell) -> None:
    end = shell("explain", "domains.*.dmarc.policy")
    assert end.returncode == 0
    assert "changes records of DNS only" in end.stdout
    assert "one of none, quarantine, reject" in end.stdout
    said = json.loads(shell("--json", "explain", "message_size").stdout)
    assert (said["unit"], said["default"]) == ("bytes", "25 MiB")
    assert "main.cf" in said["files"]["postfix"]
    end = shell("explain", "mesage_size")
    assert (end.returncode, end.stdout) == (64, "")
    assert "did you mean message_size?" in end.stderr


# -- init ------------------------------------------------------------------------------------------------------------------
def test_init_writes_a_valid_spec_once(tmp_path: Path, shell: Shell) -> None:
    end = shell("init", "Bücher.example", "--mailbox", "jürgen@bücher.example", "-o", "new")
    assert end.returncode == 0, end.stderr
    assert end.stdout.split() == ["new/mail.yml", "new/appliance.schema.json"]
    password = re.search(r"the password of jürgen@bücher.example is (\S+) and is shown only now", end.stderr)
    assert password
    text = (tmp_path / "new/mail.yml").read_text()
    assert password[1] not in text
    assert stat.S_IMODE((tmp_path / "new/mail.yml").stat().st_mode) == 0o600
    spec = load(text, "mail.yml", ROLES, DiskReader(tmp_path / "new")).spec
    assert spec.hostname == "mail.xn--bcher-kva.example"
    assert spec.postmaster == "jürgen@xn--bcher-kva.example"
    assert spec.listen.ports.smtp == 25
    assert json.loads((tmp_path / "new/appliance.schema.json").read_text())["properties"]
    again = shell("init", "example.org", "-o", "new")
    assert again.returncode == 1
    assert "nothing was written" in again.stderr
    assert (tmp_path / "new/mail.yml").read_text() == text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["init"], "init needs a domain"),
        (["init", "localhost"], "not fully qualified"),
        (["init", "example.org", "--mailbox", "a@example.net"], "not an address of example.org"),
        (["init", "example.org", "--mailbox", "a b"], "--mailbox:"),
    ],
)
def test_init_without_what_it_needs(tmp_path: Path, shell: Shell, words: list[str], said: str) -> None:
    end = shell(*words)
    assert (end.returncode, end.stdout) == (64, "")
    assert said in end.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("found", "kept", "word"),
    [
        (("198.51.100.1",), (), "only private addresses"),  # documentation addresses are nobody's
        (("9.9.9.9", "2620:fe::fe"), ("9.9.9.9", "2620:fe::fe"), '[9.9.9.9, "2620:fe::fe"]'),
        (("10.0.0.5", "2620:fe::fe"), ("2620:fe::fe",), '["2620:fe::fe"]'),
        (("10.0.0.5",), (), "only private addresses (10.0.0.5)"),
        ((), (), "no way to the internet"),
    ],
)
def test_addresses_of_the_draft(found: tuple[str, ...], kept: tuple[str, ...], word: str) -> None:
    text = draft(Answers("example.org", "alice@example.org", HASH, found))
    assert word in text
    loaded = load(text, "mail.yml", ROLES, example.Reader())
    assert loaded.spec.addresses == kept
    assert [p.kind for p in loaded.warnings] == ([] if kept else ["no-public-address"])


@pytest.mark.parametrize(("memory", "enabled"), [(2**30, False), (4 * 2**30, True), (0, True)])
def test_a_small_machine_gets_no_scanner(memory: int, enabled: bool) -> None:
    spec = load(draft(Answers("example.org", "alice@example.org", HASH, (), memory)), "mail.yml", ROLES, example.Reader()).spec
    assert spec.roles["clamav"].enabled is enabled


def test_the_draft_keeps_the_example_s_comments() -> None:
    text = draft(Answers("example.org", "alice@example.org", HASH))
    mine, theirs = ({line for line in t.splitlines() if line.lstrip().startswith("# ")} for t in (text, example.text()))
    assert len(theirs - mine) < len(theirs) / 3
    assert "example-signatures" not in text
    assert "2525" not in text
