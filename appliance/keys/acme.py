"""Asks a certificate authority for the server's certificate (ACME, RFC 8555), by the challenge http-01 (8.3).

Keys and answers come from the caller; nothing is written here. The authority's own certificate is checked against the
authorities that `requests` knows (certifi's list), or against the file that REQUESTS_CA_BUNDLE or SSL_CERT_FILE names: a
private authority's root certificate goes there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from appliance import __version__
from appliance.errors import ApplianceError, Exit
from appliance.keys import make

if TYPE_CHECKING:
    from acme import client, messages

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
#: seconds until the authority must have looked and issued; Let's Encrypt takes five to twenty
PATIENCE = 120.0

#: (path, content) → while the context is open, port 80 of the host name answers the path with the content
Answer = Callable[[str, bytes], AbstractContextManager[None]]


class NotIssued(ApplianceError):
    """The authority was asked and issued nothing; the message holds its own words."""

    code = Exit.UNPROVEN


class Unreachable(ApplianceError):
    """The authority was not reached: nothing was asked, so nothing counts towards its limits."""

    code = Exit.UNPROVEN


@dataclass(frozen=True)
class Wish:
    """What is asked for. Both keys as PEM; ``known_email``: what the account was told last."""

    directory: str
    hostname: str
    email: str | None
    known_email: str | None
    account_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)

    @property
    def authority(self) -> str:
        """The authority's host, as people know it."""
        return urlsplit(self.directory).netloc


def fetch(wish: Wish, answer: Answer, note: Callable[[str], None]) -> bytes:
    """The certificate with its chain as PEM, for the server's key and the host name. ``note`` hears what people should know.

    Raises NotIssued with the authority's words, Unreachable, and whatever ``answer`` raises.
    """
    with _words(wish):
        account = _account(wish, note)
        chain = _order(wish, account, answer)
    check(chain, wish, datetime.now().astimezone())
    return chain


def check(chain: bytes, wish: Wish, now: datetime) -> None:
    """Raises NotIssued for a chain that is not for our key, our name and this day: it must not replace one that works."""
    leaf = make.parse_chain(chain, f"what {wish.authority} sent")[0]
    key = make.parse_key(wish.server_key, "the server's key")
    wrong = ""
    if make.spki(leaf.public_key()) != make.spki(key.public_key()):  # type: ignore[arg-type]
        wrong = "another key"
    elif not make.covers(leaf, wish.hostname):
        wrong = f"another name than {wish.hostname}"
    elif leaf.not_valid_after_utc <= now:
        wrong = "a time that is over"
    if wrong:
        raise NotIssued(f"{wish.authority} issued a certificate for {wrong}", hint="is this machine's clock right?")


# -- the account (7.3) -----------------------------------------------------------------------------------------------
def _account(wish: Wish, note: Callable[[str], None]) -> client.ClientV2:
    """A client with the account that belongs to the key; made when there is none, told of a changed address."""
    from acme import client, errors, messages
    from josepy.jwa import ES256
    from josepy.jwk import JWK

    key = JWK.load(wish.account_key)
    agent = f"appliance/{__version__}"
    trust: Any = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE") or True
    net = client.ClientNetwork(key, alg=ES256, verify_ssl=trust, user_agent=agent)
    found = net.get(wish.directory).json()
    meta = found.get("meta", {}) if isinstance(found, dict) else {}
    if not isinstance(meta, dict) or "newOrder" not in found:
        raise ValueError("no newOrder in it")
    directory = messages.Directory(found)
    if meta.get("externalAccountRequired"):
        raise NotIssued(
            f"{wish.authority} wants accounts that were opened elsewhere (external account binding)",
            hint="take another tls.directory, or mode: files with a client that speaks it",
        )
    made = client.ClientV2(directory, net)
    try:
        made.new_account(messages.NewRegistration.from_data(email=wish.email, terms_of_service_agreed=True))
        terms = meta.get("termsOfService")
        note(f"opened an account at {wish.authority}" + (f", agreeing to {terms}" if terms else ""))
    except errors.ConflictError as known:
        net.account = messages.RegistrationResource(uri=known.location, body=messages.Registration())
        if wish.email and wish.email != wish.known_email:
            made.update_registration(net.account, messages.Registration.from_data(email=wish.email))
    return made


