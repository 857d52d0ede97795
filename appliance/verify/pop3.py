"""The few words of POP3 (RFC 1939) that reading one mailbox needs."""

from __future__ import annotations

from appliance.verify.wire import Wire, WireError


class Pop3(Wire):
    """One POP3 session."""

    def greet(self) -> str:
        """The greeting."""
        return self.line()

    def command(self, text: str, shown: str | None = None) -> str:
        """One command and its single status line."""
        self.send(text.encode() + b"\r\n", shown)
        return self.line()

    def ok(self, text: str, shown: str | None = None) -> str:
        """A command that must succeed."""
        answer = self.command(text, shown)
        if not answer.startswith("+OK"):
            raise WireError(f"POP3 {shown or text}: {answer}")
        return answer

    def lines(self, text: str) -> list[str]:
        """A command with a multi-line answer; the lines without the final dot, dots undone (RFC 1939, 3)."""
        self.ok(text)
        found: list[str] = []
        while (line := self.line()) != ".":
            found.append(line[1:] if line.startswith(".") else line)
        return found

    def login(self, user: str, password: str) -> str:
        """USER and PASS; returns the last answer."""
        answer = self.command(f"USER {user}")
        return self.command(f"PASS {password}", shown="PASS [a password]") if answer.startswith("+OK") else answer

    def starttls(self) -> None:
        """STLS (RFC 2595, 4)."""
        self.ok("STLS")
        self.start_tls()

    def count(self) -> int:
        """Messages in the session (STAT)."""
        return int(self.ok("STAT").split()[1])

    def has(self, number: int, message_id: str) -> bool:
        """Whether a message has that Message-ID."""
        return any(message_id in line for line in self.lines(f"TOP {number} 0"))
