"""Who may send as whom: the filter's decisions, told as tables. No socket, no libmilter."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mailpolicy.ownership import Change, Owners, Refusal, judge
from mailpolicy.rate import Rate
from mailpolicy.session import Session
from mailpolicy.settings import Settings, settings
from mailpolicy.tables import addresses

OWNERS = Owners(
    addresses(
        """# address, logins
alice@example.org alice@example.org
bob@example.org bob@example.org
sales@example.org alice@example.org, bob@example.org
jürgen@bücher.example jürgen@xn--bcher-kva.example, jürgen@bücher.example
jürgen@xn--bcher-kva.example jürgen@xn--bcher-kva.example, jürgen@bücher.example
probe-1@example.org probe-1@example.org
"""
    )
)
SETTINGS = Settings(3, "+", "probe-1@example.org", ("example.org", "bücher.example", "mail.example.org"))
ALICE = "alice@example.org"
REDIRECT = [("X-Sieve", "Pigeonhole Sieve 2.4.1"), ("X-Sieve-Redirected-From", "bob@example.org")]


class Clock:
    """Seconds that a test moves."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def session(
    service: str = "submission", login: str = ALICE, rate: Rate | None = None, events: list[str] | None = None
) -> Session:
    return Session(SETTINGS, OWNERS, rate or Rate(Clock()), (events if events is not None else []).append, service, login)


def ask(sender: str, fields: Sequence[tuple[str, str]], service: str = "submission", login: str = ALICE) -> str:
    """The answer to a whole message: "" when it goes through, else "code text"."""
    message = session(service, login)
    refusal = message.mail(f"<{sender}>")
    for name, value in fields:
        message.header(name, value.encode("utf-8", "surrogateescape"))
    verdict: object = refusal or message.end_of_header()
    return f"{verdict.code} {verdict.text}" if isinstance(verdict, Refusal) else ""


SUBMITTED = [
    (ALICE, [("From", "Alice <alice@example.org>")], ""),
    ("ALICE@Example.ORG", [("From", ALICE)], ""),
    ("alice+x@example.org", [("From", "alice+y@example.org")], ""),
    (ALICE, [("From", "sales@example.org"), ("Sender", ALICE)], ""),
    ("", [("From", ALICE)], ""),
    (ALICE, [("From", "alice")], ""),
    (ALICE, [("From", f"{ALICE}, sales@example.org")], ""),
    (ALICE, [("from", ALICE), ("Resent-From", ALICE), ("Resent-From", ALICE)], ""),
    ("bob@example.org", [("From", ALICE)], "553 <bob@example.org> is not a sender address"),
    ("x@elsewhere.example", [("From", ALICE)], "553 <x@elsewhere.example> is not"),
    ("+x@example.org", [("From", ALICE)], "553"),
    ("", [("From", "MAILER-DAEMON@example.org")], "550 From: <mailer-daemon@example.org> is not an address of"),
    (ALICE, [("From", "bob@example.org")], "550 From: <bob@example.org> is not an address of alice@example.org"),
    (ALICE, [("From", ALICE), ("Sender", "bob@example.org")], "550 Sender: <bob@example.org>"),
    (ALICE, [("From", ALICE), ("RESENT-SENDER", "bob@example.org")], "550 RESENT-SENDER: <bob@example.org>"),
    (ALICE, [("From", f"{ALICE},\r\n bob@example.org")], "550 From: <bob@example.org>"),
    (ALICE, [("From", ALICE), ("From", ALICE)], "550 the message has more than one From field"),
    (ALICE, [("Sender", ALICE)], "550 the message has no From field"),
    (ALICE, [("From", "bob")], "550 From: <bob@example.org>"),
    (ALICE, [("From", "\udcff <alice@example.org>")], "550 the From field cannot be read for certain: not UTF-8"),
    (ALICE, [("From", "a: ;")], "550 the From field cannot be read for certain"),
    (ALICE, [("From", ALICE), *([("Resent-From", ALICE)] * 200)], "550 the message has too many fields"),
    # the header of a redirect opens nothing here
    (ALICE, [*REDIRECT, ("From", "bob@example.org")], "550 From: <bob@example.org>"),
]


@pytest.mark.parametrize(("sender", "fields", "answer"), SUBMITTED)
def test_the_login_owns_what_it_submits(sender: str, fields: list[tuple[str, str]], answer: str) -> None:
    found = ask(sender, fields)
    assert found.startswith(answer) if answer else found == "", found


def test_nobody_sends_without_a_login() -> None:
    assert ask(ALICE, [], login="") == "530 Authentication required"


def test_a_service_that_is_not_known_waits() -> None:
    """A misnamed service must not let mail through, and must not lose it."""
    assert ask(ALICE, [("From", ALICE)], service="mx").startswith("451")


@pytest.mark.parametrize("login", ["jürgen@bücher.example", "jürgen@xn--bcher-kva.example", "JÜRGEN@bücher.example"])
@pytest.mark.parametrize("address", ["jürgen@bücher.example", "Jürgen@xn--bcher-kva.example"])
def test_every_spelling_of_an_international_address_is_the_same(login: str, address: str) -> None:
    assert ask(address, [("From", f"J <{address}>")], login=login) == ""


REPORT = ("Content-Type", "multipart/report; report-type=disposition-notification;\r\n boundary=x")
NOTIFIED = ("Auto-Submitted", 'auto-notified; owner-email="bob@example.org"')
REPLIED = ("Auto-Submitted", "auto-replied (vacation)")

