"""Look-ups against a name server on loopback that serves exactly what `dns records --format zone` prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.dns import live
from appliance.dns.compare import compare, questions
from appliance.dns.live import look_up, look_up_all, resolver
from appliance.dns.wanted import wanted
from appliance.dns.zone import snippet
from appliance.errors import UsageError
from tests.unit.dns_stub import Zone, free_port, serve
from tests.unit.keys_room import Told, ring, spec


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_PATIENCE", 0.5)


def test_what_is_printed_and_published_is_found_well(tmp_path: Path) -> None:
    of = spec(("example.org", "bücher.example"), settings={"dkim": {"algorithms": ("rsa-2048", "ed25519")}})
    keys = ring(tmp_path)
    keys.create(of, Told())
    records = wanted(of, keys.view(of), (4, 6))
    asked_for = "".join(f"{r}\n" for r in records if r.provider)
    with serve(Zone(snippet(records, of) + asked_for)) as server:
        using = resolver(server)
        answers = look_up_all(using, questions(records, of))
        found = compare(records, of, lambda name, kind: answers.get((name, kind)) or look_up(using, name, kind))
    assert {f.status for f in found} == {"ok"}
    assert len(found) == len(records)


TEXT = """
example.org. 60 IN MX 10 Mail.Example.ORG.
none.example. 60 IN MX 0 .
example.org. 60 IN TXT "one " "two"
example.org. 60 IN TXT "other"
7.113.0.203.in-addr.arpa. 60 IN PTR Mail.example.org.
mail.example.org. 60 IN A 203.0.113.7
mail.example.org. 60 IN A 203.0.113.8
"""


@pytest.mark.parametrize(
    ("name", "kind", "values"),
    [
        ("example.org", "MX", ("10 mail.example.org",)),
        ("none.example", "MX", ("0 .",)),
        ("example.org", "TXT", ("one two", "other")),
        ("7.113.0.203.in-addr.arpa", "PTR", ("mail.example.org",)),
        ("mail.example.org", "A", ("203.0.113.7", "203.0.113.8")),
        ("mail.example.org", "AAAA", ()),
        ("nobody.example.org", "A", ()),
    ],
)
def test_answers_in_the_form_of_records(name: str, kind: str, values: tuple[str, ...]) -> None:
    with serve(Zone(TEXT)) as server:
        answer = look_up(resolver(server), name, kind)
    assert (answer.values, answer.failed) == (values, "")


@pytest.mark.parametrize(
    ("zone", "words"),
    [(Zone("", failing=("example.org",)), "the name servers fail"), (Zone("", silent=("example.org",)), "no answer in time")],
    ids=["servfail", "silent"],
)
def test_a_failure_is_not_an_empty_answer(zone: Zone, words: str) -> None:
    with serve(zone) as server:
        answer = look_up(resolver(server), "example.org", "MX")
    assert words in answer.failed


def test_a_resolver_that_is_not_there() -> None:
    answer = look_up(resolver(f"127.0.0.1@{free_port()}"), "example.org", "MX")
    assert answer.failed


@pytest.mark.parametrize(("server", "port"), [("192.0.2.1", 53), ("::1", 53), ("127.0.0.1@5353", 5353)])
def test_a_resolvers_address(server: str, port: int) -> None:
    made = resolver(server)
    assert (made.nameservers, made.port) == ([server.partition("@")[0]], port)


@pytest.mark.parametrize("server", ["resolver.example", "1.2.3", "127.0.0.1@dns", "@53"])
def test_what_is_not_a_resolvers_address(server: str) -> None:
    with pytest.raises(UsageError, match="not a resolver's address"):
        resolver(server)
