"""A name server for tests: answers on loopback, over UDP and TCP, from zone text; names can be made to fail."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset


class Zone:
    """Records by name and type from lines of a zone file; ``failing`` names answer SERVFAIL, ``silent`` ones nothing at all."""

    def __init__(self, text: str, failing: Iterable[str] = (), silent: Iterable[str] = ()) -> None:
        self.failing, self.silent = set(failing), set(silent)
        self.sets: dict[tuple[str, dns.rdatatype.RdataType], dns.rrset.RRset] = {}
        for line in text.splitlines():
            if line.strip() and not line.startswith(";"):
                name, ttl, _in, kind, rdata = line.split(None, 4)
                key = (name.lower(), dns.rdatatype.from_text(kind))
                known = [r.to_text() for r in self.sets[key]] if key in self.sets else []
                self.sets[key] = dns.rrset.from_text(name, int(ttl), "IN", kind, *known, rdata)

    def answer(self, wire: bytes, *, udp: bool) -> bytes | None:
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name = question.name.to_text().lower()
        if name.rstrip(".") in self.silent:
            return None
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.AA | dns.flags.RA
        if name.rstrip(".") in self.failing:
            reply.set_rcode(dns.rcode.SERVFAIL)
        elif found := self.sets.get((name, question.rdtype)):
            reply.answer.append(found)
        elif not any(known == name for known, _ in self.sets):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        whole = reply.to_wire(max_size=65535)
        if udp and len(whole) > max(512, query.payload):  # RFC 1035, 4.2.1; RFC 6891, 6.2.3
            reply.answer.clear()
            reply.flags |= dns.flags.TC
            return reply.to_wire()
        return whole


@contextmanager
def serve(zone: Zone) -> Iterator[str]:
    """Serves a zone; yields ``ADDRESS@PORT``."""

    class Udp(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            data, reply_socket = self.request
            if (answer := zone.answer(data, udp=True)) is not None:
                reply_socket.sendto(answer, self.client_address)

    class Tcp(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            (length,) = struct.unpack("!H", self.rfile.read(2))
            if (answer := zone.answer(self.rfile.read(length), udp=False)) is not None:
                self.wfile.write(struct.pack("!H", len(answer)) + answer)

    udp, tcp = both(Udp, Tcp)
    for server in (udp, tcp):
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"127.0.0.1@{udp.socket.getsockname()[1]}"
    finally:
        for server in (udp, tcp):
            server.shutdown()
            server.server_close()


def both(
    udp: type[socketserver.BaseRequestHandler], tcp: type[socketserver.BaseRequestHandler]
) -> tuple[socketserver.UDPServer, socketserver.TCPServer]:
    """Servers on one port number: one that is free for UDP may be some connection's own for TCP, then another is taken."""
    for _ in range(50):
        first = socketserver.ThreadingUDPServer(("127.0.0.1", 0), udp)
        try:
            return first, socketserver.ThreadingTCPServer(first.server_address, tcp)
        except OSError:
            first.server_close()
    raise OSError("no port is free for UDP and TCP")


def free_port() -> int:
    """A UDP port on which nobody listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
