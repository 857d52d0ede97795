"""An SMTP client that says exactly what a step wants said (RFC 5321), and keeps what was answered."""

from __future__ import annotations

import base64
import contextlib
import re
from dataclasses import dataclass

from appliance.verify.wire import Wire, WireError


@dataclass(frozen=True)
class Reply:
    """An SMTP reply: ``code``, its lines without the code, the enhanced status code of the first line (RFC 3463), if any."""

    code: int
    lines: tuple[str, ...]

    @property
    def enhanced(self) -> str:
        """``5.7.1``, or nothing."""
        m = re.match(r"[245]\.\d{1,3}\.\d{1,3}\b", self.lines[0]) if self.lines else None
        return m[0] if m else ""

    @property
    def queue_id(self) -> str:
        """Postfix's queue id of an accepted message, or nothing."""
        m = re.search(r"queued as ([0-9A-Za-z]+)", self.lines[-1]) if self.lines else None
        return m[1] if m else ""

    def __str__(self) -> str:
        return f"{self.code} {' / '.join(self.lines)}"


class Smtp(Wire):
    """One SMTP session. It begins with :meth:`greet`."""

    extensions: tuple[str, ...] = ()

    def reply(self) -> Reply:
        """The next reply (RFC 5321, 4.2.1)."""
        lines: list[str] = []
        while True:
            line = self.line()
            if not re.match(r"[2-5][0-9]{2}([ -]|$)", line):
                raise WireError(f"not an SMTP reply: {line[:120]}")
            lines.append(line[4:])
            if line[3:4] != "-":
                return Reply(int(line[:3]), tuple(lines))

    def command(self, text: str, shown: str | None = None) -> Reply:
        """One command, one reply."""
        self.send(text.encode() + b"\r\n", shown)
        return self.reply()

    def greet(self, helo: str) -> Reply:
        """Reads the greeting and says EHLO; a refused greeting is returned as it is."""
        greeting = self.reply()
        return self.ehlo(helo) if greeting.code == 220 else greeting

    def ehlo(self, helo: str) -> Reply:
        """EHLO; remembers the extensions."""
        answer = self.command(f"EHLO {helo}")
        self.extensions = tuple(line.upper() for line in answer.lines[1:]) if answer.code == 250 else ()
        return answer

    def offers(self, keyword: str) -> bool:
        """Whether the last EHLO named this extension."""
        return any(e.split()[0] == keyword for e in self.extensions if e)

    def starttls(self, helo: str) -> Reply:
        """STARTTLS and, after the handshake, EHLO again (RFC 3207, 4.2). A refusal is returned as it is."""
        answer = self.command("STARTTLS")
        if answer.code != 220:
            return answer
        self.start_tls()
        return self.ehlo(helo)

    def auth_plain(self, user: str, password: str) -> Reply:
        """AUTH PLAIN with an initial response (RFC 4616)."""
        token = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        return self.command(f"AUTH PLAIN {token}", shown=f"AUTH PLAIN [{user} and a password]")

    def content(self, message: bytes) -> Reply:
        """The text after DATA's 354, dots doubled (RFC 5321, 4.5.2), and the final dot."""
        stuffed = re.sub(rb"(?m)^\.", b"..", message)
        end = b"" if stuffed.endswith(b"\r\n") else b"\r\n"
        self.send(stuffed + end + b".\r\n", shown=f"[message of {len(message)} octets] .")
        return self.reply()

    def quit(self) -> None:
        """QUIT, and away: its answer proves nothing."""
        with contextlib.suppress(WireError):
            self.send(b"QUIT\r\n")
        self.close()
