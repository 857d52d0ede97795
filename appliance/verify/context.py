"""What a step works with: sessions to the instance, the probe's login, expectations, and the evidence that they leave."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from appliance.verify import message
from appliance.verify.imap import Imap
from appliance.verify.message import Message
from appliance.verify.pop3 import Pop3
from appliance.verify.registry import NotRun, StepFailed
from appliance.verify.smtp import Reply, Smtp
from appliance.verify.target import Endpoint, Target
from appliance.verify.wire import Deadline, Transcript, Wire

W = TypeVar("W", bound=Wire)
SUBMISSION = ("submission", "submissions")
IMPLICIT = ("submissions", "imaps", "pop3s")  # listeners with TLS from the first octet (RFC 8314)
HELO = "probe.invalid"  # RFC 6761, 6.4: nobody's name
STRANGER = "probe@sender.invalid"  # likewise a sender elsewhere
POLL = 0.05  # seconds between two looks into the mailbox, at first
ARRIVAL = 15.0  # seconds until an accepted message must be in the mailbox


@dataclass
class Run:
    """What all steps of one verification share."""

    target: Target
    run_id: str
    password: str
    started: float  # seconds since the epoch
    origin: str = ""  # --from HOST
    outwards: str = ""  # --outwards HOST
    lock: threading.Lock = field(default_factory=threading.Lock)
    queue_ids: list[str] = field(default_factory=list)
    message_ids: list[str] = field(default_factory=list)

    @property
    def probe(self) -> str:
        """The probe's address, also its login."""
        return self.target.people.probe

    @property
    def domain(self) -> str:
        """The probe's domain."""
        return self.probe.rpartition("@")[2]


