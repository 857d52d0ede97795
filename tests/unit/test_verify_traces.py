"""Which lines of a log count against a verification: those about its own messages, and a daemon's own last words."""

from __future__ import annotations

import re

import pytest

from appliance.verify.steps.traces import speaks_ill

OURS = re.compile(r"(?<![\w.-])(?:4F3A2B001C|<probe\.1@mail\.example\.org>)(?![\w.-])")
MAIL = "Nov 24 13:00:12 mail postfix"

ILL = (
    # a daemon says it of itself
    f"{MAIL}/mx/smtpd[104]: fatal: open lmdb /config/live/mailboxes.lmdb: No such file or directory",
    f"{MAIL}/qmgr[96]: panic: myfree: corrupt or unallocated memory block",
    "postfix/postlog: fatal: the Postfix mail system is not running",
    "Nov  4 13:00:12 imap-login: Fatal: master: service(imap-login): child 7 killed with signal 11",
    "Nov 24 13:00:12 lmtp(bob@example.org)<205><FoC4OFyKBWvNAAAAwX/9vA>: Panic: file lmtp.c: line 7: assertion failed",
    "Nov 24 13:00:12 lmtp(7): Fatal: out of memory",
    "imap: Fatal: master: service(imap): child 7 killed with signal 11",
    "Nov 24 12:47:52 unbound[1:0] fatal error: could not open ports",
    "Traceback (most recent call last):",
    "panic: runtime error: invalid memory address",
    "Segmentation fault (core dumped)",
    # about a message of ours
    f"{MAIL}/cleanup[183]: warning: 4F3A2B001C: something odd",
    "Nov 24 13:00:12 lmtp(bob@example.org)<205><x>: Error: sieve: msgid=<probe.1@mail.example.org>: failed",
)
STRANGERS = (
    f"{MAIL}/mx/smtpd[104]: NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 550 5.1.1 no; proto=ESMTP helo=<panic:>",
    f"{MAIL}/mx/smtpd[104]: NOQUEUE: reject: RCPT from x[192.0.2.1]: 550; from=<fatal: x@y.example> helo=<x fatal: y>",
    f"{MAIL}/cleanup[183]: AAAAAAAAAA: message-id=<Segmentation fault>",
    f"{MAIL}/cleanup[183]: warning: AAAAAAAAAA: Panic Traceback (most recent call last)",
    f"{MAIL}/cleanup[183]: warning: A4F3A2B001C: not ours, its name only ends like one of ours",
    f"{MAIL}/mx/smtpd[104]: improper command pipelining after EHLO from x[192.0.2.1]: fatal: \\r\\npanic: ",
    "Nov 24 13:00:25 imap-login: Info: Login aborted (auth failed): user=<imap: Fatal: x>, rip=192.0.2.1",
    "Nov 24 13:00:25 auth: Info: passwd-file(Panic: x,192.0.2.1): unknown user",
    "Nov 24 13:00:25 lmtp(bob@example.org)<7><x>: Info: sieve: msgid=<lmtp: Panic: x>: stored mail into mailbox 'INBOX'",
    "refused: service=submission login=a@b.example sender=c@d.example 550 5.7.1 From: <panic: x> is not an address",
    "recipient='imap: Fatal: x' 451 4.3.0 Mailbox status is not known",
    "[1700000000] unbound[1:0] info: validation failure <fatal error: x. A IN>",
    f"{MAIL}/cleanup[183]: 4F3A2B001C: message-id=<probe.1@mail.example.org>",
)


@pytest.mark.parametrize("line", ILL)
def test_it_counts(line: str) -> None:
    assert speaks_ill(line, OURS)


@pytest.mark.parametrize("line", STRANGERS)
def test_it_does_not_count(line: str) -> None:
    assert not speaks_ill(line, OURS)


def test_without_messages_of_ours_only_a_daemons_own_words_count() -> None:
    assert [line for line in ILL if not speaks_ill(line, None)] == [line for line in ILL if OURS.search(line)]
