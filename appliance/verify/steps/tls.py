"""Is every listener encrypted as it should be: the right certificate, no old protocol, nothing carried over from the clear."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from appliance.keys.view import TLS_CERT
from appliance.verify import certificate
from appliance.verify.context import HELO, Context
from appliance.verify.imap import Imap
from appliance.verify.pop3 import Pop3
from appliance.verify.registry import NotRun, StepFailed, step
from appliance.verify.smtp import Smtp
from appliance.verify.wire import Wire, WireError, tls_context

IN_PLACE = "`appliance keys list` shows the certificate and its end; `appliance plan` whether it is in place; then reload"

TRUSTED = (
    "`appliance tend --now` asks the authority; of a private one this machine must have the root certificate"
    " (its CA store, or SSL_CERT_FILE=FILE); a staging authority is trusted by nobody"
)


@step("certificate", "every listener shows the right certificate over TLS 1.2 or newer", "tls", remedy=IN_PLACE)
def certificate_shown(ctx: Context) -> None:
    """Name, time and public key. Self-signed is as good as the spec says it is."""
    expected = ctx.target.keys.public_half(TLS_CERT)
    for listener in DOORS:
        if ctx.target.endpoint(listener):
            session = DOORS[listener](ctx, listener)
            version = session.secure.version() if session.secure else None
            der = session.certificate()
            ctx.received.append(
                f"{listener}: {version}, {', '.join(certificate.names(der))}, key {certificate.fingerprint(der)[:23]}…"
            )
            if version not in ("TLSv1.2", "TLSv1.3"):
                raise StepFailed(f"{listener} speaks {version}")
            wrong = certificate.problem(der, ctx.target.spec.hostname, expected, datetime.now(UTC))
            if wrong:
                raise StepFailed(f"the certificate on {listener}: {wrong}")
    if not ctx.received:
        raise NotRun("no listener with TLS is open in the spec")


@step("trusted", "the certificate is trusted by this machine", "tls", remedy=TRUSTED)
def trusted(ctx: Context) -> None:
    """Only an authority's certificate must be: other people's programs will refuse it otherwise. SSL_CERT_FILE is honoured."""
    tls = ctx.target.spec.tls
    if tls.mode != "acme":
        raise NotRun(f"tls.mode is {tls.mode}")
    listener = next((d for d in ("imaps", "submissions", "submission", "smtp") if ctx.target.endpoint(d)), None)
    if listener is None:
        raise NotRun("no listener with TLS is open in the spec")
    session = ctx.plain(Smtp, listener, tls=False) if listener in ("submission", "smtp") else ctx.plain(Wire, listener, tls=False)
    if isinstance(session, Smtp):
        session.greet(HELO)
        ctx.expect(session.command("STARTTLS"), 220, "STARTTLS")
    session.start_tls(ssl.create_default_context())
    ctx.received.append(f"{listener}: trusted")


@step("old-tls", "TLS 1.1 and older are refused", "tls", remedy="smtpd_tls_protocols and ssl_min_protocol", suite="full")
def old_tls(ctx: Context) -> None:
    """RFC 8996."""
    for listener in ("submissions", "imaps", "pop3s"):
        if not ctx.target.endpoint(listener):
            continue
        session = ctx.plain(Wire, listener, tls=False)
        ctx.sent.append(f"{listener}: a client that knows TLS 1.1 at most")
        try:
            session.start_tls(tls_context(legacy=ssl.TLSVersion.TLSv1_1))
        except WireError as why:
            if "no protocols available" in str(why).lower().replace("_", " "):
                raise NotRun(f"this machine's TLS library cannot speak TLS 1.1 any more ({why})") from None
            # a server may hang up instead of saying why; one that hangs up on everybody proves nothing
            ctx.plain(Wire, listener)
            ctx.received.append(f"{listener}: {why}")
            continue
        raise StepFailed(f"{listener} speaks {session.secure.version() if session.secure else 'old TLS'}")


@step(
    "starttls-injection",
    "what is sent in the clear behind STARTTLS is not carried into TLS",
    "tls",
    remedy="update the daemon: CVE-2011-0411 and kin",
    suite="full",
)
def starttls_injection(ctx: Context) -> None:
    """One write with STARTTLS and another command: after the handshake only our next command may be answered."""
    tried = [name for name in INJECTIONS if ctx.target.endpoint(name)]
    for listener in tried:
        INJECTIONS[listener](ctx, listener)
    if not tried:
        raise NotRun("no listener with STARTTLS is open in the spec")


def inject_smtp(ctx: Context, listener: str) -> None:
    """An unknown verb in the clear: its 500 or 502 must not come after the handshake."""
    session = ctx.smtp(listener)
    session.send(b"STARTTLS\r\nINJECTED\r\n")
    ctx.sent.append(f"{listener}: STARTTLS and INJECTED in one write")
    if session.reply().code != 220 or not handshake(session):
        ctx.received.append(f"{listener}: refused outright")
        return
    answer = session.ehlo(HELO)
    ctx.received.append(f"{listener}: EHLO was answered {answer.code}")
    if answer.code != 250:
        raise StepFailed(f"{listener}: the first answer inside TLS is {answer}")


def inject_imap(ctx: Context, listener: str) -> None:
    """A tagged command in the clear: its tag must not come back."""
    session = ctx.plain(Imap, listener)
    session.greet()
    session.send(b"x1 STARTTLS\r\nx2 NOOP\r\n")
    ctx.sent.append(f"{listener}: STARTTLS and NOOP in one write")
    if not session.line().upper().startswith("X1 OK") or not handshake(session):
        ctx.received.append(f"{listener}: refused outright")
        return
    session.send(b"x3 NOOP\r\n")
    _only(ctx, listener, session.line(), "x3 ")


def inject_pop3(ctx: Context, listener: str) -> None:
    """A command that is refused in the clear: its -ERR must not come back."""
    session = ctx.plain(Pop3, listener)
    session.greet()
    session.send(b"STLS\r\nINJECTED\r\n")
    ctx.sent.append(f"{listener}: STLS and INJECTED in one write")
    if not session.line().startswith("+OK") or not handshake(session):
        ctx.received.append(f"{listener}: refused outright")
        return
    session.send(b"CAPA\r\n")
    _only(ctx, listener, session.line(), "+OK")


def handshake(session: Wire) -> bool:
    """TLS after the injection; False when the server hangs up instead, as it may."""
    try:
        session.start_tls()
    except WireError:
        return False
    return True


def _only(ctx: Context, listener: str, line: str, begins: str) -> None:
    ctx.received.append(f"{listener}: {line}")
    if not line.startswith(begins):
        raise StepFailed(f"{listener}: the first answer inside TLS is {line}")


def _smtp(ctx: Context, listener: str) -> Wire:
    return ctx.smtp(listener, tls=True)


def _imap(ctx: Context, listener: str) -> Wire:
    session = ctx.plain(Imap, listener)
    session.greet()
    if session.secure is None:
        session.starttls()
    return session


def _pop3(ctx: Context, listener: str) -> Wire:
    return ctx.pop3(listener, login=False)


def _sieve(ctx: Context, listener: str) -> Wire:
    """ManageSieve: a greeting that ends with OK, STARTTLS (RFC 5804, 2.2)."""
    session = ctx.plain(Wire, listener)
    while not session.line().startswith("OK"):
        pass
    session.send(b"STARTTLS\r\n")
    if not (answer := session.line()).startswith("OK"):
        raise StepFailed(f"{listener}: STARTTLS was answered {answer}")
    session.start_tls()
    return session


DOORS: Mapping[str, Callable[[Context, str], Wire]] = {
    "smtp": _smtp,
    "submission": _smtp,
    "submissions": _smtp,
    "imap": _imap,
    "imaps": _imap,
    "pop3": _pop3,
    "pop3s": _pop3,
    "sieve": _sieve,
}
INJECTIONS: Mapping[str, Callable[[Context, str], None]] = {
    "smtp": inject_smtp,
    "submission": inject_smtp,
    "imap": inject_imap,
    "pop3": inject_pop3,
}
