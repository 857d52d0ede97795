"""What the user brings: a certificate with its key (``tls: {mode: files}``), the relay's credentials.

They are read where the spec says, at each use, and never copied into the ring.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from appliance.errors import ApplianceError
from appliance.keys import make
from appliance.keys.folder import read
from appliance.keys.view import RELAY_CREDENTIALS, TLS_CERT, TLS_KEY
from appliance.spec.model import Spec


def given(ref: str, spec: Spec, base: Path) -> bytes:
    """The bytes that a daemon gets for a reference to a user's file. ``base``: the folder of the spec.

    Raises ApplianceError: no such file, not what it should be, or key and certificate that do not belong together.
    """
    if ref == RELAY_CREDENTIALS:
        return credentials(spec, base)
    certificate, key = _pair(spec, base)
    return certificate if ref == TLS_CERT else key


def credentials(spec: Spec, base: Path) -> bytes:
    """The relay's texthash line ``[host]:port user:password`` from a file with ``user:password`` on its only line."""
    relay = spec.relay_host
    if relay is None or relay.credentials is None:
        raise ApplianceError("the spec names no relay_host with credentials")
    path = base / relay.credentials
    lines = [line for line in read(path).decode("utf-8", "replace").splitlines() if line.strip()]
    hint = f"{path} holds one line, user:password"
    if len(lines) != 1:
        raise ApplianceError(f"relay_host.credentials: {path} has {len(lines)} lines", hint=hint)
    user, colon, password = lines[0].partition(":")
    if not user.strip() or not colon or not password:
        raise ApplianceError(f"relay_host.credentials: {path} is not of the form user:password", hint=hint)
    if lines[0] != lines[0].strip() or "\0" in lines[0] or "\ufffd" in lines[0]:
        # Postfix takes white space off both ends of a table's value (postconf(5), texthash)
        raise ApplianceError(f"relay_host.credentials: {path} has white space at an end, or bytes that are not UTF-8", hint=hint)
    return f"[{relay.host}]:{relay.port} {lines[0]}\n".encode()


def _pair(spec: Spec, base: Path) -> tuple[bytes, bytes]:
    certificate_path, key_path = base / (spec.tls.certificate or ""), base / (spec.tls.key or "")
    certificate, key = read(certificate_path), read(key_path)
    leaf = make.parse_chain(certificate, str(certificate_path))[0]
    private = make.parse_key(key, str(key_path), ours=False)
    if make.spki(private.public_key()) != make.spki(leaf.public_key()):  # type: ignore[arg-type]
        raise ApplianceError(
            f"tls.key ({key_path}) is not the key of tls.certificate ({certificate_path})",
            hint="the certificate's file begins with the server's own certificate; the issuers' follow it",
        )
    return certificate, key


def given_refs(spec: Spec) -> tuple[str, ...]:
    """The references that are files of the user's."""
    tls = (TLS_KEY, TLS_CERT) if spec.tls.mode == "files" else ()
    return (*tls, RELAY_CREDENTIALS) if spec.relay_host and spec.relay_host.credentials else tls


def warnings(spec: Spec, base: Path, now: datetime) -> tuple[str, ...]:
    """What is wrong with the user's files, yet no reason to stop: expired, another name, open to others."""
    found = []
    if spec.tls.mode == "files":
        path = base / (spec.tls.certificate or "")
        leaf = make.parse_chain(_pair(spec, base)[0], str(path))[0]
        if leaf.not_valid_after_utc <= now:
            found.append(f"tls.certificate ({path}) expired on {leaf.not_valid_after_utc:%Y-%m-%d}; clients will refuse it")
        elif leaf.not_valid_before_utc > now:
            found.append(f"tls.certificate ({path}) is valid only from {leaf.not_valid_before_utc:%Y-%m-%d} on")
        if not make.covers(leaf, spec.hostname):
            found.append(f"tls.certificate ({path}) is not for {spec.hostname}; clients will refuse it")
    for path in _private(spec, base):
        if path.stat().st_mode & 0o077:
            found.append(f"{path} can be read by others on this machine; chmod go-rwx {path}")
    return tuple(found)


def _private(spec: Spec, base: Path) -> list[Path]:
    paths = [base / spec.tls.key] if spec.tls.mode == "files" and spec.tls.key else []
    if spec.relay_host and spec.relay_host.credentials:
        paths.append(base / spec.relay_host.credentials)
    return [p for p in paths if p.exists()]
