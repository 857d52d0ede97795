"""The milter: libmilter's callbacks (https://pymilter.org) handed to ``Session``. Any surprise is answered 4xx.

``python3 -I -m mailpolicy.milter SOCKET SETTINGS SENDERS COUNTS``
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import Milter

from mailpolicy.ownership import Change, Owners, Refusal, shown
from mailpolicy.rate import Rate
from mailpolicy.session import Session
from mailpolicy.settings import Settings, settings
from mailpolicy.tables import Addresses, Table, addresses

F = TypeVar("F", bound=Callable[..., Any])
#: seconds after which libmilter gives up a Postfix that says nothing; longer than Postfix's own idle session
IDLE = 600
#: seconds between two writings of the counts
SAVE = 5

_as_bytes: Callable[[F], F] = Milter.decode("bytes")
_no_answer: Callable[[F], F] = Milter.noreply


def say(text: str) -> None:
    """One line of the log."""
    print(text, flush=True)


class Policy(Milter.Base):  # type: ignore[misc]  # libmilter's binding has no types
    """One connection of Postfix. A callback that is not written here is not asked for. The tables are the same for all."""

    settings: Table[Settings]
    senders: Table[Addresses]
    rate: Rate

    def __init__(self) -> None:
        self.session: Session | None = None
        self.changes: tuple[Change, ...] = ()

    def envfrom(self, sender: str, *_parameters: str) -> int:
        """MAIL FROM begins a message."""
        now = self.settings.get()
        self.changes = ()
        self.session = Session(
            settings=now,
            owners=Owners(self.senders.get(), now.delimiter),
            rate=self.rate,
            event=say,
            service=self.getsymval("{daemon_name}") or "",
            login=self.getsymval("{auth_authen}") or "",
        )
        return self._answer(self.session.mail(sender))

    def envrcpt(self, recipient: str, *_parameters: str) -> int:
        """RCPT TO."""
        return self._answer(self._message.recipient(recipient))

    @_as_bytes
    @_no_answer
    def header(self, name: str, value: bytes) -> int:
        """A field; the answer waits for the last of them."""
        self._message.header(name, value)
        return int(Milter.CONTINUE)

    def eoh(self) -> int:
        """The verdict on the header."""
        verdict = self._message.end_of_header()
        if isinstance(verdict, Refusal):
            return self._answer(verdict)
        self.changes = verdict
        return int(Milter.CONTINUE)

    def eom(self) -> int:
        """Only here may a message be changed."""
        for change in self.changes:
            self.chgheader(change.name, change.index, change.value)
        if self._message.to_null_sender:
            self.chgfrom("<>")
        return int(Milter.CONTINUE)

    @property
    def _message(self) -> Session:
        if self.session is None:
            raise RuntimeError("a command before MAIL")
        return self.session

    def _answer(self, refusal: Refusal | None) -> int:
        if refusal is None:
            return int(Milter.CONTINUE)
        # smfi_setreply(3) reads its text as a format
        self.setreply(refusal.code, refusal.status, refusal.text.replace("%", "%%"))
        if refusal.code != "450":  # the limit has an event line of its own, once a minute
            who = f"service={self._message.service} login={shown(self._message.login)} sender={shown(self._message.sender)}"
            say(f"refused: {who} {refusal.code} {refusal.status} {refusal.text}")
        return int(Milter.TEMPFAIL if refusal.code[0] == "4" else Milter.REJECT)


def keep(rate: Rate, path: Path, ended: threading.Event) -> None:
    """Writes the counts every few seconds, and at the end."""
    while True:
        last = ended.wait(SAVE)
        try:
            rate.save(path)
        except OSError as why:
            say(f"event=counts-not-kept {why}")
            rate.changed = True
        if last:
            return


def main() -> None:
    """Runs until SIGTERM."""
    socket, settings_path, senders_path, counts_path = sys.argv[1:]
    os.umask(0o007)  # the socket is for its group
    Policy.settings, Policy.senders = Table(settings_path, settings), Table(senders_path, addresses)
    Policy.rate = Rate(time.time)
    for table in (Policy.settings, Policy.senders):
        table.get()  # a file that cannot be read is said at start, not at the first mail
    counts, ended = Path(counts_path), threading.Event()
    Policy.rate.load(counts)
    # libmilter waits for these in a thread of its own: no other may take them (as PID 1 it would lose them)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
    keeper = threading.Thread(target=keep, args=(Policy.rate, counts, ended), daemon=True)
    keeper.start()
    Milter.factory = Policy
    Milter.set_flags(Milter.CHGHDRS | Milter.CHGFROM)
    Milter.set_exception_policy(Milter.TEMPFAIL)
    Milter.runmilter("policy", socket, IDLE)
    ended.set()
    keeper.join()


if __name__ == "__main__":
    main()
