"""The doorway: what is read, where it stands, and that no text whatever makes a traceback."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.errors import InvalidSpec, Problem
from appliance.spec import example
from appliance.spec.load import Loaded, load
from appliance.spec.model import Alias, Folder, Mailbox, RoleSettings, Route
from tests.badspecs.gallery import CATALOG

HASH = "{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1$1QhRN5MTlhBhLpn7KfVeXQ$1yzZCqLlK6CpI+Xo6JNY50Q84O86WSNUi2IAXBJn7iw"
MINIMAL = f"""\
version: 1
name: tiny
hostname: mail.example.org
addresses: [203.0.113.7]
postmaster: alice@example.org
domains:
  example.org: {{}}
mailboxes:
  alice@example.org:
    password: "{HASH}"
"""


class Shelf:
    """A Reader over texts."""

    def __init__(self, files: Mapping[str, str | bytes] = {}) -> None:
        self.files = {name: data.encode() if isinstance(data, str) else data for name, data in files.items()}

    def file(self, path: str) -> bytes:
        if path not in self.files:
            raise FileNotFoundError(path)
        return self.files[path]

    def folder(self, path: str) -> Mapping[str, bytes]:
        found = {n.removeprefix(f"{path}/"): data for n, data in self.files.items() if n.startswith(f"{path}/")}
        if not found:
            raise FileNotFoundError(path)
        return found


def read(text: str, files: Mapping[str, str | bytes] = {}) -> Loaded:
    return load(text, "mail.yml", CATALOG, Shelf(files))


def refused(text: str, files: Mapping[str, str | bytes] = {}) -> tuple[Problem, ...]:
    with pytest.raises(InvalidSpec) as why:
        read(text, files)
    return why.value.problems


def with_mailboxes(body: str) -> str:
    return MINIMAL.partition("mailboxes:")[0] + f"mailboxes:{body}\n"


# -- what is valid -------------------------------------------------------------------------------------------
def test_the_example_is_valid_and_says_what_it_shows() -> None:
    loaded = load(example.text(), "mail.yml", CATALOG, example.Reader())
    assert loaded.warnings == ()
    assert loaded.spec.name == "example"
    assert loaded.spec.listen.ports.model_dump() == {
        "smtp": 2525, "submission": 2587, "submissions": 2465, "imap": 2143, "imaps": 2993, "pop3": 2110, "pop3s": 2995,
        "sieve": 24190,
    }  # fmt: skip
    assert list(loaded.spec.mailboxes) == list(example.PASSWORDS)
    signatures = loaded.spec.roles["clamav"].options["signatures"]
    assert isinstance(signatures, Folder)
    assert list(signatures.files) == ["eicar.ndb"]


def test_the_example_s_passwords_are_those_of_its_hashes() -> None:
    argon2 = pytest.importorskip("argon2")
    spec = load(example.text(), "mail.yml", CATALOG, example.Reader()).spec
    for address, password in example.PASSWORDS.items():
        hashed = spec.mailboxes[address].password
        assert hashed is not None
        assert argon2.PasswordHasher().verify(hashed.removeprefix("{ARGON2ID}"), password)


def test_the_example_is_a_virus_scanner_s_test_and_not_its_victim() -> None:
    eicar = bytes.fromhex("58354f2150254041505b345c505a58353428505e2937434329377d2445494341522d")
    for data in example.files().values():
        assert eicar not in data
    name, _, _, signature = example.files()["example-signatures/eicar.ndb"].decode().strip().split(":")
    assert name == "Eicar-Test-Signature"
    assert bytes.fromhex(signature).startswith(eicar)


def test_twelve_lines_are_enough() -> None:
    assert len(MINIMAL.splitlines()) <= 12
    loaded = read(MINIMAL)
    assert loaded.warnings == ()
    spec = loaded.spec
    assert spec.message_size == 25 * 2**20
    assert spec.domains["example.org"].dkim.algorithms == ("rsa-2048", "ed25519")
    assert set(spec.roles) == set(CATALOG)
    assert spec.roles["policy"] == RoleSettings(
        True, {"recipients_per_hour": 200, "window": 3600, "exempt": (), "quiet": False, "notify": None}
    )
    assert spec.roles["clamav"].options["unpacked"] == 400 * 2**20


def test_names_are_kept_in_one_spelling() -> None:
    text = MINIMAL.replace("example.org: {}", "example.org:\n  Bücher.Example: {catch_all: Jürgen@BÜCHER.example}")
    spec = read(
        text + f'  Jürgen@Bücher.example: {{password: "{HASH}"}}\naliases: {{Info@bücher.example: ALICE@Example.org}}\n'
    ).spec
    assert list(spec.domains) == ["example.org", "xn--bcher-kva.example"]
    assert spec.domains["xn--bcher-kva.example"].catch_all == "jürgen@xn--bcher-kva.example"
    assert spec.aliases == {"info@xn--bcher-kva.example": Alias(to=("alice@example.org",))}


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("alice@example.org", Alias(to=("alice@example.org",))),
        ("[alice@example.org, b@elsewhere.example]", Alias(to=("alice@example.org", "b@elsewhere.example"))),
        ("{to: alice@example.org, send_as: []}", Alias(to=("alice@example.org",), send_as=())),
        (
            "{to: [alice@example.org], send_as: alice@example.org}",
            Alias(to=("alice@example.org",), send_as=("alice@example.org",)),
        ),
    ],
)
def test_forms_of_an_alias(written: str, kept: Alias) -> None:
    assert read(MINIMAL + f"aliases:\n  sales@example.org: {written}\n").spec.aliases["sales@example.org"] == kept


def test_forms_of_next_hops() -> None:
    spec = read(
        MINIMAL
        + 'routes:\n  p.example: "[mx.p.example]:26"\n  q.example: {host: q.example, mx: true}\nrelay_host: r.example:465\n'
    ).spec
    assert spec.routes == {"p.example": Route(host="mx.p.example", port=26), "q.example": Route(host="q.example", mx=True)}
    assert spec.relay_host is not None
    assert (spec.relay_host.host, spec.relay_host.port) == ("r.example", 465)


@pytest.mark.parametrize(
    ("written", "enabled", "options"),
    [
        ("off", False, {}),
        ("false", False, {}),
        ("on", True, {}),
        ("{}", True, {}),
        ("", True, {}),
        ("{recipients_per_hour: 5, window: 2 h, exempt: alice@example.org}", True,
         {"recipients_per_hour": 5, "window": 7200, "exempt": ("alice@example.org",)}),
        ("{enabled: off, quiet: yes}", False, {"quiet": True}),
    ],
)  # fmt: skip
def test_switches_and_options_of_a_role(written: str, enabled: bool, options: dict[str, object]) -> None:
    settings_ = read(MINIMAL + f"roles:\n  policy: {written}\n").spec.roles["policy"]
    assert settings_.enabled is enabled
    defaults = read(MINIMAL).spec.roles["policy"].options
    assert settings_.options == {**defaults, **options}


def test_an_option_may_be_a_folder() -> None:
    files = {"mine/a.ndb": "x", "mine/b.ndb": "y"}
    found = read(MINIMAL + "roles: {clamav: {signatures: mine}}\n", files).spec.roles["clamav"].options["signatures"]
    assert found == Folder("mine", {"a.ndb": b"x", "b.ndb": b"y"})
    assert "x" not in repr(found).replace("mine", "")


def test_one_address_or_a_list() -> None:
    assert read(MINIMAL + "listen: {address: 127.0.0.1}\n").spec.listen.address == ("127.0.0.1",)
    assert read(MINIMAL + 'listen: {address: [127.0.0.1, "::1"]}\n').spec.listen.address == ("127.0.0.1", "::1")


# -- anchors and includes ------------------------------------------------------------------------------------
def test_anchors_and_merge_keys() -> None:
    body = f"""
  alice@example.org: &base {{password: "{HASH}", quota: 1 GiB}}
  bob@example.org: *base
  carol@example.org: {{<<: *base, quota: 2 GiB}}"""
    boxes = read(with_mailboxes(body)).spec.mailboxes
    assert boxes["bob@example.org"] == boxes["alice@example.org"]
    assert boxes["carol@example.org"] == Mailbox(password=HASH, quota=2 * 2**30)


def test_anchors_do_not_make_a_bomb() -> None:
    text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    for one, two in zip("abcdefgh", "bcdefghi", strict=True):
        text += f"{two}: &{two} [{', '.join([f'*{one}'] * 10)}]\n"
    began = time.monotonic()
    assert {p.kind for p in refused(text)} == {"yaml-anchor"}
    assert time.monotonic() - began < 5


def test_includes_of_every_kind_and_inline_beside_them() -> None:
    text = MINIMAL.replace("mailboxes:\n", "mailboxes:\n  include: [many.csv, more.yml]\n") + (
        "aliases: {include: aliases.yml, own@example.org: alice@example.org}\n"
        "routes: {include: [r1.yml, r2.yml]}\n"
        "include: rest.yml\n"
    )
    files = {
        "many.csv": f'address,password,quota\n# a remark\nbob@example.org,"{HASH}",1 GiB\n\ncarol@example.org,,\n',
        "more.yml": "dave@example.org: {quota: 3 GiB}\n",
        "aliases.yml": "sales@example.org: [alice@example.org, bob@example.org]\n",
        "r1.yml": "p.example: p.example\n",
        "r2.yml": "q.example: q.example\n",
        "rest.yml": "message_size: 30 MiB\nlogs: {keep: 30 days}\n",
    }
    loaded = read(text, files)
    assert set(loaded.spec.mailboxes) == {f"{n}@example.org" for n in ("alice", "bob", "carol", "dave")}
    assert set(loaded.spec.aliases) == {"own@example.org", "sales@example.org"}
    assert set(loaded.spec.routes) == {"p.example", "q.example"}
    assert loaded.spec.message_size == 30 * 2**20
    assert [p.kind for p in loaded.warnings] == ["no-password"]


def test_a_list_may_be_split_over_files() -> None:
    files = {"a.yml": "- 203.0.113.8\n- 203.0.113.9\n"}
    assert read(MINIMAL.replace("[203.0.113.7]", "[203.0.113.7, {include: a.yml}]"), files).spec.addresses == (
        "203.0.113.7", "203.0.113.8", "203.0.113.9",
    )  # fmt: skip
    assert read(MINIMAL.replace("[203.0.113.7]", "{include: a.yml}"), files).spec.addresses == ("203.0.113.8", "203.0.113.9")


def test_the_spf_field_named_include_is_no_include() -> None:
    spec = read(MINIMAL.replace("example.org: {}", "example.org: {spf: {include: _spf.mailer.example}}")).spec
    assert spec.domains["example.org"].spf.include == ("_spf.mailer.example",)


# -- rows ----------------------------------------------------------------------------------------------------
ROWS = [
    ("bob", f'"{HASH}"', "1 GiB"), ("carol", "", ""), ("DAVE", f'"{HASH}"', ""), ("erin", "", "500 MB"),
    ("f.g", f'"{HASH}"', "0"),
]  # fmt: skip


def test_rows_and_inline_agree() -> None:
    """The fast way and the model's way must give the same objects."""
    rows = "address,password,quota\n" + "".join(f"{n}@example.org,{p},{q}\n" for n, p, q in ROWS)
    inline = "".join(f"\n  {n}@example.org: {{password: {p or 'null'}, quota: {q or 'null'}}}" for n, p, q in ROWS)
    head = with_mailboxes("").replace("alice@", "bob@")
    by_csv = load(
        head.replace("mailboxes:\n", "mailboxes: {include: m.csv}\n"), "m", CATALOG, Shelf({"m.csv": rows})
    ).spec.mailboxes
    by_hand = read(head.replace("mailboxes:\n", f"mailboxes:{inline}\n")).spec.mailboxes
    assert by_csv == by_hand
    for name, box in by_csv.items():
        assert box.model_dump() == by_hand[name].model_dump()
        assert box == Mailbox.model_validate(box.model_dump())
        assert hash(box) == hash(by_hand[name])
        with pytest.raises(ValueError, match="frozen"):
            box.quota = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("csv", "where"),
    [
        (f'address,password,quota\nbob@example.org,"{HASH}",5\n', (2, 17 + len(HASH) + 2 + 1)),
        ("address,quota\n\n# remark\nbob@example.org,5\n", (4, 17)),
        ("quota,address\r\n1 GiB,bob@example\r\n", (2, 7)),
        ('address\n"bob@example.org"\nbob@example.org\n', (3, 1)),
    ],
)
def test_a_row_that_fails_is_shown_at_its_column(csv: str, where: tuple[int, int]) -> None:
    problems = refused(MINIMAL.replace("mailboxes:\n", "mailboxes:\n  include: m.csv\n"), {"m.csv": csv})
    (problem,) = (p for p in problems if p.level == "error")
    assert (problem.at.file, problem.at.line, problem.at.column) == ("m.csv", *where)


