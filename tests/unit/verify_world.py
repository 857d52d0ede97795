"""A mail system in one process that can be told to lie: SMTP, IMAP, POP3 on loopback, and an engine without containers.

Honest, it passes the whole suite. Each lie is one wrong thing, and the tables of test_verify_liar.py say which step must see it.
"""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import socketserver
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import dkim
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from appliance.catalog.role import Offer, Role, ServiceDef
from appliance.engines.base import ExecResult
from appliance.errors import ApplianceError
from appliance.keys.view import TLS_CERT, KeyView, dkim_ref
from appliance.people import people
from appliance.render.bundle import Bundle, NetworkBundle, Port, Runtime, ServiceBundle
from appliance.spec.model import DomainSpec, Listen, Mailbox, Ports, RoleSettings, Spec
from appliance.topology import Network, Node, Topology
from appliance.verify.certificate import fingerprint
from appliance.verify.target import Target

HOSTNAME, DOMAIN = "mail.example.org", "example.org"
#: alice's hash: no document of a proof may show it
SECRET = "{SSHA512}" + base64.b64encode(b"alice" * 14 + b"ab").decode()
LISTENERS = ("smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s")
ROLES = ("postfix", "dovecot", "policy", "opendkim", "clamav")


@dataclass
class World:
    """The state behind all listeners. ``lies``: what is done wrongly."""

    lies: frozenset[str] = frozenset()
    mailbox: dict[int, bytes] = field(default_factory=dict)
    login: str = ""  # the probe's passwd-file line
    log: list[str] = field(default_factory=list)
    count: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    probe: str = ""
    limit: int = 0

    def lie(self, name: str) -> bool:
        return name in self.lies

    def password_fits(self, user: str, password: str) -> bool:
        if self.lie("any password"):
            return user == self.probe and bool(self.login)
        name, _, rest = self.login.partition(":")
        if name != user or not rest.startswith("{SSHA512}"):
            return False
        raw = base64.b64decode(rest.removeprefix("{SSHA512}").partition(":")[0])
        return hashlib.sha512(password.encode() + raw[64:]).digest() == raw[:64]

    def store(self, service: str, sender: str, data: bytes, client: str) -> str:
        """Delivers; returns a queue id."""
        with self.lock:
            self.count += 1
            queue_id = f"4F{self.count:08X}"
            self.log.append(f"{service}: {queue_id}: from=<{sender}>, status=sent")
            if self.lie("warns of a message"):
                self.log.append(f"postfix/cleanup: warning: {queue_id}: something odd")
            if self.lie("another message is warned of"):
                self.log.append("postfix/cleanup: warning: AAAAAAAA: not ours")
            if self.lie(f"{service} loses mail"):
                return queue_id
            for _ in range(2 if self.lie(f"{service} delivers twice") else 1):
                self.mailbox[max(self.mailbox, default=0) + 1] = self.dressed(service, sender, data, client)
        return queue_id

    def dressed(self, service: str, sender: str, data: bytes, client: str) -> bytes:
        """What lies in the mailbox: traces, signatures, and the damage that a lie does."""
        if self.lie("mangles bodies"):
            data = data.replace(b"AA", b"AB").replace("ß".encode(), b"ss")
        if self.lie("loses the mark"):
            data = data.replace(b"X-Appliance-Probe", b"X-Something-Else")
        hides = service != "smtp" and not self.lie("tells the submitter")
        trace = f"Received: {'' if hides else f'from probe.invalid ([{client}]) '}by {HOSTNAME} (Postfix) id 4F\r\n"
        if self.lie("no Received"):
            trace = ""
        signs = service != "smtp" or self.lie("signs strangers")
        return f"Return-Path: <{sender}>\r\n{trace}".encode() + (self.signed(data) if signs else data)

    def signed(self, data: bytes) -> bytes:
        keys = made_keys()
        for selector, algorithm, secret in (("s1-rsa", b"rsa-sha256", keys.rsa), ("s1-ed25519", b"ed25519-sha256", keys.ed25519)):
            if not self.lie(f"no {selector} signature"):
                field_ = dkim.sign(data, selector.encode(), DOMAIN.encode(), secret, signature_algorithm=algorithm)
                data = field_ + data
        return data.replace(b"bh=", b"bh=AAAA", 1) if self.lie("broken signature") else data