# -- the order (7.4) -------------------------------------------------------------------------------------------------
def _order(wish: Wish, acme: client.ClientV2, answer: Answer) -> bytes:
    from acme import crypto_util, messages

    # the library compares with a local time that has no zone
    deadline = datetime.now() + timedelta(seconds=PATIENCE)
    order = acme.new_order(crypto_util.make_csr(wish.server_key, [wish.hostname]))
    for authorization in order.authorizations:
        if authorization.body.status == messages.STATUS_VALID:
            continue  # shown a short while ago
        order = _show(wish, acme, order, authorization, answer, deadline)
    return acme.finalize_order(order, deadline).fullchain_pem.encode()


def _show(
    wish: Wish,
    acme: client.ClientV2,
    order: messages.OrderResource,
    authorization: messages.AuthorizationResource,
    answer: Answer,
    deadline: datetime,
) -> messages.OrderResource:
    """Shows that the name is ours: one file at port 80, looked up by the authority while the context is open."""
    from acme import challenges

    offered = authorization.body.challenges
    found = next((c for c in offered if isinstance(c.chall, challenges.HTTP01)), None)
    if found is None:
        kinds = ", ".join(sorted(c.chall.typ for c in offered)) or "nothing"
        raise NotIssued(f"{wish.authority} does not take http-01 for {wish.hostname}; it offers {kinds}")
    response, content = found.response_and_validation(acme.net.key)
    with answer(found.chall.path, content.encode()):
        acme.answer_challenge(found, response)
        return acme.poll_authorizations(order, deadline)


# -- what went wrong -------------------------------------------------------------------------------------------------
@contextmanager
def _words(wish: Wish) -> Iterator[None]:
    """The library's errors as ours, with the authority's own words."""
    import requests
    from acme import errors, messages
    from josepy.errors import DeserializationError

    try:
        yield
    except requests.RequestException as why:
        message = f"{wish.authority} was not reached: {_innermost(why)}"
        hint = "can this machine reach it? A private authority's root certificate: SSL_CERT_FILE=FILE"
        raise Unreachable(message, hint=hint) from None
    except errors.ValidationError as why:
        found = [c.error for a in why.failed_authzrs for c in a.body.challenges if c.error is not None]
        words = "; ".join(_said(error) for error in found)
        raise NotIssued(f"{wish.authority} could not see that {wish.hostname} is ours: {words}", hint=_look(wish)) from None
    except messages.Error as why:
        raise NotIssued(f"{wish.authority} refuses: {_said(why)}", hint=_remedy(why, wish)) from None
    except errors.IssuanceError as why:
        raise NotIssued(f"{wish.authority} issued nothing: {_said(why.error)}", hint=_remedy(why.error, wish)) from None
    except errors.TimeoutError:
        raise NotIssued(f"{wish.authority} did not come to an end within {PATIENCE:.0f} s", hint=_look(wish)) from None
    except (errors.Error, DeserializationError, ValueError, KeyError) as why:
        hint = "tls.directory is the address of an ACME directory (RFC 8555, 7.1.1)"
        raise NotIssued(f"{wish.directory} does not answer as ACME has it: {why}", hint=hint) from why


def _said(error: messages.Error) -> str:
    """``203.0.113.7: Connection refused (connection)``, and what it says of single names (RFC 8555, 6.7.1)."""
    more = "".join(f"; {_said(one)}" for one in error.subproblems or ())
    return f"{error.detail or error.description or error.typ} ({error.code or error.typ}){more}"


def _remedy(error: messages.Error, wish: Wish) -> str:
    if error.code == "rateLimited":
        return "wait as long as it says; its staging directory is there for trying"
    if error.code == "caa":
        return f"the CAA record of {wish.hostname} or a domain above it must name this authority (RFC 8659)"
    if error.code in ("invalidContact", "unsupportedContact"):
        return "tls.email is an address that the authority can write to"
    return _look(wish) if error.code in ("connection", "dns", "unauthorized", "incorrectResponse") else ""


def _look(wish: Wish) -> str:
    return (
        f"the A and AAAA records of {wish.hostname} must lead here, and port 80 must be open to the world"
        f" (`appliance dns check`; firewall, NAT)"
    )


def _innermost(why: BaseException) -> str:
    while why.__cause__ or why.__context__:
        why = why.__cause__ or why.__context__ or why
    return str(why)
