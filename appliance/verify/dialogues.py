"""Speaks SMTP dialogues and prints what was answered. Standard library only, one file: it is also sent to other places.

A request is ``{"host", "port", "timeout", "sessions": [[line, …], …]}``; each session is one connection. The answer is
``{"from": our own address, "sessions": [{"replies": [text, …], "error": text}, …]}``; the first reply is the greeting.
"""

from __future__ import annotations

import json
import socket
import sys
from typing import Any


def talk(host: str, port: int, lines: list[str], timeout: float) -> dict[str, Any]:
    """One connection: each line is sent after the last one's reply (RFC 5321, 4.2). Never raises."""
    replies: list[str] = []
    result: dict[str, Any] = {"replies": replies, "error": "", "from": ""}
    try:
        with socket.create_connection((host, port), timeout=timeout) as connection:
            result["from"] = connection.getsockname()[0]
            with connection.makefile("rb") as answers:
                for line in [None, *lines]:
                    if line is not None:
                        connection.sendall(line.encode() + b"\r\n")
                    reply = answer(answers)
                    replies.append(reply)
                    if not reply:
                        result["error"] = "the server closed the connection"
                        break
    except OSError as why:
        result["error"] = str(why)
    return result


def answer(stream: Any) -> str:
    """One reply, its lines joined by `` / ``; empty when the server closed."""
    lines: list[str] = []
    while True:
        line = stream.readline(4096)
        if not line:
            return ""
        text = line.decode("utf-8", "backslashreplace").rstrip("\r\n")
        lines.append(text if not lines else text[4:])
        if text[3:4] != "-":
            return " / ".join(lines)


def carry_out(request: dict[str, Any]) -> dict[str, Any]:
    """All sessions of a request, one after the other; the first that is not even greeted ends it."""
    found: list[dict[str, Any]] = []
    for session in request["sessions"]:
        found.append(talk(request["host"], request["port"], session, request["timeout"]))
        if not any(found[-1]["replies"]):
            break
    return {"from": next((f["from"] for f in found if f["from"]), ""), "sessions": found}


if __name__ == "__main__":
    print(json.dumps(carry_out(json.loads(sys.argv[1]))))