# -- places --------------------------------------------------------------------------------------------------
def test_where() -> None:
    files = {"m.csv": f'address,password,quota\nx@example.org,,\nBob@example.org,"{HASH}",1 GiB\n'}
    text = (
        MINIMAL.replace("mailboxes:\n", "mailboxes:\n  include: m.csv\n") + "aliases:\n  sales@example.org: Alice@example.org\n"
    )
    where = read(text, files).where
    places = {
        ("hostname",): "mail.yml:3:11",
        ("addresses", 0): "mail.yml:4:13",
        ("domains", "example.org"): "mail.yml:7:3",
        ("domains", "example.org", "dkim", "selector"): "mail.yml:7:3",  # a default stands where it could be said
        ("mailboxes", "alice@example.org", "password"): "mail.yml:11:15",
        ("mailboxes", "bob@example.org", "quota"): "m.csv:3:1",
        ("aliases", "sales@example.org", "to", 0): "mail.yml:13:22",
        ("message_size",): "mail.yml:1:1",
    }
    for path, place in places.items():
        assert str(where(path)) == place, path


@pytest.mark.parametrize("end", ["\n", "\r\n", "\u2028"])
def test_lines_are_counted_as_yaml_counts_them(end: str) -> None:
    (problem,) = refused(MINIMAL.replace("\n", end) + f"colour: blue{end}")
    assert (problem.at.line, problem.at.column, problem.at.text) == (11, 1, "colour: blue")


