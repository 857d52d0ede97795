"""The milter's callbacks, on a binding that only records what libmilter would be told."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mailpolicy.rate import Rate
from mailpolicy.settings import settings
from mailpolicy.tables import Table, addresses

CONTINUE, REJECT, TEMPFAIL = 0, 1, 4


class Base:
    """What Milter.Base gives: macros in, replies and changes out."""

    def __init__(self) -> None:
        self.macros: dict[str, str] = {}
        self.told: list[tuple[str, ...]] = []

    def getsymval(self, name: str) -> str | None:
        return self.macros.get(name)

    def setreply(self, *reply: str) -> None:
        self.told.append(("reply", *reply))

    def chgheader(self, name: str, index: int, value: str) -> None:
        self.told.append(("change", name, str(index), value))

    def chgfrom(self, sender: str) -> None:
        self.told.append(("from", sender))


@pytest.fixture
def milter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """The program, with a fake binding under it and tables of its own."""
    fake = ModuleType("Milter")
    for name, value in {
        "Base": Base,
        "CONTINUE": CONTINUE,
        "REJECT": REJECT,
        "TEMPFAIL": TEMPFAIL,
        "decode": lambda _: lambda f: f,
        "noreply": lambda f: f,
    }.items():
        setattr(fake, name, value)
    monkeypatch.setitem(sys.modules, "Milter", fake)
    monkeypatch.delitem(sys.modules, "mailpolicy.milter", raising=False)
    module = importlib.import_module("mailpolicy.milter")
    text = 'recipients_per_hour = 1\ndelimiter = "+"\nprobe = "p@x.example"\ndomains = ["x.example"]\n'
    (tmp_path / "settings").write_text(text)
    (tmp_path / "senders").write_text("a@x.example a@x.example\n")
    module.Policy.settings = Table(str(tmp_path / "settings"), settings)
    module.Policy.senders = Table(str(tmp_path / "senders"), addresses)
    module.Policy.rate = Rate(lambda: 1e6)
    yield module
    sys.modules.pop("mailpolicy.milter", None)


def made(module: Any, service: str = "submission", login: str = "a@x.example") -> Any:
    """A connection; its own constructor does not call the binding's."""
    connection = module.Policy()
    Base.__init__(connection)
    connection.macros = {"{daemon_name}": service, "{auth_authen}": login}
    return connection


def test_a_message_goes_through_and_is_completed(milter: Any) -> None:
    c = made(milter)
    answers = [c.envfrom("<a@x.example>", "SIZE=1"), c.envrcpt("<b@y.example>"), c.header("From", b"A <a>"), c.eoh(), c.eom()]
    assert answers == [CONTINUE] * 5
    assert c.told == [("change", "From", "1", "A <a@x.example>")]


def test_refusals_carry_their_words_and_4xx_stays_4xx(milter: Any, capsys: pytest.CaptureFixture[str]) -> None:
    c = made(milter)
    assert c.envfrom("<100%@x.example>") == REJECT
    assert c.told[-1] == ("reply", "553", "5.7.1", "<100%%@x.example> is not a sender address of a@x.example")
    assert "refused: service=submission login=a@x.example sender=100%@x.example 553" in capsys.readouterr().out
    assert c.envfrom("<a@x.example>") == CONTINUE
    assert [c.envrcpt("<b@y.example>"), c.envrcpt("<b@y.example>")] == [CONTINUE, TEMPFAIL]
    assert c.told[-1][:3] == ("reply", "450", "4.7.1")
    assert capsys.readouterr().out.startswith("event=recipient-limit login=a@x.example limit=1/h")


def test_the_second_message_of_a_session_starts_anew(milter: Any) -> None:
    c = made(milter)
    c.envfrom("<a@x.example>")
    c.header("From", b"a")
    c.eoh()
    c.envfrom("<a@x.example>")
    c.header("From", b"b@y.example")
    assert c.eoh() == REJECT
    assert c.eom() == CONTINUE
    assert not [t for t in c.told if t[0] == "change"]


def test_an_automatic_reply_leaves_with_the_null_sender(milter: Any) -> None:
    c = made(milter, "reinjected", "")
    c.envfrom("<a@x.example>")
    c.envrcpt("<b@y.example>")
    for name, value in (("X-Sieve", b"x"), ("From", b"a@x.example"), ("Auto-Submitted", b"auto-replied (vacation)")):
        c.header(name, value)
    assert [c.eoh(), c.eom()] == [CONTINUE, CONTINUE]
    assert c.told == [("from", "<>")]


def test_a_command_before_mail_is_an_error_that_the_binding_answers_4xx(milter: Any) -> None:
    with pytest.raises(RuntimeError):
        made(milter).envrcpt("<b@y.example>")


def test_counts_are_written_at_the_end(milter: Any, tmp_path: Path) -> None:
    ended = threading.Event()
    ended.set()
    milter.Policy.rate.take("a@x.example", 5)
    milter.keep(milter.Policy.rate, tmp_path / "counts", ended)
    assert "a@x.example" in (tmp_path / "counts").read_text()


def test_counts_that_cannot_be_written_are_told_and_kept(milter: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ended = threading.Event()
    ended.set()
    milter.Policy.rate.take("a@x.example", 5)
    milter.keep(milter.Policy.rate, tmp_path / "no folder" / "counts", ended)
    assert capsys.readouterr().out.startswith("event=counts-not-kept")
    assert milter.Policy.rate.changed
