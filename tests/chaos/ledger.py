"""Who sends while things break: every Message-ID that was answered 250 is on the disk before the next one is sent."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from appliance.bench.load import Client, Load, Refusal, Sent
from tests.integration.running import PASSWORDS, STAYING, Appliance

LOGIN = "bob@example.org"
#: who has room: the third has a quota of 20 KiB
RECIPIENTS = [a for a in STAYING if not a.startswith("full@")]
LISTENERS = ("smtp", "submission")


def load(where: Appliance, listener: str, seconds: float = 10, size: int = 2048, host: str = "127.0.0.1") -> Load:
    """How one message goes in: a stranger's on 25, a user's on 587."""
    login = LOGIN if listener == "submission" else ""
    sender = login or "ledger@sender.invalid"
    password = PASSWORDS[login] if login else ""
    return Load(host, where.ports[listener], RECIPIENTS, 1, sender, login, password, size=size, seconds=seconds)


@dataclass(frozen=True)
class Ack:
    """One message that was answered 250, and by which listener."""

    listener: str
    sent: Sent


class Ledger:
    """A context in which ``senders`` threads a listener send without a rest, but for ``pause`` seconds after a message.

    ``acks``: what was answered 250; ``refused``: answer → how often.
    """

    def __init__(
        self,
        where: Appliance,
        file: Path,
        *,
        listeners: Sequence[str] = LISTENERS,
        senders: int = 2,
        pause: float = 0.0,
        seconds: float = 10,
        size: int = 2048,
        host: str = "127.0.0.1",
    ) -> None:
        self.where, self.file, self.pause = where, file, pause
        self.acks: list[Ack] = []
        self.refused: Counter[str] = Counter()
        self._over, self._lock = threading.Event(), threading.Lock()
        loads = {listener: load(where, listener, seconds, size, host) for listener in listeners}
        self._threads = [
            threading.Thread(target=self._work, args=(x, loads[x]), daemon=True) for x in listeners for _ in range(senders)
        ]

    def __enter__(self) -> Ledger:
        self._disk = self.file.open("ab")
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, why: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(timeout=60)
        self._disk.close()

    @property
    def idents(self) -> set[str]:
        """What the disk says was answered 250."""
        return set(self.file.read_text().split())

    @property
    def hard(self) -> dict[str, int]:
        """Answers 5xx: mail that its sender gives up."""
        return {answer: n for answer, n in self.refused.copy().items() if answer[:1] == "5"}

    def answered(self, listener: str, since: float) -> float | None:
        """When the first message that began after a moment was answered 250 there."""
        with self._lock:
            later = [a.sent.answered for a in self.acks[-2000:] if a.listener == listener and a.sent.began >= since]
        return min(later, default=None)

    def _work(self, listener: str, todo: Load) -> None:
        turn = 0
        while not self._over.is_set():
            client = None
            try:
                client = Client(todo)
                for _ in range(10):
                    turn += 1
                    self._note(listener, client.send(todo, todo.recipients[turn % len(todo.recipients)]))
                    if self._over.wait(self.pause):
                        break
            except (OSError, EOFError, Refusal) as why:
                with self._lock:
                    self.refused[str(why) if isinstance(why, Refusal) else type(why).__name__] += 1
                self._over.wait(0.05)
            finally:
                if client:
                    with contextlib.suppress(OSError):
                        client.close()

    def _note(self, listener: str, sent: Sent) -> None:
        with self._lock:
            self._disk.write(f"{sent.ident}\n".encode())
            self._disk.flush()
            os.fsync(self._disk.fileno())
            self.acks.append(Ack(listener, sent))
