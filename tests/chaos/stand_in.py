"""Takes the place of a unix socket, or of a resolver, until it is told to end. Runs in a throwaway container.

`stand_in.py HOW SOCKET`, where HOW is `missing` (nobody there), `garbage`, `slow` (each answer passes on after SLOW seconds) or
`cut` (LMTP: nothing passes on any more once the data was asked for). `stand_in.py HOW dns` serves port 53: `garbage`, `slow`
(no answer in time is no answer) or `missing`. Says `ready`; puts the socket back at SIGTERM.
"""

import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

SLOW = 20
how, where = sys.argv[1:]


def garbage(taken: socket.socket) -> None:
    """Noise as a greeting, and for whatever is said."""
    try:
        taken.sendall(os.urandom(40) + b"\r\n")
        while taken.recv(65536):
            taken.sendall(os.urandom(40) + b"\n\n")
    except OSError:
        pass
    taken.close()


def relay(taken: socket.socket) -> None:
    """To whom the socket belongs, as slow or as short as was asked for."""
    behind = socket.socket(socket.AF_UNIX)
    behind.connect(f"{where}.behind")
    threading.Thread(target=pump, args=(taken, behind, False), daemon=True).start()
    pump(behind, taken, True)


def pump(source: socket.socket, target: socket.socket, answers: bool) -> None:
    """Passes on what comes, until the end."""
    asked = False
    try:
        while data := source.recv(65536):
            if answers and how == "slow":
                time.sleep(SLOW)
            if asked:
                continue
            target.sendall(data)
            asked = answers and how == "cut" and b"354 " in data
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def serve(listener: socket.socket) -> None:
    """A thread for each connection."""
    while True:
        taken, _ = listener.accept()
        threading.Thread(target=garbage if how == "garbage" else relay, args=(taken,), daemon=True).start()


def dns() -> None:
    """Answers that are noise with the question's number, or none."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("0.0.0.0", 53))
    while True:
        question, client = server.recvfrom(4096)
        if how == "garbage":
            server.sendto(question[:2] + b"\x81\x80" + os.urandom(60), client)


def main() -> None:
    """Takes the place, serves, puts it back."""
    if where == "dns":
        if how != "missing":
            threading.Thread(target=dns, daemon=True).start()
    else:
        Path(where).rename(f"{where}.behind")
        if how != "missing":
            front = socket.socket(socket.AF_UNIX)
            front.bind(where)
            Path(where).chmod(0o666)
            front.listen(128)
            threading.Thread(target=serve, args=(front,), daemon=True).start()
    print("ready", flush=True)
    signal.sigwait({signal.SIGTERM})
    if where != "dns":
        Path(f"{where}.behind").rename(where)


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    main()
