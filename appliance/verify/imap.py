"""The few words of IMAP4rev1 (RFC 3501) that reading one mailbox needs, with the transcript that imaplib does not keep."""

from __future__ import annotations

import re

from appliance.verify.wire import Wire, WireError


def quoted(text: str) -> str:
    """A quoted string (RFC 3501, 4.3)."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Imap(Wire):
    """One IMAP session."""

    tag = 0
    capabilities: tuple[str, ...] = ()
    literals: tuple[bytes, ...] = ()

    def greet(self) -> str:
        """The greeting; remembers the capabilities that it tells."""
        greeting = self.line()
        m = re.search(r"\[CAPABILITY ([^\]]*)\]", greeting)
        self.capabilities = tuple(m[1].upper().split()) if m else ()
        return greeting

    def command(self, text: str, shown: str | None = None) -> tuple[str, list[str]]:
        """One command; returns the tagged answer without its tag, and the untagged lines. Literals go to ``literals``."""
        self.tag += 1
        tag = f"a{self.tag}"
        self.send(f"{tag} {text}\r\n".encode(), f"{tag} {shown}" if shown else None)
        untagged: list[str] = []
        literals: list[bytes] = []
        while True:
            line = self.line()
            if line.startswith(f"{tag} "):
                self.literals = tuple(literals)
                return line[len(tag) + 1 :], untagged
            m = re.search(r"\{(\d+)\}$", line)
            if m:
                literals.append(self.octets(int(m[1])))
            untagged.append(line)

    def ok(self, text: str, shown: str | None = None) -> list[str]:
        """A command that must succeed; raises WireError with the server's words otherwise."""
        answer, untagged = self.command(text, shown)
        if not answer.upper().startswith("OK"):
            raise WireError(f"IMAP {shown or text}: {answer}")
        return untagged

    def starttls(self) -> None:
        """STARTTLS (RFC 3501, 6.2.1)."""
        self.ok("STARTTLS")
        self.start_tls()

    def login(self, user: str, password: str) -> str:
        """LOGIN; returns the tagged answer (``OK …`` or ``NO …``)."""
        return self.command(f"LOGIN {quoted(user)} {quoted(password)}", shown=f"LOGIN {user} [a password]")[0]

    def search(self, criteria: str) -> tuple[int, ...]:
        """UIDs of the messages that match."""
        found = [line for line in self.ok(f"UID SEARCH {criteria}") if line.upper().startswith("* SEARCH")]
        return tuple(int(n) for line in found for n in line.split()[2:])

    def fetch(self, uid: int) -> bytes:
        """The whole message, byte for byte, without marking it as read."""
        self.ok(f"UID FETCH {uid} BODY.PEEK[]")
        if not self.literals:
            raise WireError(f"IMAP: the message {uid} came without its text")
        return self.literals[0]

    def remove(self, uids: tuple[int, ...]) -> None:
        """Removes messages for good."""
        if uids:
            self.ok(f"UID STORE {','.join(map(str, uids))} +FLAGS.SILENT (\\Deleted)")
            self.ok("EXPUNGE")
