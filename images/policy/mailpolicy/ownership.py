"""Who may send as whom: decisions about one message, without a socket (RFC 6409, 6.1 lets a submission server do this)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mailpolicy.mailboxes import Mailbox, mailboxes, normal, unfold
from mailpolicy.tables import Addresses

#: fields that say who wrote or sent a message (RFC 5322, 3.6.2 and 3.6.6), lower case
OWNED = ("from", "sender", "resent-from", "resent-sender")
#: of these a message has at most one (RFC 5322, 3.6)
ONCE = ("from", "sender")
#: local parts in whose name a mail system itself writes (RFC 2142, RFC 3464 and old custom)
SYSTEM = ("mailer-daemon", "postmaster")


@dataclass(frozen=True)
class Refusal:
    """An SMTP answer: ``code`` and enhanced ``status`` (RFC 3463), ASCII ``text`` in one line."""

    code: str
    status: str
    text: str


@dataclass(frozen=True)
class Change:
    """The ``index``-th field called ``name`` (from 1) gets another ``value``."""

    name: str
    index: int
    value: str


def shown(text: str) -> str:
    """Somebody's text as every SMTP answer may carry it: short and printable ASCII (RFC 5321, 4.2)."""
    return text.encode("ascii", "backslashreplace").decode()[:120]


def base(address: str, delimiter: str) -> str:
    """``alice+x@example.org`` → ``alice@example.org``."""
    local, at, domain = address.rpartition("@")
    return f"{local.partition(delimiter)[0] or local}{at}{domain}" if at else address


@dataclass(frozen=True)
class Owners:
    """The table of owners: address → logins that may send as it, the login's first spelling first."""

    table: Addresses
    delimiter: str = "+"

    def owns(self, login: str, address: str) -> bool:
        """Whether a login may send as an address; its extensions (``alice+x``) are its own."""
        address = normal(address)
        return login in self.table.get(address, ()) or login in self.table.get(base(address, self.delimiter), ())

    def canonical(self, login: str) -> str:
        """One name for all spellings of a login, so that they share one count."""
        found = self.table.get(login, ())
        return found[0] if login in found else login


def judge(login: str, fields: Sequence[tuple[str, bytes]], owners: Owners) -> Refusal | tuple[Change, ...]:
    """The verdict on the fields of OWNED, in the order of the message; fields without a domain get the login's.

    An exact reading is demanded: what cannot be read for certain is refused, because another program may read it otherwise.
    """
    seen: dict[str, int] = {}
    changes: list[Change] = []
    for name, raw in fields:
        kind = name.lower()
        seen[kind] = seen.get(kind, 0) + 1
        if kind in ONCE and seen[kind] > 1:
            return Refusal("550", "5.7.1", f"the message has more than one {kind.capitalize()} field")
        try:
            value = unfold(raw.decode("utf-8"))
            found = mailboxes(value)
        except ValueError as why:
            reason = "not UTF-8" if isinstance(why, UnicodeError) else str(why)
            return Refusal("550", "5.7.1", f"the {shown(name)} field cannot be read for certain: {reason}")
        domain = login.rpartition("@")[2]
        for mailbox in found:
            address = mailbox.address if mailbox.domain else f"{mailbox.address}@{domain}"
            if not owners.owns(login, address):
                return Refusal("550", "5.7.1", f"{shown(name)}: <{shown(address)}> is not an address of {shown(login)}")
        if not all(m.domain for m in found):
            changes.append(Change(name, seen[kind], qualified(value, found, domain)))
    if "from" not in seen:
        return Refusal("550", "5.7.1", "the message has no From field")
    return tuple(changes)


def qualified(value: str, found: Sequence[Mailbox], domain: str) -> str:
    """The value with ``@domain`` after each address that has none."""
    for mailbox in reversed(found):
        if not mailbox.domain:
            value = f"{value[: mailbox.end]}@{domain}{value[mailbox.end :]}"
    return value


def is_report(fields: Sequence[tuple[str, bytes]], content_type: bytes, domains: Sequence[str]) -> bool:
    """Whether a message with the null sender is a report of the mail system itself (RFC 3464, RFC 8098): no user can write one by
    Sieve, because there the type of what a script sends is fixed, and From is the system's."""
    if content_type.strip().lower().partition(b";")[0].strip() != b"multipart/report":
        return False
    try:
        found = [m for name, raw in fields if name.lower() in OWNED for m in mailboxes(unfold(raw.decode("utf-8")))]
    except ValueError:
        return False
    return bool(found) and all(m.local.lower() in SYSTEM and normal(m.domain) in domains for m in found)