@dataclass
class Context:
    """One step's view of the run."""

    run: Run
    deadline: Deadline
    transcript: Transcript = field(default_factory=Transcript)
    sent: list[str] = field(default_factory=list)
    received: list[str] = field(default_factory=list)
    evidence: dict[str, Any] = field(default_factory=dict)
    open: list[Wire] = field(default_factory=list)

    @property
    def target(self) -> Target:
        """The instance."""
        return self.run.target

    # -- sessions ----------------------------------------------------------------------------------------------------
    def endpoint(self, listener: str) -> Endpoint:
        """Where a listener is; NotRun when it is closed."""
        found = self.target.endpoint(listener)
        if found is None:
            raise NotRun(f"the listener {listener} is closed in the spec")
        return found

    def smtp(self, listener: str = "smtp", *, tls: bool = False, where: Endpoint | None = None) -> Smtp:
        """A session after EHLO. 465 has TLS by itself; ``tls`` asks for STARTTLS on the others."""
        session = self._connect(Smtp, where or self.endpoint(listener), tls=listener in IMPLICIT)
        self.expect(session.greet(HELO), 250, f"the greeting of {listener}")
        if tls and session.secure is None:
            self.expect(session.starttls(HELO), 250, f"STARTTLS on {listener}")
        return session

    def submit(self, listener: str = "") -> Smtp:
        """A submission session with TLS and the probe's login; without a name on 587, or 465 where that is closed."""
        name = listener or next((p for p in SUBMISSION if self.target.endpoint(p)), "submission")
        session = self.smtp(name, tls=True)
        self.expect(session.auth_plain(self.run.probe, self.run.password), 235, f"the probe's login on {name}")
        return session

    def imap(self, listener: str = "") -> Imap:
        """An IMAP session that has INBOX of the probe selected, with TLS."""
        name = listener or next((p for p in ("imaps", "imap") if self.target.endpoint(p)), "imaps")
        session = self._connect(Imap, self.endpoint(name), tls=name == "imaps")
        session.greet()
        if name == "imap":
            session.starttls()
        answer = session.login(self.run.probe, self.run.password)
        if not answer.upper().startswith("OK"):
            raise StepFailed(f"the probe could not log in by {name}: {answer}")
        session.ok("SELECT INBOX")
        return session

    def pop3(self, listener: str, *, login: bool = True) -> Pop3:
        """A POP3 session with TLS, logged in unless said otherwise."""
        session = self._connect(Pop3, self.endpoint(listener), tls=listener == "pop3s")
        session.greet()
        if listener == "pop3":
            session.starttls()
        if login:
            answer = session.login(self.run.probe, self.run.password)
            if not answer.startswith("+OK"):
                raise StepFailed(f"the probe could not log in by {listener}: {answer}")
        return session

    def plain(self, kind: type[W], listener: str, *, tls: bool = True) -> W:
        """A bare connection to a listener; where it has TLS from the first octet, TLS is begun unless told not to."""
        return self._connect(kind, self.endpoint(listener), tls=tls and listener in IMPLICIT)

    def _connect(self, kind: type[W], where: Endpoint, *, tls: bool) -> W:
        session = kind(where.host, where.port, self.deadline, self.transcript, tls=tls, name=self.target.spec.hostname)
        self.open.append(session)
        return session

    def close(self) -> None:
        """Closes every session."""
        for session in self.open:
            session.close()

    # -- messages ----------------------------------------------------------------------------------------------------
    def compose(self, subject: str, *, sender: str | None = None, **more: Any) -> Message:
        """A message to the probe; From is the probe's own address unless said."""
        made = message.compose(
            self.run.run_id,
            f"probe {self.run.run_id}: {subject}",
            self.run.probe if sender is None else sender,
            self.run.probe,
            domain=self.target.spec.hostname,
            **more,
        )
        with self.run.lock:
            self.run.message_ids.append(made.id)
        return made

    def envelope(self, session: Smtp, sender: str, recipient: str = "", parameters: str = "") -> None:
        """MAIL and RCPT, both must be accepted; the recipient is the probe."""
        self.expect(session.command(f"MAIL FROM:<{sender}>{parameters}"), 250, "the envelope sender")
        self.expect(session.command(f"RCPT TO:<{recipient or self.run.probe}>"), 250, "the probe as recipient")

    def data(self, session: Smtp, made: Message) -> Reply:
        """DATA with a message; returns the answer to the final dot and remembers the queue id."""
        self.expect(session.command("DATA"), 354, "DATA")
        return self.remember(session.content(made.data))

    def remember(self, answer: Reply) -> Reply:
        """Keeps the queue id of an accepted message: the traces are judged by it."""
        if answer.queue_id:
            with self.run.lock:
                self.run.queue_ids.append(answer.queue_id)
        return answer

    def deliver(self, session: Smtp, made: Message, sender: str, parameters: str = "") -> Reply:
        """One whole transaction that must be accepted; ``parameters`` of MAIL begin with a space."""
        self.envelope(session, sender, parameters=parameters)
        self.sent.append(f"MAIL FROM:<{sender}>, RCPT TO:<{self.run.probe}>, {len(made.data)} octets")
        answer = self.data(session, made)
        self.received.append(str(answer))
        self.expect(answer, 250, "the message")
        session.quit()
        return answer

    def offer(self, session: Smtp, made: Message, sender: str, recipient: str = "") -> Reply:
        """One transaction; the first answer that is not positive, or the answer to the final dot."""
        for line in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient or self.run.probe}>"):
            answer = session.command(line)
            if answer.code != 250:
                self.sent.append(line)
                self.received.append(str(answer))
                return answer
        answer = self.data(session, made)
        self.sent.append(f"MAIL FROM:<{sender}>, RCPT TO:<{recipient or self.run.probe}>, {len(made.data)} octets")
        self.received.append(str(answer))
        return answer

    def await_message(self, made: Message, listener: str = "", *, once: bool = False) -> bytes:
        """The message as it lies in the probe's mailbox; waits for it with a deadline. ``once``: there must be one copy."""
        session = self.imap(listener)
        began = time.monotonic()
        uids = self.poll(lambda: session.search(f'HEADER Message-ID "{made.id}"'), f"{made.id} did not arrive")
        if once and len(uids) != 1:
            raise StepFailed(f"the message arrived {len(uids)} times")
        data = session.fetch(uids[0])
        self.received.append(f"in INBOX after {time.monotonic() - began:.2f} s, {len(data)} octets")
        return data

    def poll(self, look: Callable[[], tuple[int, ...]], otherwise: str) -> tuple[int, ...]:
        """Looks until there is something; StepFailed(``otherwise``) after ARRIVAL seconds."""
        end = Deadline.within(min(ARRIVAL, max(0.1, self.deadline.left() - 1)))
        pause = POLL
        while not (found := look()):
            if end.over:
                raise StepFailed(f"{otherwise} within {ARRIVAL:.0f} s")
            time.sleep(pause)
            pause = min(pause * 1.5, 0.5)
        return found

    # -- judgements --------------------------------------------------------------------------------------------------
    def expect(self, answer: Reply, code: int | tuple[int, ...], what: str, remedy: str = "") -> Reply:
        """The reply must have one of these codes."""
        if answer.code not in ((code,) if isinstance(code, int) else code):
            raise StepFailed(f"{what}: answered {answer}", remedy)
        return answer

    def refused(self, answer: Reply, what: str, *codes: int) -> Reply:
        """The reply must be a permanent refusal (5xx), one of ``codes`` if given; what was said is kept as evidence."""
        self.sent.append(what)
        self.received.append(str(answer))
        return self.judged_refusal(answer, what, *codes)

    def judged_refusal(self, answer: Reply, what: str, *codes: int) -> Reply:
        """The same for an answer that is evidence already."""
        wanted = f" with {'/'.join(map(str, codes))}" if codes else " (5xx)"
        if not 500 <= answer.code <= 599 or (codes and answer.code not in codes):
            raise StepFailed(f"{what}: answered {answer}, expected a refusal{wanted}")
        return answer