@dataclass(frozen=True)
class Keys:
    rsa: bytes
    ed25519: bytes
    public: dict[str, str]


@lru_cache
def made_keys() -> Keys:
    """DKIM keys, once a session."""
    big = rsa.generate_private_key(65537, 2048)
    small = ed25519.Ed25519PrivateKey.generate()
    public = {
        dkim_ref(DOMAIN, "s1", "rsa-2048"): base64.b64encode(
            big.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        ).decode(),
        dkim_ref(DOMAIN, "s1", "ed25519"): base64.b64encode(
            small.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        ).decode(),
    }
    pem = big.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    seed = base64.b64encode(small.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()))
    return Keys(pem, seed, public)


@lru_cache
def certificate(name: str, days: int) -> tuple[bytes, bytes]:
    """(PEM chain and key, DER of the certificate)."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=60))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, serialization.NoEncryption())
    return made.public_bytes(Encoding.PEM) + secret, made.public_bytes(Encoding.DER)


def server_context(lies: frozenset[str]) -> ssl.SSLContext:
    """TLS as the lies want it."""
    name, days = ("other.example", 30) if "other name" in lies else (HOSTNAME, -1 if "expired" in lies else 30)
    if "other key" in lies:
        days = 31
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if "old TLS" in lies:
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.set_ciphers("ALL:@SECLEVEL=0")
    with tempfile.NamedTemporaryFile() as file:
        file.write(certificate(name, days)[0])
        file.flush()
        context.load_cert_chain(file.name)
    return context


class Talk(socketserver.BaseRequestHandler):
    """Lines in, lines out; TLS at the start or later."""

    server: Listener
    buffer = b""
    secure = False

    @property
    def world(self) -> World:
        return self.server.world

    def lie(self, name: str) -> bool:
        return self.world.lie(name)

    def handle(self) -> None:
        try:
            if self.server.name in ("submissions", "imaps", "pop3s"):
                self.tls()
            self.converse()
        except (OSError, EOFError):
            pass

    def converse(self) -> None:
        raise NotImplementedError

    def tls(self, keep: bool = False) -> None:
        if not keep:
            self.buffer = b""
        self.request = self.server.context.wrap_socket(self.request, server_side=True)
        self.secure = True

    def say(self, text: str) -> None:
        self.request.sendall(text.encode() + b"\r\n")

    def more(self) -> None:
        data = self.request.recv(1 << 16)
        if not data:
            raise EOFError
        self.buffer += data

    def line(self) -> str:
        while b"\r\n" not in self.buffer:
            self.more()
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line.decode("utf-8", "replace")

    def octets(self, count: int) -> bytes:
        while len(self.buffer) < count:
            self.more()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data


class SmtpTalk(Talk):
    """An MX (25) or a submission service."""

    def converse(self) -> None:
        self.user = ""
        self.sender: str | None = None
        self.accepted = 0
        self.say(f"220 {HOSTNAME} ESMTP")
        while True:
            line = self.line()
            verb = line.split(":")[0].split()[0].upper() if line.strip() else ""
            if verb == "QUIT":
                self.say("221 2.0.0 Bye")
                return
            known: dict[str, Callable[[str], None]] = {
                "EHLO": self.ehlo,
                "STARTTLS": self.starttls,
                "AUTH": self.auth,
                "MAIL": self.mail,
                "RCPT": self.rcpt,
                "DATA": self.data,
                "BDAT": self.bdat,
                "RSET": self.rset,
            }
            known.get(verb, self.unknown)(line)

    @property
    def mx(self) -> bool:
        return self.server.name == "smtp"

    def unknown(self, _line: str) -> None:
        self.say("502 5.5.2 Error: command not recognized")

    def rset(self, _line: str) -> None:
        self.sender, self.accepted = None, 0
        self.say("250 2.0.0 Ok")

    def ehlo(self, _line: str) -> None:
        words = [HOSTNAME, "8BITMIME", "ENHANCEDSTATUSCODES"]
        words += [] if self.lie("no SIZE") else [f"SIZE {self.world.limit}"]
        words += [] if self.secure else ["STARTTLS"]
        words += ["CHUNKING"] if self.lie("chunks") else []
        if (not self.mx and self.secure) or self.lie("AUTH everywhere"):
            words.append("AUTH PLAIN")
        self.say("\r\n".join([f"250-{w}" for w in words[:-1]] + [f"250 {words[-1]}"]))

    def starttls(self, _line: str) -> None:
        self.say("220 2.0.0 Ready to start TLS")
        self.tls(keep=self.lie("SMTP injection"))

    def auth(self, line: str) -> None:
        if self.mx and not self.lie("AUTH everywhere"):
            return self.say("503 5.5.1 Error: authentication not enabled")
        if not self.secure and not self.lie("AUTH everywhere"):
            return self.say("530 5.7.0 Must issue a STARTTLS command first")
        _, user, password = base64.b64decode(line.split()[2]).decode().split("\0")
        if self.world.password_fits(user, password):
            self.user = user
            return self.say("235 2.7.0 Authentication successful")
        return self.say("535 5.7.8 Error: authentication failed")

    def mail(self, line: str) -> None:
        found = re.match(r"MAIL FROM:\s*<([^>]*)>(.*)", line)
        sender = found[1] if found else ""
        size = re.search(r"SIZE=(\d+)", line)
        if size and int(size[1]) > self.world.limit and not self.lie("no SIZE check"):
            return self.say("552 5.3.4 Message size exceeds fixed limit")
        if not self.mx and not self.user and not (self.secure and self.lie("submission without login")):
            return self.say("530 5.7.0 Authentication required")
        if not self.mx and self.user and sender not in ("", self.user) and not self.lie("any envelope"):
            return self.say(f"553 5.7.1 <{sender}> is not a sender address of {self.user}")
        self.sender, self.accepted = sender, 0
        return self.say("250 2.1.0 Ok")

    def rcpt(self, line: str) -> None:
        if self.sender is None:
            return self.say("503 5.5.1 Error: need MAIL command")
        to = line.partition(":")[2].strip().strip("<>").lower()
        hosted = to.rpartition("@")[2] in (DOMAIN, HOSTNAME) and not re.search(r'[%!"]|@.*@', to)
        known = to in (self.world.probe, "postmaster") or re.match(rf"(postmaster|abuse)@({DOMAIN}|{HOSTNAME})$", to)
        if not hosted and to != "postmaster" and not self.relays(to):
            return self.say("554 5.7.1 Relay access denied")
        if not self.mx and self.user == self.world.probe and to != self.world.probe and not self.lie("probe at large"):
            return self.say("550 5.7.1 the probe may send only to itself")
        if hosted and not known and not self.lie("everybody exists"):
            return self.say("450 4.2.0 later" if self.lie("unknown is deferred") else "550 5.1.1 User unknown")
        if to.startswith("abuse@") and self.lie("no abuse"):
            return self.say("550 5.1.1 User unknown")
        self.accepted += 1
        return self.say("250 2.1.5 Ok")

    def relays(self, to: str) -> bool:
        if not self.mx:
            return self.lie("submission without login") or self.lie("probe at large")
        return self.lie("open relay") or (self.lie("bang paths") and "!" in to) or (self.lie("percent") and "%" in to)

    def data(self, _line: str) -> None:
        if not self.accepted:
            return self.say("554 5.5.1 Error: no valid recipients")
        self.say("354 End data with <CR><LF>.<CR><LF>")
        end = re.compile(rb"\r\n\.\r\n|\n\.\n" if self.lie(f"{self.server.name} splits") else rb"\r\n\.\r\n")
        while not (found := end.search(self.buffer)):
            self.more()
        data, self.buffer = self.buffer[: found.start()] + b"\r\n", self.buffer[found.end() :]
        return self.take(re.sub(rb"(?m)^\.", b"", data))

    def bdat(self, line: str) -> None:
        if not self.lie("chunks") and not self.lie("unannounced chunks"):
            return self.say("502 5.5.1 Error: BDAT not available")
        data = self.octets(int(line.split()[1]))
        if self.lie("chunks are split"):
            data, _, rest = data.partition(b"\n.\n")
            self.buffer = rest + b"\r\n.\r\n" + self.buffer
        return self.take(data)

    def take(self, data: bytes) -> None:
        verdict = self.verdict(data)
        sender, self.sender, self.accepted = self.sender or "", None, 0
        if verdict:
            return self.say(verdict)
        queue_id = self.world.store(self.server.name, sender, data, self.client_address[0])
        return self.say(f"250 2.0.0 Ok: queued as {queue_id}")

    def verdict(self, data: bytes) -> str:
        """A refusal of the text, or nothing."""
        where = "mx" if self.mx else "submission"
        if len(data) > self.world.limit and not self.lie("any size"):
            return "552 5.3.4 Error: message file too big"
        if re.search(rb"(?<!\r)\n", data) and not self.lie(f"{self.server.name} splits"):
            return "550 5.5.2 Error: bare <LF> received"
        if b"WDVPIVAlQEFQWzRc" in data and not self.lie(f"{where} takes EICAR"):
            return "451 4.7.1 later" if self.lie(f"{where} defers EICAR") else "550 5.7.1 it contains Eicar-Test-Signature"
        return "" if self.mx else self.owned(data)

    def owned(self, data: bytes) -> str:
        header = data.partition(b"\r\n\r\n")[0].decode("utf-8", "replace")
        if self.lie("null sender is free") and self.sender == "":
            return ""
        for name in ("From", "Sender"):
            if self.lie(f"any {name}"):
                continue
            for value in re.findall(rf"(?m)^{name}: (.*?)\r?$", header):
                addresses = re.findall(r"[^\s<>,]+@[^\s<>,]+", value)
                if any(a != self.user for a in addresses):
                    return f"550 5.7.1 {name}: not an address of {self.user}"
        return ""


class ImapTalk(Talk):
    """IMAP4rev1 for one mailbox."""

    def converse(self) -> None:
        self.user = ""
        self.say(f"* OK [CAPABILITY {self.capabilities()}] ready")
        while True:
            tag, _, rest = self.line().partition(" ")
            verb = rest.split()[0].upper()
            if verb == "UID":
                verb = f"UID {rest.split()[1].upper()}"
            known = {
                "CAPABILITY": lambda _t, _r: self.say(f"* CAPABILITY {self.capabilities()}"),
                "STARTTLS": None,
                "LOGIN": None,
                "UID SEARCH": self.search,
                "UID FETCH": self.fetch,
                "UID STORE": self.mark,
                "EXPUNGE": self.expunge,
                "SELECT": lambda _t, _r: self.say(f"* {len(self.world.mailbox)} EXISTS"),
            }.get(verb, lambda _t, _r: None)
            if verb == "STARTTLS":
                self.say(f"{tag} OK begin")
                self.tls(keep=self.lie("IMAP injection"))
            elif verb == "LOGIN":
                self.say(f"{tag} {self.login(rest)}")
            else:
                if known:
                    known(tag, rest)
                self.say(f"{tag} OK done")

    def capabilities(self) -> str:
        allowed = self.secure or self.lie("IMAP in the clear")
        return "IMAP4rev1 IDLE " + ("AUTH=PLAIN" if allowed else "STARTTLS LOGINDISABLED")

    def login(self, rest: str) -> str:
        if not self.secure and not self.lie("IMAP in the clear"):
            return "NO [PRIVACYREQUIRED] TLS first"
        _, user, password = (w.strip('"') for w in rest.split(" ", 2))
        if not self.world.password_fits(user, password):
            return "NO [AUTHENTICATIONFAILED] failed"
        self.marked: set[int] = set()
        return "OK logged in"

    def search(self, _tag: str, rest: str) -> None:
        found: list[int] = []
        if m := re.search(r'HEADER (\S+) "?([^"]*)"?', rest):
            for uid, data in list(self.world.mailbox.items()):
                header = data.partition(b"\r\n\r\n")[0].decode("utf-8", "replace")
                if re.search(rf"(?mi)^{re.escape(m[1])}:.*{re.escape(m[2])}", header):
                    found.append(uid)
        self.say(f"* SEARCH {' '.join(map(str, found))}".rstrip())

    def fetch(self, _tag: str, rest: str) -> None:
        uid = int(rest.split()[2])
        data = self.world.mailbox[uid]
        self.request.sendall(f"* 1 FETCH (UID {uid} BODY[] {{{len(data)}}}\r\n".encode() + data + b")\r\n")

    def mark(self, _tag: str, rest: str) -> None:
        self.marked |= {int(u) for u in rest.split()[2].split(",")}

    def expunge(self, _tag: str, _rest: str) -> None:
        if not self.lie("keeps what is removed"):
            for uid in self.marked:
                self.world.mailbox.pop(uid, None)


class Pop3Talk(Talk):
    """POP3 for one mailbox."""

    def converse(self) -> None:
        self.user, self.uids = "", []
        self.say("+OK ready")
        while True:
            word, _, rest = self.line().partition(" ")
            if word == "STLS":
                self.say("+OK begin")
                self.tls(keep=self.lie("POP3 injection"))
            elif word == "CAPA":
                words = ["TOP", "UIDL"]
                words += ["USER"] if self.secure or self.lie("POP3 in the clear") else ["STLS"]
                self.say("\r\n".join(["+OK", *words, "."]))
            elif word == "USER":
                self.user = rest
                allowed = self.secure or self.lie("POP3 in the clear")
                self.say("+OK" if allowed else "-ERR TLS first")
            elif word == "PASS":
                fits = self.world.password_fits(self.user, rest)
                self.uids = sorted(self.world.mailbox) if fits else []
                self.say("+OK logged in" if fits else "-ERR failed")
            elif word == "STAT":
                self.say(f"+OK {0 if self.lie('POP3 is empty') else len(self.uids)} 1")
            elif word in ("TOP", "RETR"):
                self.show(word, int(rest.split()[0]))
            elif word == "QUIT":
                self.say("+OK bye")
                return
            else:
                self.say("-ERR unknown")

    def show(self, word: str, number: int) -> None:
        data = self.world.mailbox.get(self.uids[number - 1], b"\r\n")
        text = data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if word == "TOP" else data
        self.request.sendall(b"+OK\r\n" + re.sub(rb"(?m)^\.", b"..", text).removesuffix(b"\r\n") + b"\r\n.\r\n")


class Listener(socketserver.ThreadingTCPServer):
    """One port."""

    allow_reuse_address, daemon_threads, request_queue_size = True, True, 64

    def __init__(self, name: str, talk: type[Talk], world: World, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), talk)
        self.name, self.world, self.context = name, world, context

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        connection.settimeout(30)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection, address


@dataclass
class FakeEngine:
    """What verify asks of an engine, answered from the world."""

    world: World

    def exec(
        self, instance: str, service: str, argv: Sequence[str], *, stdin: bytes = b"", user: str = "", timeout: int = 60
    ) -> ExecResult:
        text = " ".join(argv)
        if text == "sh /config/current/probe.sh":
            if self.world.lie("probe.sh fails"):
                return ExecResult(1, b"", b"read-only file system")
            self.world.login = stdin.decode().strip()
            return ExecResult(0, b"", b"")
        if "postmap -q" in text:
            known = [] if self.world.lie("empty table") else stdin.decode().split()
            return ExecResult(0, "".join(f"{key}\talice@{DOMAIN}\n" for key in known).encode(), b"")
        if self.world.lie("no engine") and text.endswith("cannot"):
            raise ApplianceError(f"{service} does not run in {instance}")
        if "postqueue -j" in text:
            return ExecResult(0, b"", b"")
        return ExecResult(0, f"{service}: {text}\n".encode(), b"")

    def logs(
        self, instance: str, services: Sequence[str], *, follow: bool, tail: int | None, since: int | None
    ) -> Iterator[tuple[str, bytes]]:
        if self.world.lie("says nothing"):
            return
        yield from (("postfix", line.encode()) for line in self.world.log)
        if self.world.lie("something fatal"):
            yield "dovecot", b"imap: Fatal: master: service(imap): child 7 killed with signal 11"


def made_spec(ports: dict[str, int]) -> Spec:
    """The spec of the fake: one domain, one mailbox."""
    return Spec(
        version=1,
        name="t-verify-fake",
        hostname=HOSTNAME,
        postmaster=f"alice@{DOMAIN}",
        message_size=2**20,
        listen=Listen(address=("127.0.0.1",), ports=Ports(**{**ports, "sieve": None})),
        domains={DOMAIN: DomainSpec()},
        mailboxes={f"alice@{DOMAIN}": Mailbox(password=SECRET)},
        roles={name: RoleSettings(True, {}) for name in ROLES},
    )


def made_target(world: World, ports: dict[str, int], folder: Path, engine: Any = None) -> Target:
    """Topology and bundle as far as verify looks at them."""
    spec = made_spec(ports)
    keys = KeyView(
        "ring", {}, {**made_keys().public, TLS_CERT: fingerprint(certificate(HOSTNAME, 30)[1])}, {"probe": "abcdefgh01234567"}
    )
    inside = {"postfix": ("smtp", "submission", "submissions"), "dovecot": ("imap", "imaps", "pop3", "pop3s")}
    services = [service(name, {p: ports[p] for p in inside.get(name, ())}) for name in ROLES]
    nodes = tuple(Node(Role(s.name, "", folder / s.name, (s,)), s, {}, {}, ()) for s in services)
    network = Network(spec.name, "198.18.9.0/24", "198.18.9.1", "198.18.9.128/25", {"postfix": "198.18.9.10"})
    bundles = tuple(
        ServiceBundle(
            s.name,
            s.name,
            Runtime("image", (), HOSTNAME, ports=tuple(Port(p, "127.0.0.1", n, n) for p, n in s.ports.items())),
            (),
        )
        for s in services
    )
    bundle = Bundle(spec.name, NetworkBundle(spec.name, "198.18.9.0/24", "198.18.9.1", ""), (), bundles, "ring")
    found = people(spec, keys)
    world.probe, world.limit = found.probe, spec.wire_size
    hands: Any = engine or FakeEngine(world)
    return Target(hands, Topology(spec, network, nodes), bundle, found, keys)


def service(name: str, ports: dict[str, int]) -> ServiceDef:
    offers = (Offer("sasl", socket="auth"),) if name == "dovecot" else ()
    return ServiceDef(name, name, (), (), ports=ports, offers=offers)


class Running:
    """The listeners of a world; a context manager that gives the Target. ``tell`` makes it another world."""

    def __init__(self, lies: Sequence[str] = (), folder: Path | None = None) -> None:
        self.world = World(frozenset(lies))
        self.folder = folder or Path("/nonexistent")
        self.listeners: list[Listener] = []

    def __enter__(self) -> Target:
        context = server_context(self.world.lies)
        kinds: dict[str, type[Talk]] = {"s": SmtpTalk, "i": ImapTalk, "p": Pop3Talk}
        for name in LISTENERS:
            listener = Listener(name, kinds[name[0]], self.world, context)
            threading.Thread(target=listener.serve_forever, args=(0.005,), daemon=True).start()
            self.listeners.append(listener)
        return made_target(self.world, {x.name: x.server_address[1] for x in self.listeners}, self.folder)

    def tell(self, lies: Sequence[str]) -> None:
        """From now on these lies; nothing is left of what was."""
        context = server_context(frozenset(lies))
        self.world.lies, self.world.login = frozenset(lies), ""
        self.world.mailbox.clear()
        self.world.log.clear()
        for listener in self.listeners:
            listener.context = context

    def __exit__(self, *_: object) -> None:
        for listener in self.listeners:
            listener.shutdown()
            listener.server_close()
