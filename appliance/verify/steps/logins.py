"""Where and how one may log in: never in the clear, never on 25, never with a wrong password."""

from __future__ import annotations

import base64

from appliance.verify.context import Context
from appliance.verify.imap import Imap, quoted
from appliance.verify.pop3 import Pop3
from appliance.verify.registry import StepFailed, step

CLEAR = "passwords must travel inside TLS only: smtpd_tls_auth_only = yes, auth_allow_cleartext = no"
USER, GUESS = "nobody@probe.invalid", "not-a-password"  # what is offered in the clear is nobody's
PLAIN = base64.b64encode(f"\0{USER}\0{GUESS}".encode()).decode()


@step("no-auth-mx", "port 25 offers and takes no login", "logins", remedy="smtpd_sasl_auth_enable = no on 25", ports=("smtp",))
def no_auth_mx(ctx: Context) -> None:
    """Neither before nor after STARTTLS."""
    for tls in (False, True):
        session = ctx.smtp("smtp", tls=tls)
        when = "after STARTTLS" if tls else "in the clear"
        if session.offers("AUTH"):
            raise StepFailed(f"EHLO offers AUTH {when}")
        ctx.refused(session.command(f"AUTH PLAIN {PLAIN}"), f"AUTH PLAIN {when}")
        session.quit()


@step("plaintext-submission", "submission takes no login and no mail before TLS", "logins", remedy=CLEAR, ports=("submission",))
def plaintext_submission(ctx: Context) -> None:
    """RFC 8314, 3.3; RFC 4954, 4: 530 or 538."""
    session = ctx.smtp("submission")
    if session.offers("AUTH"):
        raise StepFailed("EHLO offers AUTH before STARTTLS")
    ctx.refused(session.command(f"AUTH PLAIN {PLAIN}"), "AUTH PLAIN before STARTTLS")
    ctx.refused(session.command(f"MAIL FROM:<{ctx.run.probe}>"), "MAIL before STARTTLS")


@step("plaintext-imap", "IMAP takes no login before TLS", "logins", remedy=CLEAR, ports=("imap",))
def plaintext_imap(ctx: Context) -> None:
    """LOGINDISABLED (RFC 3501, 6.2.3), and a refusal all the same."""
    session = ctx.plain(Imap, "imap")
    session.greet()
    capabilities = " ".join(session.ok("CAPABILITY")).upper()
    ctx.received.append(capabilities)
    if "LOGINDISABLED" not in capabilities or "AUTH=PLAIN" in capabilities.replace("AUTH=PLAIN-", ""):
        raise StepFailed(f"the capabilities before TLS allow a login: {capabilities}")
    answer, _ = session.command(f"LOGIN {quoted(USER)} {quoted(GUESS)}")
    refused(ctx, "LOGIN before STARTTLS", answer, "NO", "BAD")
    if "PRIVACYREQUIRED" not in answer.upper():
        raise StepFailed(f"the refusal does not come from the missing TLS (RFC 5530): {answer}")


@step("plaintext-pop3", "POP3 takes no login before TLS", "logins", remedy=CLEAR, ports=("pop3",))
def plaintext_pop3(ctx: Context) -> None:
    """USER must not even be taken (RFC 2595, 2.1)."""
    session = ctx.plain(Pop3, "pop3")
    session.greet()
    capabilities = session.lines("CAPA")
    if "USER" in capabilities or any(line.startswith("SASL") and "PLAIN" in line for line in capabilities):
        raise StepFailed(f"the capabilities before TLS allow a login: {', '.join(capabilities)}")
    answer = session.command(f"USER {USER}")
    if answer.startswith("+OK"):
        answer = session.command(f"PASS {GUESS}")
    refused(ctx, "USER before STLS", answer, "-ERR")


@step(
    "wrong-password",
    "a wrong password is refused by IMAP and at submission",
    "logins",
    remedy="the passwords' file or the service that checks them answers for everybody",
    ports=("imaps",),
    login=True,
)
def wrong_password(ctx: Context) -> None:
    """The probe's name, so that nobody else's failed logins are counted; AUTHENTICATIONFAILED (RFC 5530), 535 (RFC 4954)."""
    imap = ctx.plain(Imap, "imaps")
    imap.greet()
    smtp = ctx.smtp("submissions", tls=True) if ctx.target.endpoint("submissions") else None
    # both are asked before either is read: the server delays the answer to a wrong password on purpose
    imap.tag += 1
    imap.send(f"a{imap.tag} LOGIN {quoted(ctx.run.probe)} {quoted(GUESS)}\r\n".encode())
    if smtp:
        ctx.refused(smtp.auth_plain(ctx.run.probe, GUESS), "AUTH PLAIN with a wrong password", 535)
    answer = next(line for line in iter(imap.line, None) if line.startswith(f"a{imap.tag} "))
    refused(ctx, "LOGIN with a wrong password", answer.partition(" ")[2], "NO")


def refused(ctx: Context, what: str, answer: str, *words: str) -> None:
    """The answer must begin with one of these words."""
    ctx.sent.append(what)
    ctx.received.append(answer)
    if not answer.upper().startswith(words):
        raise StepFailed(f"{what}: answered {answer}")
