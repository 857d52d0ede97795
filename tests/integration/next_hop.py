"""A next hop that takes sender and recipient and refuses the message: a container in Postfix's own network, on loopback."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.instances import LABEL
from tests.integration.running import NEXT_HOP, Appliance

#: as little of SMTP as Postfix asks for; DATA is refused for good
PROGRAM = f"""
import socketserver

ANSWERS = {{
    b"EHLO": b"250-next.invalid\\r\\n250-8BITMIME\\r\\n250 SMTPUTF8",
    b"DATA": b"554 5.7.1 not wanted here",
    b"QUIT": b"221 bye",
}}

class Refuses(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"220 next.invalid\\r\\n")
        for line in self.rfile:
            self.wfile.write(ANSWERS.get(line[:4].upper(), b"250 ok") + b"\\r\\n")

socketserver.ThreadingTCPServer(("127.0.0.1", {NEXT_HOP}), Refuses).serve_forever()
"""


@contextmanager
def refusing(where: Appliance) -> Iterator[None]:
    """The domain refuses.example has this server while the context lasts."""
    beside = where.client.containers.get(f"{where.name}-postfix")
    image = where.client.containers.get(f"{where.name}-policy").attrs["Config"]["Image"]
    container = where.client.containers.create(
        image,
        ["python3", "-I", "-c", PROGRAM],
        name=f"{where.name}-next-hop",
        labels={LABEL: where.name},
        network_mode=f"container:{beside.id}",
    )
    try:
        container.start()
        listens = f"exec 3<>/dev/tcp/127.0.0.1/{NEXT_HOP}"
        deadline = time.monotonic() + 20
        while where.engine.exec(where.name, "postfix", ("bash", "-c", listens)).code:
            assert time.monotonic() < deadline, container.logs().decode()
            time.sleep(0.1)
        yield
    finally:
        container.remove(force=True)
