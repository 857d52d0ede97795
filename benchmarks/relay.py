"""A filter reached by TCP instead of its unix socket: the control of the answer times. Runs in a container of its own.

`relay.py SOCKET` takes the socket's place, passes every connection on over TCP as daemons do that do not set TCP_NODELAY, and
from there to the filter. It says `ready`, and puts the socket back when it is told to end.
"""

import signal
import socket
import sys
import threading
from pathlib import Path


def pump(source: socket.socket, target: socket.socket) -> None:
    """Passes on what comes, until the end."""
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def join(one: socket.socket, other: socket.socket) -> None:
    """Both directions."""
    for a, b in ((one, other), (other, one)):
        threading.Thread(target=pump, args=(a, b), daemon=True).start()


def serve(listener: socket.socket, family: int, address: object) -> None:
    """Every connection to the listener becomes one to the address."""
    while True:
        taken, _ = listener.accept()
        onward = socket.socket(family, socket.SOCK_STREAM)
        onward.connect(address)  # type: ignore[arg-type]
        join(taken, onward)


def main(path: str) -> None:
    """Takes the place, serves, puts it back."""
    behind = f"{path}.behind"
    Path(path).rename(behind)
    tcp = socket.create_server(("127.0.0.1", 0))
    front = socket.socket(socket.AF_UNIX)
    front.bind(path)
    Path(path).chmod(0o666)  # noqa: S103: a filter's socket lets its group in, and this program is no member
    front.listen(128)
    threading.Thread(target=serve, args=(tcp, socket.AF_UNIX, behind), daemon=True).start()
    threading.Thread(target=serve, args=(front, socket.AF_INET, tcp.getsockname()), daemon=True).start()
    print("ready", flush=True)
    signal.sigwait({signal.SIGTERM})
    Path(behind).rename(path)


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    main(sys.argv[1])
