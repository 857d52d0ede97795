"""Can a recipient take mail: the policy server between Postfix and the mail store, over real unix sockets."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mailpolicy import health
from mailpolicy.recipients import Server
from mailpolicy.status import FULL, PARTLY_FULL, UNKNOWN, Store, answer, meaning, reached
from mailpolicy.tables import Addresses, Table, addresses

MEMBERS = """alice@example.org alice@example.org
full@example.org full@example.org
odd@example.org odd@example.org
gone@example.org
both@example.org alice@example.org, full@example.org
tofull@example.org full@example.org
away@example.org
@example.net alice@example.org
real@example.net full@example.org
out@example.net
postmaster alice@example.org
"""


@pytest.mark.parametrize(
    ("recipient", "mailboxes"),
    [
        ("alice@example.org", ("alice@example.org",)),
        ("alice+x@example.org", ("alice@example.org",)),
        ("both@example.org", ("alice@example.org", "full@example.org")),
        ("nobody@example.org", ()),
        ("anything@example.net", ("alice@example.org",)),
        ("real+x@example.net", ("full@example.org",)),
        ("out@example.net", ()),
        ("postmaster", ("alice@example.org",)),
        ("x@elsewhere.example", ()),
        ("", ()),
    ],
)
def test_an_address_is_followed_to_its_mailboxes(recipient: str, mailboxes: tuple[str, ...]) -> None:
    assert reached(recipient, addresses(MEMBERS)) == mailboxes


@pytest.mark.parametrize(
    ("full", "action"),
    [([], "DUNNO"), ([False], "DUNNO"), ([True], FULL), ([True, True], FULL), ([True, False], PARTLY_FULL)],
)
def test_nothing_that_is_accepted_may_come_back_later(full: list[bool], action: str) -> None:
    assert answer(full) == action


@pytest.mark.parametrize(
    ("reply", "full"),
    [
        ("action=DUNNO\n\n", False),
        ("action=OK\n\n", False),
        ("action=552 5.2.2 Mailbox is full\n\n", True),
        ("action=452 4.2.2 Mailbox is full\n\n", True),
        ("action=DEFER_IF_PERMIT 4.2.2 Mailbox is full\n\n", True),
    ],
)
def test_the_store_s_words(reply: str, full: bool) -> None:
    assert meaning(reply) is full


@pytest.mark.parametrize(
    "reply", ["", "action=\n\n", "action=DEFER_IF_PERMIT internal error\n\n", "action=REJECT\n\n", "x\n\n", "action=OK\nx\n\n"]
)
def test_any_other_word_of_the_store_is_a_surprise(reply: str) -> None:
    with pytest.raises(ValueError, match="mail store"):
        meaning(reply)


class FakeStore(socketserver.ThreadingUnixStreamServer):
    """A mail store that knows two mailboxes; ``close_after`` answers it hangs up. ``asked`` are the recipients in order."""

    daemon_threads = True

    def __init__(self, path: str, close_after: int = 1000) -> None:
        self.asked: list[str] = []
        self.connections = 0
        self.close_after = close_after
        super().__init__(path, _FakeHandler)


class _FakeHandler(socketserver.StreamRequestHandler):
    server: FakeStore

    def handle(self) -> None:
        self.server.connections += 1
        for _ in range(self.server.close_after):
            lines = [line.decode().strip() for line in iter(self.rfile.readline, b"\n") if line]
            if not lines:
                return
            recipient = dict(line.split("=", 1) for line in lines)["recipient"]
            self.server.asked.append(recipient)
            word = {"full": "552 5.2.2 Mailbox is full", "odd": "REJECT because"}.get(recipient.partition("@")[0], "DUNNO")
            self.wfile.write(f"action={word}\n\n".encode())


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def say(path: Path, *requests: bytes) -> list[str]:
    """The answers to requests on one connection, "" where it was closed."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(str(path))
        stream = client.makefile("rwb")
        found = []
        for request in requests:
            stream.write(request)
            stream.flush()
            found.append(stream.readline().decode().strip().removeprefix("action="))
            stream.readline()
        return found


