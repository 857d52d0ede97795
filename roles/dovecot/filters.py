"""What Dovecot's templates need computed: accounts in every spelling, and the limits that follow from hashes and sessions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from appliance.spec.types import size, u_label
from appliance.topology import View

MIB = 2**20

#: auth-worker processes, each busy with one password: below this, clients are dropped in a storm of logins
WORKERS = 30
#: what one check may take. Steps, so that a new mailbox with a dearer hash rarely changes the container's memory limit
#: (which means a new container); `appliance keys hash` makes 19 MiB, `doveadm pw` 64 MiB.
HASH_STEPS = (20 * MIB, 64 * MIB, 256 * MIB, 1024 * MIB, 4096 * MIB)
#: an auth-worker without any hash: at vsz_limit = 64M the right password was answered AUTHENTICATIONFAILED
WORKER_BASE = 160 * MIB
#: master, config, stats, auth, logins, LMTP and their buffers, measured with room
BASE = 256 * MIB
#: one session that is awake
SESSION = MIB


@dataclass(frozen=True)
class Account:
    """One line of a passwd-file. ``name`` is a spelling, ``mailbox`` the canonical address; ``quota`` in bytes, 0 = no limit.

    ``postmaster``: mail to postmaster or abuse comes here, and is delivered when the mailbox is full too.
    """

    name: str
    mailbox: str
    quota: int
    password: str = ""
    postmaster: bool = False

    @property
    def fields(self) -> str:
        """Extra fields: quota, and the mailbox that another spelling stands for. Both look-ups must say it: passdb for logins,
        userdb for LMTP."""
        parts = [f"userdb_quota_storage_size={self._limit}"]
        if self.name != self.mailbox:
            parts += [f"user={self.mailbox}", f"userdb_user={self.mailbox}"]
        return " ".join(parts)

    @property
    def _limit(self) -> str:
        """What LMTP brings to a postmaster was let in at RCPT, whatever for; there and in IMAP its quota holds
        (https://doc.dovecot.org/2.4.1/core/settings/variables.html)."""
        if not (self.postmaster and self.quota):
            return f"{self.quota}B"
        return f'%{{protocol|if("eq","lmtp","0B","{self.quota}B")}}'


def spellings(address: str) -> tuple[str, ...]:
    """The address itself and, for an international domain, its U-label spelling (RFC 5890, 2.3.2.1)."""
    local, _, domain = address.rpartition("@")
    readable = u_label(domain)
    return (address,) if readable == domain else (address, f"{local}@{readable}")


def hash_cost(password: str) -> int:
    """Bytes of memory that one check of this hash takes. Only Argon2 is dear: ``$m=<KiB>,t=…,p=…$``."""
    cost = re.match(r"\{ARGON2ID?\}\$argon2\w+\$(?:v=\d+\$)?m=(\d+)", password, re.IGNORECASE)
    return int(cost[1]) * 1024 if cost else 0


def step(view: View) -> int:
    """The memory of the dearest hash, rounded up to one of HASH_STEPS."""
    dearest = max((hash_cost(m.password) for m in view.spec.mailboxes.values() if m.enabled and m.password), default=0)
    return next((s for s in HASH_STEPS if s >= dearest), dearest)


def memory(view: View) -> int:
    """The container's limit in bytes: every worker at its dearest hash, and every session."""
    sessions = int(view.options["sessions"])
    return BASE + WORKERS * step(view) + sessions * SESSION


def accounts(view: View) -> Iterator[Account]:
    """Every mailbox of the spec under every spelling, those without a login included (their ``password`` is empty).

    The doorway lets no address in that a passwd-file cannot hold (``:``, ``%``, a ``#`` in front), or a folder (``/``).
    """
    default = size(view.options["default_quota"])
    for address, mailbox in sorted(view.spec.mailboxes.items()):
        quota = default if mailbox.quota is None else mailbox.quota
        password = (mailbox.password or "") if mailbox.enabled else ""
        for name in spellings(address):
            yield Account(name, address, quota, password, address in view.people.postmasters)


def context(view: View) -> Mapping[str, object]:
    """Variables of the templates beside the View's own."""
    everyone = tuple(accounts(view))
    sessions = int(view.options["sessions"])
    logins = 1000
    return {
        "accounts": tuple(a for a in everyone if a.password),
        "without_login": tuple(a for a in everyone if not a.password),
        "workers": WORKERS,
        "worker_vsz": (WORKER_BASE + step(view)) // MIB,
        "sessions": sessions,
        "login_clients": logins,
        # what auth must be able to serve at once: each login connection, each session's userdb look-up, Postfix, LMTP
        "auth_clients": 8 * logins + 2 * sessions + 1000,
        "sockets": f"/sock/{view.service.name}",
        # a message that fitted at RCPT may arrive when others have filled the mailbox meanwhile
        "grace": max(view.spec.wire_size, 10 * MIB),
    }
