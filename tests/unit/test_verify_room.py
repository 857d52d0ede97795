"""The small parts of the room: addresses to connect to, exact bytes on the wire, and who waits for whom."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path

import pytest

from appliance.errors import ApplianceError, Locked, UsageError
from appliance.verify import alone, message, smuggling
from appliance.verify.run import verify
from appliance.verify.smtp import Reply
from appliance.verify.target import engine_host
from tests.reports import Recorder
from tests.unit.verify_world import Running


@pytest.mark.parametrize(
    ("docker_host", "host"),
    [
        ("", ""),
        ("unix:///var/run/docker.sock", ""),
        ("ssh://root@vps.example.org", "vps.example.org"),
        ("ssh://vps:2222", "vps"),
        ("tcp://192.0.2.7:2376", "192.0.2.7"),
        ("tcp://[2001:db8::7]:2376", "2001:db8::7"),
    ],
)
def test_where_the_engine_is(docker_host: str, host: str) -> None:
    assert engine_host(docker_host) == host


@pytest.mark.parametrize(
    ("line", "code", "enhanced", "queue_id"),
    [
        ("2.0.0 Ok: queued as 4F2A1B", 250, "2.0.0", "4F2A1B"),
        ("5.7.1 no", 554, "5.7.1", ""),
        ("no", 500, "", ""),
        ("2.0 is no code", 250, "", ""),
    ],
)
def test_a_reply_is_read(line: str, code: int, enhanced: str, queue_id: str) -> None:
    reply = Reply(code, (line,))
    assert (reply.enhanced, reply.queue_id, str(reply)) == (enhanced, queue_id, f"{code} {line}")


def test_the_message_is_complete_and_marked() -> None:
    made = message.compose("cafe", "hello", "a@example.org", "b@example.org", domain="mail.example.org")
    header = made.data.partition(b"\r\n\r\n")[0].decode()
    for name in ("Date", "From", "To", "Subject", "Message-ID", "MIME-Version", "Auto-Submitted", "X-Appliance-Probe"):
        assert header.count(f"{name}: ") == 1, name
    assert b"\n" not in made.data.replace(b"\r\n", b"")


def test_no_file_of_ours_holds_the_test_virus() -> None:
    """Put together at run time: a scanner that looks at the checkout must stay silent."""
    whole = message.eicar()
    assert len(whole) == 68
    root = Path(message.__file__).parents[2]
    for folder in ("appliance", "roles", "tests", "images"):
        for file in (root / folder).rglob("*"):
            if file.is_file() and file.suffix != ".pyc":
                assert whole not in file.read_bytes(), file


def test_the_sequences_are_those_that_split_servers_before() -> None:
    assert len(set(smuggling.SEQUENCES)) == 10
    assert b"\r\n.\r\n" not in smuggling.SEQUENCES
    made = message.compose("cafe", "s", "a@example.org", "b@example.org", domain="x.example")
    text = smuggling.payload(made, b"\n.\n", "a@example.org", "b@example.org", "mark")
    assert b"\r\n.\r\n" not in text
    assert text.count(b"\n.\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n") == 1


def test_a_step_that_does_not_exist() -> None:
    with Running() as target, pytest.raises(UsageError, match="there is no step submision") as why:
        verify(target, "smoke", Recorder(), only=frozenset({"submision"}))
    assert why.value.hint == "did you mean submission?"


def test_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    order: list[str] = []
    waits = Recorder()
    entered = threading.Event()

    def second() -> None:
        with alone.alone("t-verify", waits):
            order.append("second")

    with alone.alone("t-verify", Recorder()):
        thread = threading.Thread(target=second)
        thread.start()
        while not waits.notes:
            entered.wait(0.01)
        with alone.alone("t-verify-other", Recorder()):
            order.append("another instance")
        order.append("first")
    thread.join(5)
    assert order == ["another instance", "first", "second"]
    monkeypatch.setattr(alone, "PATIENCE", 0.0)
    with alone.alone("t-verify", Recorder()), pytest.raises(Locked), alone.alone("t-verify", Recorder()):
        pass


def test_a_folder_that_others_can_write_to_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    with alone.alone("t-verify", Recorder()):
        pass
    next(tmp_path.iterdir()).chmod(0o777)
    with pytest.raises(ApplianceError, match="not a folder of yours"), alone.alone("t-verify", Recorder()):
        pass


def test_no_password_is_in_the_proof() -> None:
    with Running() as target:
        proof = verify(target, "smoke", Recorder(), only=frozenset({"submission", "wrong-password"}))
    text = str(proof.document())
    assert "AUTH PLAIN [probe-" in text
    assert "{SSHA512}" not in text
