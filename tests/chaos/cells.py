"""One cell of the fault matrix: a part, what is wrong with it, what five senders were answered, and what is wrong about that."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial

from appliance.verify.message import eicar
from tests.chaos.faults import OtherResolver, Taken, closed, held
from tests.chaos.world import drained
from tests.integration.mail import Answer, arrive, arrive_as, message, submit, submit_as, until_accepted
from tests.integration.running import Appliance
from tests.integration.sabotage import Stopped

FAULTS = ("stopped", "paused", "slow", "garbage", "missing")
STRANGER, INBOX, LOGIN, OUTBOX = "stranger@elsewhere.example", "alice@example.org", "alice@example.org", "bob@example.org"
#: seconds that everything else may take beside the part that is ill, on a busy machine
SLACK = 10


@dataclass(frozen=True)
class Part:
    """What may be ill: ``socket`` of ``service``; ``process``: the one of the service's that it is, where there are others.

    ``limit``: rendered seconds after which its silence is an answer. ``waits``: listeners that answer 4xx without it; the others
    may take mail, whole. ``drops``: listeners that may close the connection instead. ``asker``: who would go on with a connection
    that it has, and must ask anew.
    """

    name: str
    service: str
    socket: str
    limit: float
    waits: tuple[str, ...] = ()
    drops: tuple[str, ...] = ()
    process: str = ""
    asker: str = "postfix"

    @contextmanager
    def ill(self, where: Appliance, fault: str) -> Iterator[None]:
        """Broken inside, whole again after it."""
        with self._broken(where, fault):
            self._ask_anew(where)
            yield
        where.wait(self.service)
        self._ask_anew(where)

    def _broken(self, where: Appliance, fault: str) -> AbstractContextManager[None]:
        if fault == "paused":
            return held(where, self.service, self.process)
        if fault == "stopped":
            return closed(where, self.service, self.process) if self.process else Stopped(self.service).on(where)
        if self.service == "resolver":
            return OtherResolver(fault).on(where)
        return Taken(self.service, self.socket, fault).on(where)

    def _ask_anew(self, where: Appliance) -> None:
        if self.asker == "postfix":
            where.exec("postfix", "postfix", "reload")
        else:
            where.client.containers.get(f"{where.name}-{self.asker}").restart(timeout=2)
            where.wait(self.asker, must=False)


@dataclass(frozen=True)
class Cell:
    """What was answered, by sender; ``wrong``: sentences; ``slowest`` answer in seconds."""

    part: str
    fault: str
    answers: dict[str, Answer]
    wrong: tuple[str, ...]

    @property
    def slowest(self) -> float:
        """Seconds until the last of the answers."""
        return max(a.seconds for a in self.answers.values())


def tried(where: Appliance, part: Part, fault: str, patience: float = 0) -> Cell:
    """Breaks, sends, heals, sends again, looks. ``patience``: seconds for an answer instead of the part's limit."""
    names = {listener: f"{part.name}-{fault}-{secrets.token_hex(4)}@tests" for listener in ("25", "587")}
    seconds = (patience or part.limit) + SLACK
    with part.ill(where, fault):
        answers = sent(where, names, seconds + 5)
    wrong = [w for who, answer in answers.items() for w in judged(part, fault, who, answer, seconds)]
    for listener, again in (("25", partial(arrive, where, names["25"])), ("587", partial(submit, where, names["587"]))):
        if not answers[listener].accepted and not until_accepted(again).accepted:
            wrong.append(f"{listener} does not take it after healing")
    found = drained(where, names.values(), 90)
    wrong += [f"{listener}'s mail did not arrive" for listener, name in names.items() if name not in found]
    wrong += looked(where, names["587"])
    return Cell(part.name, fault, answers, tuple(wrong))


def sent(where: Appliance, names: dict[str, str], seconds: float) -> dict[str, Answer]:
    """What an honest stranger and an honest user are answered, both with a virus, and a user who is somebody else."""
    virus = b"\r\n" + eicar() + b"\r\n"
    bad = f"bad-{secrets.token_hex(4)}@tests"
    mails = {
        "25": partial(arrive, where, names["25"], timeout=seconds),
        "25 virus": partial(arrive_as, where, _headed(bad, STRANGER, INBOX) + virus, INBOX, timeout=seconds),
        "587": partial(submit, where, names["587"], timeout=seconds),
        "587 virus": partial(submit_as, where, _headed(bad, LOGIN, OUTBOX) + virus, OUTBOX, LOGIN, timeout=seconds),
        "587 forged": partial(submit_as, where, message(bad, OUTBOX, INBOX), INBOX, LOGIN, timeout=seconds),
    }
    with ThreadPoolExecutor(len(mails)) as pool:
        return dict(zip(mails, pool.map(lambda send: send(), mails.values()), strict=True))


def _headed(ident: str, sender: str, to: str) -> bytes:
    return message(ident, sender, to).partition(b"\r\n\r\n")[0] + b"\r\n"


def judged(part: Part, fault: str, who: str, answer: Answer, seconds: float) -> Iterator[str]:
    """What is wrong about one answer."""
    listener, _, bad = who.partition(" ")
    said = f"{who} was answered {answer.code} {answer.text}"
    if bad and answer.accepted:
        yield f"{said}: it got in"
    if not bad and answer.code >= 500:
        yield said
    if not bad and answer.accepted and listener in part.waits and fault != "slow":
        yield f"{said}, which nobody checked"
    if answer.code == 0 and listener not in part.drops:
        yield f"{said}: closed without a word"
    if answer.seconds > seconds:
        yield f"{said} after {answer.seconds:.0f} s"


def looked(where: Appliance, submitted: str) -> Sequence[str]:
    """What is wrong in the mailboxes and in the queue: a signature that is missing, a bounce."""
    script = (
        "find /srv/mail -type f -path '*/Maildir/*/*.M*P*' > /tmp/all; "
        f"for f in $(xargs grep -lF '<{submitted}>' < /tmp/all); do grep -c '^DKIM-Signature:' $f || true; done; "
        "xargs grep -lE '^Content-Type: multipart/report' < /tmp/all | sed 's/.*/bounce/' || true"
    )
    said = where.engine.exec(where.name, "dovecot", ("sh", "-euc", script), user="905:905").stdout.decode().split()
    wrong = [f"587's mail has {n} signatures" for n in said if n.isdigit() and int(n) < 2]
    queue = where.exec("postfix", "postqueue", "-j")
    return wrong + ["a bounce was stored"] * ("bounce" in said) + ["a bounce is queued"] * ('"MAILER-DAEMON"' in queue)
