"""What a user is told when something cannot be done: what happened, where, and what to do.

Every error that a user can cause is an ``ApplianceError``; ``cli`` prints it and ends with its exit code.
Anything else that reaches the top is our defect and may show a traceback.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Exit(IntEnum):
    """The documented exit codes (README, "Exit codes"); 64 and up follow sysexits.h."""

    DONE = 0
    FAILED = 1
    PENDING = 2  # `plan --detailed-exitcode` only
    UNPROVEN = 3  # verify or a DNS requirement failed
    PARTIAL = 4  # part of a fleet failed
    LOCKED = 5
    USAGE = 64
    INVALID_SPEC = 65
    UNAVAILABLE = 69  # engine or host unreachable, or something to install is missing
    INTERRUPTED = 130


@dataclass(frozen=True)
class At:
    """A position in a user's file. ``line`` and ``column`` count from 1; ``text`` is that source line without its end."""

    file: str
    line: int
    column: int
    text: str = ""
    length: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class ApplianceError(Exception):
    """Something the user can understand and act on.

    ``message`` says what happened, ``hint`` what to do, ``at`` where in the user's file. ``code`` is the process's exit code.
    """

    code = Exit.FAILED

    def __init__(self, message: str, *, hint: str = "", at: At | None = None, code: Exit | None = None) -> None:
        super().__init__(message)
        self.message, self.hint, self.at = message, hint, at
        if code is not None:
            self.code = code


class UsageError(ApplianceError):
    """The command line asks for something that does not exist or does not fit together."""

    code = Exit.USAGE


class Unavailable(ApplianceError):
    """The engine, a host or a program that must be there is not."""

    code = Exit.UNAVAILABLE


class Locked(ApplianceError):
    """Another apply holds the instance's lock."""

    code = Exit.LOCKED


class Unproven(ApplianceError):
    """A check or a requirement on DNS failed."""

    code = Exit.UNPROVEN


@dataclass(frozen=True)
class Problem:
    """One finding about a spec. ``kind`` is a stable short name such as ``unknown-field``; ``level`` is error or warning."""

    kind: str
    message: str
    at: At
    hint: str = ""
    level: str = "error"


class InvalidSpec(ApplianceError):
    """The spec has errors; all of them are in ``problems``."""

    code = Exit.INVALID_SPEC

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        errors = sum(p.level == "error" for p in problems)
        super().__init__(f"{errors} error{'s' if errors != 1 else ''} in the spec")
        self.problems = problems