def request(recipient: str, **more: str) -> bytes:
    fields = {"request": "smtpd_access_policy", "protocol_state": "RCPT", "recipient": recipient, "size": "100", **more}
    return "".join(f"{k}={v}\n" for k, v in fields.items()).encode() + b"\n"


@pytest.fixture
def members(tmp_path: Path) -> Table[Addresses]:
    (tmp_path / "members").write_text(MEMBERS)
    return Table(str(tmp_path / "members"), addresses)


def test_one_connection_many_questions(tmp_path: Path, members: Table[Addresses]) -> None:
    store = FakeStore(str(tmp_path / "store"))
    with serving(store), serving(Server(str(tmp_path / "s"), members, Store(str(tmp_path / "store")))):
        names = ["ALICE@example.org", "full@example.org", "both@example.org", "tofull+x@example.org", "x@elsewhere.example"]
        found = say(tmp_path / "s", *(request(name) for name in names))
    assert found == ["DUNNO", FULL, PARTLY_FULL, FULL, "DUNNO"]
    assert store.asked == ["alice@example.org", "full@example.org", "alice@example.org", "full@example.org", "full@example.org"]
    assert store.connections == 1


def test_a_restarted_store_is_asked_again(tmp_path: Path, members: Table[Addresses]) -> None:
    with (
        serving(FakeStore(str(tmp_path / "store"), close_after=1)),
        serving(Server(str(tmp_path / "s"), members, Store(str(tmp_path / "store")))),
    ):
        assert say(tmp_path / "s", request("full@example.org"), request("both@example.org")) == [FULL, PARTLY_FULL]


@pytest.mark.parametrize(
    "asked",
    [
        request("odd@example.org"),  # a word that it does not know
        request("alice@example.org", size="many"),
        request("alice@example.org", request="other"),
        b"request=smtpd_access_policy\n\n",
        b"nonsense\n\n",
        b"recipient=\xff\n\n",
    ],
)
def test_every_surprise_is_4xx(tmp_path: Path, members: Table[Addresses], asked: bytes) -> None:
    with (
        serving(FakeStore(str(tmp_path / "store"))),
        serving(Server(str(tmp_path / "s"), members, Store(str(tmp_path / "store")))),
    ):
        assert say(tmp_path / "s", asked) == [UNKNOWN]


def test_a_store_that_is_away_is_4xx_and_no_store_at_all_is_no_opinion(tmp_path: Path, members: Table[Addresses]) -> None:
    with serving(Server(str(tmp_path / "s"), members, Store(str(tmp_path / "nowhere")))):
        # nobody's mailbox is asked about where there is none
        assert say(tmp_path / "s", request("alice@example.org"), request("x@elsewhere.example")) == [UNKNOWN, "DUNNO"]
    with serving(Server(str(tmp_path / "t"), members, None)):
        assert say(tmp_path / "t", request("alice@example.org")) == ["DUNNO"]


def test_a_table_that_is_gone_is_4xx(tmp_path: Path, members: Table[Addresses]) -> None:
    (tmp_path / "members").unlink()
    with serving(Server(str(tmp_path / "s"), members, Store(str(tmp_path / "nowhere")))):
        assert say(tmp_path / "s", request("alice@example.org")) == [UNKNOWN]


def test_health_asks_and_believes_only_an_action(tmp_path: Path, members: Table[Addresses]) -> None:
    with (
        serving(Server(str(tmp_path / "s"), members, Store(str(tmp_path / "nowhere")))),
        socket.socket(socket.AF_UNIX) as client,
    ):
        client.connect(str(tmp_path / "s"))
        health.ask_recipients(client, "alice@example.org")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"nonsense\n")
        with pytest.raises(ValueError, match="no action"):
            health.ask_recipients(ours, "alice@example.org")


def test_health_of_the_milter_demands_that_the_probe_may_send() -> None:
    for reply, wrong in ((b"c", ""), (b"t", "MAIL of the probe"), (b"y550 5.7.1 no\0", "MAIL of the probe")):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.sendall(health.packet(b"O", b"\0" * 12) + health.packet(reply[:1], reply[1:]))
            if wrong:
                with pytest.raises(ValueError, match=wrong):
                    health.ask_milter(ours, "probe@example.org")
            else:
                health.ask_milter(ours, "probe@example.org")