REINJECTED = [
    # what a script redirects is somebody else's
    ("stranger@elsewhere.example", [*REDIRECT, ("From", "stranger@elsewhere.example")], ""),
    ("", [*REDIRECT, ("From", "a: ;")], ""),
    # the same field further down is written by a script, in a notification's mailto: address
    (ALICE, [("X-Sieve", "x"), ("From", ALICE), NOTIFIED, REDIRECT[1]], "550 From: <alice@example.org> is not an address of bob"),
    # a vacation reply is its envelope sender's
    ("bob@example.org", [("X-Sieve", "x"), ("From", "bob@example.org"), REPLIED], ""),
    ("bob+lists@example.org", [("X-Sieve", "x"), ("From", "sales@example.org"), REPLIED], ""),
    ("bob@example.org", [("X-Sieve", "x"), ("From", ALICE), REPLIED], "550 From: <alice@example.org> is not an address of bob"),
    # a notification is its owner's, whatever :from says
    ("bob@example.org", [("X-Sieve", "x"), ("From", "bob@example.org"), NOTIFIED], ""),
    (ALICE, [("X-Sieve", "x"), ("From", ALICE), NOTIFIED], "550 From: <alice@example.org> is not an address of bob"),
    (ALICE, [("From", ALICE), REPLIED, NOTIFIED], "550 neither"),
    # a report is the mail system's own
    ("", [("From", "Postmaster <postmaster@example.org>"), REPORT, ("Auto-Submitted", "auto-replied (rejected)")], ""),
    ("", [("From", "MAILER-DAEMON@mail.example.org"), REPORT], ""),
    ("", [("From", ALICE), REPORT], "550 neither"),
    ("", [("From", "postmaster@elsewhere.example"), REPORT], "550 neither"),
    ("", [("From", "postmaster@example.org"), ("Content-Type", "text/plain; x=multipart/report")], "550 neither"),
    ("", [("From", '"x'), REPORT], "550 neither"),
    ("bob@example.org", [("From", "bob@example.org")], "550 neither a redirect nor"),
]


@pytest.mark.parametrize(("sender", "fields", "answer"), REINJECTED)
def test_what_the_mail_store_hands_back_is_its_user_s(sender: str, fields: list[tuple[str, str]], answer: str) -> None:
    found = ask(sender, fields, service="reinjected", login="")
    assert found.startswith(answer) if answer else found == "", found


@pytest.mark.parametrize(
    ("service", "sender", "fields", "null"),
    [
        ("reinjected", "bob@example.org", [("X-Sieve", "x"), ("From", "bob@example.org"), REPLIED], True),
        ("reinjected", "x@elsewhere.example", [*REDIRECT], False),
        ("reinjected", "", [("From", "postmaster@example.org"), REPORT], False),
        ("submission", ALICE, [("From", ALICE)], False),
    ],
)
def test_only_an_automatic_message_leaves_with_the_null_sender(
    service: str, sender: str, fields: list[tuple[str, str]], null: bool
) -> None:
    message = session(service)
    message.mail(f"<{sender}>")
    for name, value in fields:
        message.header(name, value.encode())
    assert message.to_null_sender is null


@pytest.mark.parametrize(
    ("value", "completed"),
    [
        ("alice", "alice@example.org"),
        ("Alice <alice>", "Alice <alice@example.org>"),
        ("alice, A <alice>", "alice@example.org, A <alice@example.org>"),
    ],
)
def test_a_sender_without_a_domain_gets_the_login_s(value: str, completed: str) -> None:
    assert judge(ALICE, [("From", value.encode())], OWNERS) == (Change("From", 1, completed),)


def test_the_probe_writes_to_itself_only_and_is_not_counted() -> None:
    rate = Rate(Clock())
    message = session(login="probe-1@example.org", rate=rate)
    assert all(message.recipient("<Probe-1@example.org>") is None for _ in range(10))
    refusal = message.recipient("<alice@example.org>")
    assert refusal is not None
    assert refusal.code == "550"


def test_the_recipient_after_the_last_one_waits_and_is_told_once() -> None:
    clock, events = Clock(), list[str]()
    rate = Rate(clock)
    # two spellings of one login share one count
    for login in ("jürgen@bücher.example", "jürgen@xn--bcher-kva.example", "jürgen@bücher.example"):
        assert session(login=login, rate=rate, events=events).recipient("<x@elsewhere.example>") is None
    for _ in range(3):
        refusal = session(login="jürgen@bücher.example", rate=rate, events=events).recipient("<x@elsewhere.example>")
        assert refusal is not None
        assert refusal.code == "450"
        assert refusal.text.isascii()
    assert len(events) == 1
    assert events[0].startswith("event=recipient-limit")
    assert session(login=ALICE, rate=rate).recipient("<x@elsewhere.example>") is None
    clock.now += 3600
    assert session(login="jürgen@bücher.example", rate=rate).recipient("<x@elsewhere.example>") is None


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("recipients_per_hour = 5", "delimiter"),
        ('recipients_per_hour = "5"\ndelimiter="+"\nprobe="p"\ndomains=[]', "recipients_per_hour"),
        ('recipients_per_hour = 5\ndelimiter="+"\nprobe="p"\ndomains=[]\nmore = 1', "more"),
        ("recipients_per_hour = ", "Invalid value"),
    ],
)
def test_settings_that_do_not_fit_are_refused(text: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        settings(text)
