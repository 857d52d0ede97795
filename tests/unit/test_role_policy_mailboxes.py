"""How the policy filter reads a From field: what is read is certain, what is not certain is refused."""

from __future__ import annotations

import email.policy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpolicy.mailboxes import mailboxes, unfold

READ = [
    ("alice@example.org", ["alice@example.org"]),
    ("<alice@example.org>", ["alice@example.org"]),
    ("< alice@example.org >", ["alice@example.org"]),
    ("Alice <alice@example.org>", ["alice@example.org"]),
    ("Alice Q. Public <alice@example.org>", ["alice@example.org"]),
    ('"ceo@bank.example" <alice@example.org>', ["alice@example.org"]),
    ('"a \\"quoted\\" name, with a comma" <alice@example.org>', ["alice@example.org"]),
    ("=?utf-8?q?J=C3=BCrgen?= <alice@example.org>", ["alice@example.org"]),
    ("Jürgen <jürgen@bücher.example>", ["jürgen@bücher.example"]),
    ("alice@example.org (ceo@bank.example (nested))", ["alice@example.org"]),
    ("(first) alice@example.org", ["alice@example.org"]),
    ("ALICE@Example.ORG", ["alice@example.org"]),
    ('"alice"@example.org', ["alice@example.org"]),
    ('"a b"@example.org', ['"a b"@example.org']),
    ("a@example.org, B <b@example.org>", ["a@example.org", "b@example.org"]),
    ("alice", ["alice"]),
    ("Alice <alice>", ["alice"]),
    ("=?utf-8?q?bob=40example=2Eorg?=", ["=?utf-8?q?bob=40example=2eorg?="]),
]

REFUSED = [
    "",
    " ",
    "Alice Public",
    "ceo@bank.example <alice@example.org>",
    "<alice@example.org> <bob@example.org>",
    "alice@example.org bob@example.org",
    "a: ;",
    "g: bob@example.org;",
    "<@x.test:bob@example.org>",
    '"ceo@bank.example',
    "(x ceo@bank.example",
    "x <<y",
    "ceo@",
    "@example.org",
    "alice @example.org",
    "alice@ example.org",
    "alice(x)@example.org",
    "alice@example.org@other.example",
    "alice@[192.0.2.1]",
    "alice@example.org,",
    ",alice@example.org",
    "alice..b@example.org",
    "alice@example..org",
    "alice@example.org.",
    "alice\u00a0<x@y.test> <bob@example.org>",
    "alice@exa\u2028mple.org",
    "((((((((((x)))))))))) alice@example.org",
]


@pytest.mark.parametrize(("value", "found"), READ)
def test_what_mail_programs_write_is_read(value: str, found: list[str]) -> None:
    assert [m.address for m in mailboxes(value)] == found


@pytest.mark.parametrize("value", REFUSED)
def test_what_two_programs_may_read_otherwise_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        mailboxes(value)


@pytest.mark.parametrize(
    ("raw", "flat"),
    [("a\r\n b", "a b"), ("a\n\tb", "a\tb"), ("plain", "plain")],
)
def test_folded_lines_are_joined(raw: str, flat: str) -> None:
    assert unfold(raw) == flat


@pytest.mark.parametrize("raw", ["a\nb", "a\r", "a\0b", "a\x1bb", "a\x85b", "a\u2029b"])
def test_what_is_left_of_line_breaks_and_controls_is_refused(raw: str) -> None:
    with pytest.raises(ValueError, match="control"):
        unfold(raw)


@given(st.text(alphabet=st.sampled_from(list('ab@.<>()",;:\\ \t=?[]ü%!')), max_size=40))
def test_whatever_is_written_it_is_read_or_refused_in_time(value: str) -> None:
    try:
        found = mailboxes(value)
    except ValueError:
        return
    assert all(m.local and "<" not in m.domain and " " not in m.domain for m in found)


WORD = st.text(alphabet="abcxyz0-_", min_size=1, max_size=8)
ADDRESS = st.builds("{}@{}.example".format, WORD, st.text(alphabet="abc", min_size=1, max_size=6))


@given(st.text(alphabet=st.sampled_from(list('ab@.<>()",;:\\ \t')), max_size=12), ADDRESS, st.text(max_size=8))
def test_another_parser_never_finds_an_address_that_this_one_missed(before: str, address: str, after: str) -> None:
    """What is accepted names exactly the mailboxes that Python's own parser of RFC 5322 finds, where that one finds no defect."""
    value = f"{before}{address}{after}"
    try:
        found = [m.address for m in mailboxes(unfold(value))]
    except ValueError:
        return
    header: Any = email.policy.default.header_factory("From", value)
    if not header.defects:
        other = [a.addr_spec.lower() for a in header.addresses]
        assert [f.replace('"', "") for f in found] == [o.replace('"', "") for o in other]


@given(st.lists(st.tuples(st.text(alphabet="abc XYZ.", max_size=10), ADDRESS), min_size=1, max_size=4))
def test_every_well_formed_list_is_read(entries: list[tuple[str, str]]) -> None:
    value = ", ".join(f'"{name}" <{address}>' for name, address in entries)
    assert [m.address for m in mailboxes(value)] == [address for _, address in entries]