def test_a_byte_order_mark_is_no_character() -> None:
    (problem,) = refused("\ufeff" + MINIMAL.replace("version: 1", "version: 7"))
    assert (problem.at.line, problem.at.column) == (1, 10)
    assert read("\ufeff" + MINIMAL).spec.name == "tiny"


def test_secrets_are_shown_nowhere() -> None:
    body = "\n  alice@example.org: {passwort: hunter2 and more, quota: 1}\n  bob@example.org: |\n    hunter2\n    hunter2\n"
    for problem in refused(with_mailboxes(body)):
        assert "hunter2" not in f"{problem.message}{problem.hint}{problem.at.text}"


# -- no text makes a traceback -------------------------------------------------------------------------------
NASTY = [
    "", " ", "\n\n", "---", "...", "--- \n...\n---", "null", "~", "1", "text", "[]", "{}", "? ", ": ", "- ", "[", "]", "{", "}",
    "'", '"', "\t", "a:\n\t- b", "%YAML 1.1", "%YAML 9.9\n---\na: b", "!!python/object:os.system x", "!!binary abc",
    "!!set {a, b}", "&a *a", "*a", "a: &a {b: *a}", "<<: *x", "<<: 7", "? {a: b}\n: c", "a: !!int x", "a: !!float x",
    "a: 0x", "a: 1_000", "a: .inf", "a: 2001-01-01", "a: !!int 09", "a: !!bool x", "a: !!null x", "a: " + "9" * 5000,
    "version: 1\nversion: 1", "mailboxes: {include: {a: b}}", "mailboxes: {include: []}", "include: [[]]",
    "aliases: {include: mail.yml}", "domains: {x.example: []}", "roles: {policy: []}", "roles: []", "domains: 7",
    "roles: {policy: {window: {}}}", "mailboxes: text", "listen: []", "listen: {ports: []}", "tls: files", "relay_host: []",
    "routes: {a.example: []}", "routes: {a.example: {}}", "\ud800", "[" * 100_000, "{" * 3000, "- " * 50_000, "a: " * 500,
    "\x00", "\x85", "\ufffe", "# only", "a: b\n" * 3,
]  # fmt: skip


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_nasty_texts_are_refused_in_words(text: str) -> None:
    problems = refused(text, {"mail.yml": text.encode("utf-8", "surrogatepass")})
    assert all(p.at.line >= 1 and p.at.column >= 1 and p.message for p in problems)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_damaged_example_is_refused_in_words_or_still_valid(data: st.DataObject) -> None:
    text = example.text()
    start = data.draw(st.integers(0, len(text)))
    stop = data.draw(st.integers(start, min(len(text), start + 40)))
    junk = data.draw(st.text(alphabet="ab:{}[],\"'&*!|>%@#-? \n\t0x1.\u00e9\u2028", max_size=6))
    problems: tuple[Problem, ...] = ()
    try:
        problems = load(text[:start] + junk + text[stop:], "mail.yml", CATALOG, example.Reader()).warnings
    except InvalidSpec as why:
        problems = why.problems
    assert all(p.at.line >= 1 and p.at.column >= 1 and p.message for p in problems)
