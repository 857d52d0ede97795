"""One message on its way through the filter, from MAIL to the end of its headers. Knows no socket and no libmilter."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from mailpolicy.mailboxes import normal
from mailpolicy.ownership import OWNED, Change, Owners, Refusal, base, is_report, judge, shown
from mailpolicy.rate import Rate
from mailpolicy.settings import Settings

#: more fields of OWNED than any mail program writes
MOST_FIELDS = 100
#: The first two fields of what a Sieve script redirects. Further down the second proves nothing: a script can write it by the
#: ``mailto:`` address of a notification, where Pigeonhole's own fields come first.
REDIRECT = ("x-sieve", "x-sieve-redirected-from")
#: Pigeonhole's own words on what a script writes, which no script can change (RFC 3834, 5; RFC 5436, 2.7.1)
REPLIED = re.compile(rb"auto-replied\b")
NOTIFIED = re.compile(rb'auto-notified; owner-email="([^"\\\s]+)"')


@dataclass
class Session:
    """State and decisions of one message. ``service``: the daemon name of Postfix's service; ``login``: who authenticated there.

    On ``submission`` the login owns what it sends. On ``reinjected`` the mail store's certificate opened the door: a redirect
    keeps its stranger's sender; a reply (vacation) is its envelope sender's, a notification its named owner's, because a script
    may say ``:from`` with anybody's address, and both leave with the null sender; a report is the mail system's own.
    """

    settings: Settings
    owners: Owners
    rate: Rate
    event: Callable[[str], None]
    service: str
    login: str = ""
    sender: str = ""
    first: list[str] = field(default_factory=list)
    fields: list[tuple[str, bytes]] = field(default_factory=list)
    content_type: bytes = b""
    automatic: list[bytes] = field(default_factory=list)

    def mail(self, sender: str) -> Refusal | None:
        """MAIL FROM."""
        self.login, self.sender = normal(self.login), sender.removeprefix("<").removesuffix(">")
        if self.service == "reinjected":
            return None
        if self.service != "submission":
            return Refusal("451", "4.3.5", "this filter does not know the service that asks it")
        if not self.login:
            return Refusal("530", "5.7.0", "Authentication required")
        if self.sender and not self.owners.owns(self.login, self.sender):
            return Refusal("553", "5.7.1", f"<{shown(self.sender)}> is not a sender address of {shown(self.login)}")
        return None

    def recipient(self, address: str) -> Refusal | None:
        """RCPT TO: the probe writes only to itself and is not counted; everybody else has an allowance for the hour."""
        if self.service == "reinjected":
            return None
        to = base(normal(address.removeprefix("<").removesuffix(">")), self.owners.delimiter)
        if self.login == self.settings.probe:
            return None if to == self.settings.probe else Refusal("550", "5.7.1", "the probe may send only to itself")
        login, limit = self.owners.canonical(self.login), self.settings.recipients_per_hour
        if self.rate.take(login, limit):
            return None
        if self.rate.tell(login):
            self.event(f"event=recipient-limit login={shown(login)} limit={limit}/h")
        return Refusal("450", "4.7.1", f"the limit of {limit} recipients an hour for {shown(login)} is reached, try again later")

    def header(self, name: str, value: bytes) -> None:
        """One field, as it stands in the message."""
        kind = name.lower()
        if len(self.first) < len(REDIRECT):
            self.first.append(kind)
        if kind == "content-type":
            self.content_type = value
        elif kind == "auto-submitted":
            self.automatic.append(value.strip())
        elif kind in OWNED and len(self.fields) <= MOST_FIELDS:
            self.fields.append((name, value))

    def end_of_header(self) -> Refusal | tuple[Change, ...]:
        """The verdict, or what must be changed at the end of the message."""
        if len(self.fields) > MOST_FIELDS:
            return Refusal("550", "5.7.1", "the message has too many fields that name a sender")
        if self.service != "reinjected":
            return judge(self.login, self.fields, self.owners)
        if self.redirected or (not self.sender and is_report(self.fields, self.content_type, self.settings.domains)):
            return ()
        self.login = self._author()
        if not self.login:
            return Refusal("550", "5.7.1", "neither a redirect nor a reply, a notification or a report of a mailbox here")
        return judge(self.login, self.fields, self.owners)

    def _author(self) -> str:
        """Whose script wrote this, "" where nothing says so."""
        if len(self.automatic) != 1:
            return ""
        notified = NOTIFIED.match(self.automatic[0])
        if notified:
            return normal(notified[1].decode("utf-8", "replace"))
        if REPLIED.match(self.automatic[0]):
            return base(normal(self.sender), self.owners.delimiter)
        return ""

    @property
    def redirected(self) -> bool:
        """Whether a script only passes the message on."""
        return tuple(self.first) == REDIRECT

    @property
    def to_null_sender(self) -> bool:
        """Whether the message leaves with the null sender: an automatic reply (RFC 3834, 3.3)."""
        return self.service == "reinjected" and not self.redirected and bool(self.sender)
