"""The scanner in the running appliance: what is found, what cannot be scanned, and new signatures without a restart."""

from __future__ import annotations

import base64
import io
import secrets
import smtplib
import zipfile
from collections.abc import Callable

import pytest

from tests.integration.running import Appliance

#: the EICAR test file, in two parts so that no scanner takes this file for it
EICAR = (r"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*").encode()
MIB = 2**20


def archive(data: bytes, levels: int = 1) -> bytes:
    for _ in range(levels):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as made:
            made.writestr("attachment.bin", data)
        data = packed.getvalue()
    return data


def encrypted() -> bytes:
    """A zip whose only member says that it is encrypted (APPNOTE.TXT, 4.4.4: bit 0 of the flags, in both headers)."""
    made = bytearray(archive(b"secret" * 10))
    made[6] |= 1
    made[made.index(b"PK\x01\x02") + 8] |= 1
    return bytes(made)


def mail(attachment: bytes, first: bytes = b"") -> bytes:
    head = (
        b"From: stranger@elsewhere.example\r\nSubject: scan\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    )
    return first + head + base64.encodebytes(attachment).replace(b"\n", b"\r\n")


def said(where: Appliance, data: bytes) -> str:
    """The answer to the final dot on port 25."""
    with smtplib.SMTP("127.0.0.1", where.ports["smtp"], timeout=120) as client:
        client.ehlo("client.example")
        client.mail("stranger@elsewhere.example")
        client.rcpt("alice@example.org")
        code, text = client.data(data)
    return f"{code} {text.decode()}"


CASES: dict[str, tuple[Callable[[], bytes], str]] = {
    "clean": (lambda: mail(b"hello"), "250"),
    "an attachment": (lambda: mail(EICAR), "550 5.7.1 Message refused: it contains"),
    "in an archive": (lambda: mail(archive(EICAR, 3)), "550 5.7.1 Message refused: it contains"),
    "a first header that no mail has": (lambda: mail(EICAR, b"X-Odd: 1\r\n"), "550 5.7.1 Message refused: it contains"),
    "no header at all": (lambda: b"\r\n" + EICAR + b"\r\n", "550 5.7.1 Message refused: it contains"),
    "the last kilobyte": (lambda: mail(secrets.token_bytes(2 * MIB - 1200) + EICAR), "550 5.7.1 Message refused: it contains"),
    "the largest that is clean": (lambda: mail(secrets.token_bytes(2 * MIB - 1200)), "250"),
    "behind what is scanned of an archive": (
        lambda: mail(archive(bytes(220 * MIB) + EICAR, 2)),
        "550 5.7.1 Message refused: it could not be scanned completely",
    ),
    "encrypted": (lambda: mail(encrypted()), "250"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_refused_and_in_which_words(appliance_up: Appliance, case: str) -> None:
    make, answer = CASES[case]
    assert said(appliance_up, make()).startswith(answer)


def test_signatures_and_settings_change_without_a_new_container(appliance_up: Appliance) -> None:
    """A new signature is a reload of clamd; refusing encrypted archives restarts it. Afterwards all is as before."""
    spec = appliance_up.spec_path
    text, mark = spec.read_text(encoding="utf-8"), secrets.token_hex(8).encode()
    signature = spec.parent / "signatures" / "test.ndb"
    clamd = appliance_up.client.containers.get(f"{appliance_up.name}-clamd")
    assert said(appliance_up, mail(mark)).startswith("250")
    try:
        signature.write_text(f"Own.Test.NEW:0:*:{mark.hex()}\n")
        plan = appliance_up.cli("plan").stdout
        assert "reload" in plan
        appliance_up.cli("-y", "up", "--no-verify")
        assert said(appliance_up, mail(mark)).startswith("550 5.7.1 Message refused: it contains Own.Test.NEW")
        clamd.reload()
        started = clamd.attrs["State"]["StartedAt"]
        spec.write_text(text.replace("{signatures: signatures}", "{signatures: signatures, encrypted: refuse}"), encoding="utf-8")
        appliance_up.cli("-y", "up", "--no-verify")
        assert said(appliance_up, mail(encrypted())).startswith(
            "550 5.7.1 Message refused: it is encrypted and cannot be scanned"
        )
    finally:
        signature.unlink(missing_ok=True)
        spec.write_text(text, encoding="utf-8")
        appliance_up.cli("-y", "up", "--no-verify")
    assert said(appliance_up, mail(mark)).startswith("250")
    assert said(appliance_up, mail(encrypted())).startswith("250")
    again = appliance_up.client.containers.get(f"{appliance_up.name}-clamd")
    assert again.id == clamd.id
    assert again.attrs["State"]["StartedAt"] > started
