"""What Postfix and the policy complete in a submitted header, what they leave out, and that they touch nothing else."""

from __future__ import annotations

import ipaddress
import re
import secrets
from email.utils import parsedate_to_datetime

import pytest

from tests.integration.mail import (
    CLIENT,
    arrive_as,
    header,
    read,
    submit_as,
    until_accepted,
    valid_signatures,
)
from tests.integration.running import Appliance

INFO = "info@xn--bcher-kva.example"
JURGEN, JURGEN_LOGIN = "jürgen@bücher.example", "jürgen@xn--bcher-kva.example"
PLACES = {"bob@example.org": "example.org", INFO: "xn--bcher-kva.example"}


def field(data: bytes, name: str) -> list[str]:
    """The values of a field, unfolded."""
    flat = re.sub(rb"\r\n(?=[ \t])", b"", header(data)).decode()
    return re.findall(rf"^{name}: *(.*?)\r?$", flat, re.IGNORECASE | re.MULTILINE)


@pytest.mark.parametrize("login", PLACES)
@pytest.mark.parametrize(
    ("sent", "arrives"),
    [
        ("From: Somebody (unqualified) <{local}>", "Somebody (unqualified) <{login}>"),
        ("From: {local}", "{login}"),
        ("X-None: no From at all", "{login}"),
    ],
    ids=["a name", "bare", "none"],
)
def test_a_submitted_header_is_completed(appliance_up: Appliance, login: str, sent: str, arrives: str) -> None:
    """Date and Message-ID are added, From gets the login's domain, and all of that is signed."""
    words = {"login": login, "local": login.partition("@")[0]}
    mark = secrets.token_hex(8)
    data = f"To: undisclosed-recipients:;\r\nSubject: {mark}\r\n{sent.format(**words)}\r\n\r\nx\r\n".encode()
    assert until_accepted(lambda: submit_as(appliance_up, data, "alice@example.org", login)).accepted
    found = read(appliance_up, f'SUBJECT "{mark}"')
    assert field(found, "From") == [arrives.format(**words)]
    (date,), (ident,) = field(found, "Date"), field(found, "Message-Id")
    assert parsedate_to_datetime(date).tzinfo
    assert re.fullmatch(r"<[^<>@\s]+@mail\.example\.org>", ident)
    domain = PLACES[login]
    assert valid_signatures(appliance_up, found) == [f"{domain} ed25519-sha256", f"{domain} rsa-sha256"]
    for signature in field(found, "DKIM-Signature"):
        covered = re.findall(r"[\w-]+", signature.lower().rpartition("h=")[2].partition(";")[0])
        assert {"from", "date", "message-id"} <= set(covered)


def test_the_submitters_address_is_nowhere(appliance_up: Appliance) -> None:
    """Nor its name; of a stranger's mail both are told, which shows that they would be found here."""
    mark, network = secrets.token_hex(8), ipaddress.ip_network(appliance_up.target().topology.network.subnet)
    for way in ("submitted", "from a stranger"):
        data = f"From: alice@example.org\r\nSubject: {mark} {way}\r\n\r\nx\r\n".encode()
        if way == "submitted":
            assert until_accepted(
                lambda data=data: submit_as(appliance_up, data, "bob@example.org", "alice@example.org")
            ).accepted
        else:
            assert until_accepted(lambda data=data: arrive_as(appliance_up, data, "bob@example.org")).accepted
        text = header(read(appliance_up, f'SUBJECT "{mark} {way}"', "bob@example.org")).decode()
        numbers = [ipaddress.ip_address(n) for n in re.findall(r"\d+\.\d+\.\d+\.\d+", text)]
        told = {CLIENT} & set(re.findall(r"[\w.-]+", text)) | {str(n) for n in numbers if n in network or n.is_loopback}
        assert (told == set()) is (way == "submitted"), text


#: 8-bit text that is no UTF-8, a dot alone, the longest line of RFC 5321, 4.5.3.1.6, no end of line of its own
BODY = "Straße ☃\r\n".encode() + b"\xe4\xf6\x80\xff\r\n.\r\n..\r\n \t\r\n" + b"x" * 998 + b"\r\n\r\n"


@pytest.mark.parametrize("way", ["submitted", "from a stranger"])
def test_international_mail_arrives_byte_for_byte(appliance_up: Appliance, way: str) -> None:
    """RFC 6531 and 6532: UTF-8 in both halves of addresses and in the header, 8-bit text; nothing is rewritten or encoded."""
    mark = secrets.token_hex(8)
    sender = JURGEN if way == "submitted" else "müller@elsewhere.example"
    sent = (
        f"From: Jürgen Größe <{sender}>\r\nTo: {JURGEN}\r\nSubject: übergröße  {mark}\r\n folded\r\n"
        "Date: Tue, 24 Nov 2026 13:00:00 +0000\r\n"
        f"Message-ID: <{mark}@bücher.example>\r\nX-Note: значение\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    ).encode() + BODY
    if way == "submitted":
        assert until_accepted(lambda: submit_as(appliance_up, sent, JURGEN, JURGEN_LOGIN, sender)).accepted
    else:
        assert until_accepted(lambda: arrive_as(appliance_up, sent, JURGEN, sender)).accepted
    found = read(appliance_up, f'HEADER Message-ID "{mark}"', JURGEN_LOGIN)
    assert found.endswith(sent), found
    added = found.removesuffix(sent).decode()
    assert f"Return-Path: <{sender}>\r\n" in added
    names = set(re.findall(r"^([\w-]+):", added, re.MULTILINE))
    assert names <= {"Return-Path", "Delivered-To", "Received", "DKIM-Signature"}
    signed = ["xn--bcher-kva.example ed25519-sha256", "xn--bcher-kva.example rsa-sha256"]
    assert valid_signatures(appliance_up, found) == (signed if way == "submitted" else [])
