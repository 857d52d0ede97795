"""Tries wrong passwords until it is told to end, then logs in honestly. Runs in a container.

`storm.py HOST VICTIM HONEST PASSWORD` prints how many were tried, and the seconds of three honest logins.
"""

import imaplib
import signal
import ssl
import sys
import threading
import time

host, victim, honest, password = sys.argv[1:]
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
over = threading.Event()
tried = 0


def attempt() -> None:
    """One connection: three wrong passwords."""
    global tried
    session = imaplib.IMAP4_SSL(host, 993, ssl_context=context, timeout=60)
    for _ in range(3):
        try:
            session.login(victim, "wrong")
        except imaplib.IMAP4.abort:
            return
        except imaplib.IMAP4.error:
            tried += 1


def storm() -> None:
    """Until the end."""
    while not over.is_set():
        try:
            attempt()
        except OSError:
            time.sleep(0.1)


signal.signal(signal.SIGTERM, lambda *_: over.set())
for _ in range(20):
    threading.Thread(target=storm, daemon=True).start()
while not over.wait(0.2):
    pass
print(tried)
for _ in range(3):
    start = time.monotonic()
    try:
        imaplib.IMAP4_SSL(host, 993, ssl_context=context, timeout=60).login(honest, password)
    except (OSError, imaplib.IMAP4.error) as why:
        print(f"the honest login failed: {why}", file=sys.stderr)
    print(time.monotonic() - start)
