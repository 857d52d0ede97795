"""Adding a role is adding a folder: one of the tests' own is validated, explained, joined, started and checked."""

from __future__ import annotations

import json
import os
import smtplib
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROLES = Path(__file__).parents[1] / "fixtures" / "roles"
SPEC = """\
version: 1
name: {name}
hostname: mail.stamp.example
addresses: [203.0.113.40]
postmaster: anna@stamp.example
listen:
  address: 127.0.0.1
  ports: {{smtp: {smtp}, submission: {submission}, submissions: {submissions}, imaps: {imaps}, imap: null, pop3: null,
    pop3s: null, sieve: null}}
domains: {{stamp.example: {{}}}}
mailboxes:
  anna@stamp.example: {{password: "{hash}"}}
roles: {{clamav: off, resolver: off, stamp: {stamp}}}
"""


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The program as a user runs it, with the tests' role folder beside the product's."""

    def run(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"APPLIANCE_ROLES": str(ROLES)}
        command = [sys.executable, "-m", "appliance", *words]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, input=stdin, capture_output=True, text=True, check=False, timeout=400
        )

    return run


def test_an_added_role(
    tmp_path: Path, instance: str, ports: Callable[[int], tuple[int, ...]], run: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    smtp, submission, submissions, imaps = ports(4)
    hashed = run("keys", "hash", "--scheme", "BLF-CRYPT", stdin="anna-secret\n").stdout.strip()
    fields = {
        "name": instance,
        "smtp": smtp,
        "submission": submission,
        "submissions": submissions,
        "imaps": imaps,
        "hash": hashed,
    }

    def write(stamp: str) -> None:
        (tmp_path / "mail.yml").write_text(SPEC.format(stamp=stamp, **fields))

    # its options are typed: a misspelt one and a wrong type are found at their place
    write("{hedder: X-A, text: [1]}")
    refused = run("validate")
    assert refused.returncode == 65
    assert "roles.stamp.hedder" in refused.stderr
    assert "did you mean header" in refused.stderr
    assert "roles.stamp.text" in refused.stderr

    # it is explained, with the file that it reaches
    explained = run("explain", "roles.stamp.header").stdout
    assert "Name of the header field that is added" in explained
    assert "stamp.py" in explained

    # it is joined, rendered, started, and mail goes through it
    write("{header: X-Tested-By}")
    up = run("up", "--no-verify")
    assert up.returncode == 0, up.stderr
    with smtplib.SMTP("127.0.0.1", smtp, timeout=30) as client:
        client.sendmail("x@elsewhere.example", ["anna@stamp.example"], b"Subject: stamped\r\n\r\nhello\r\n")
    assert "X-Tested-By: yes" in _mail(imaps)

    # its checks run with everybody's
    checked = run("verify", "--json")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "test_the_socket_is_open_to_postfix" in checked.stdout
    assert json.loads(checked.stdout.splitlines()[0])["type"] == "version"

    # and it goes as it came
    write("off")
    gone = run("up", "-y", "--no-verify")
    assert gone.returncode == 0, gone.stderr
    assert "stamp" not in run("ps").stdout


def _mail(port: int) -> str:
    """The one message in the mailbox, as soon as it is there."""
    import imaplib
    import ssl

    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    deadline = time.monotonic() + 30
    with imaplib.IMAP4_SSL("127.0.0.1", port, ssl_context=context) as client:
        client.login("anna@stamp.example", "anna-secret")
        while time.monotonic() < deadline:
            client.select()
            found = client.search(None, "ALL")[1][0].split()
            if found:
                return bytes(client.fetch(found[-1].decode(), "(RFC822)")[1][0][1]).decode()  # type: ignore[index]
            client.noop()
            time.sleep(0.1)
    raise AssertionError("no mail within 30 s")
