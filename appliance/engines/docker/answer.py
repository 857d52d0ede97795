"""One file at one port of the engine's host, for as long as a certificate authority looks for it (RFC 8555, 8.3).

A throwaway container answers: perl, which every Debian image has (perl-base is essential), as nobody, with nothing writable.
It ends with its controller like a hand: its standard input is our connection. Its name lets one run at a time ask.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from appliance.engines.docker.api import Api, Refused, seconds_of
from appliance.engines.docker.hand import remove
from appliance.engines.docker.holders import holders
from appliance.engines.docker.labels import INSTANCE, container, labels
from appliance.engines.docker.lock import STILLBORN
from appliance.engines.docker.runtime import NO_HEALTH
from appliance.engines.docker.stream import Stream
from appliance.errors import ApplianceError, Locked, Unavailable

KIND = "acme"
INSIDE = 8080  # no capability is needed for it
STARTS = 30.0  # seconds until it must listen

#: arguments: path, content. A child for each visitor, ten seconds each, so that a slow one holds up nobody
PROGRAM = r"""
use strict; use IO::Socket::INET; use IO::Select;
my ($path, $text) = @ARGV;
my $door = IO::Socket::INET->new(LocalPort => 8080, Listen => 64, ReuseAddr => 1) or die "no socket: $!\n";
$SIG{CHLD} = 'IGNORE';
$| = 1; print "ready\n";
my $both = IO::Select->new($door, \*STDIN);
while (my @ready = $both->can_read) {
  for my $one (@ready) {
    if (fileno($one) == 0) { exit 0 unless sysread STDIN, my $rest, 512; next }
    my $guest = $door->accept or next;
    my $child = fork;
    next if $child or not defined $child;
    alarm 10;
    my $asked = <$guest> // '';
    while (my $line = <$guest>) { last if $line =~ /^\r?\n$/ }
    my ($status, $body) = $asked =~ m{^GET \Q$path\E HTTP/1\.} ? ('200 OK', $text) : ('404 Not Found', "not here\n");
    printf $guest "HTTP/1.1 %s\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
      $status, length $body, $body;
    exit 0;
  }
}
"""


@contextlib.contextmanager
def answer(
    api: Api, instance: str, image: str, path: str, content: bytes, *, addresses: Sequence[str], port: int, local: bool
) -> Iterator[None]:
    """While open, ``port`` of the host's ``addresses`` (none: all of them) answers ``path`` with ``content``.

    Raises ApplianceError naming who holds the port, Locked while another run does the same, Unavailable.
    """
    _free(api, instance, addresses, port, local=local)
    made = _create(api, instance, _body(instance, image, path, content, addresses, port))
    stream: Stream | None = None
    try:
        stream = api.hijack(f"/containers/{made}/attach", stream=True, stdin=True, stdout=True, stderr=True)
        _start(api, made, port)
        _await(stream)
        yield
    finally:
        if stream is not None:
            stream.close()
        remove(api, made)


def _free(api: Api, instance: str, addresses: Sequence[str], port: int, *, local: bool) -> None:
    """Raises ApplianceError where the port can be seen to be held."""
    pairs = [(address, port) for address in addresses or ("0.0.0.0", "::")]  # noqa: S104 what is published
    held = holders(instance, pairs, api.get("/containers/json"), local=local)
    if held:
        raise _held(port, held[0].who)


def _held(port: int, who: str) -> ApplianceError:
    return ApplianceError(
        f"port {port} is held by {who}, and the certificate authority looks there",
        hint=f"stop it for the time of `appliance tend`, or keep it and take tls: {{mode: files}} with its own ACME client; "
        f"the authority asks port {port} only (RFC 8555, 8.3)",
    )


def _create(api: Api, instance: str, body: Mapping[str, Any]) -> str:
    name = container(instance, KIND)
    for _ in range(3):
        try:
            return str(api.post("/containers/create", body, name=name)["Id"])
        except Refused as why:
            if why.status == 404 and "image" in why.words.lower():
                raise Unavailable(f"the engine has no image {body['Image']}", hint="`appliance build`") from None
            if why.status != 409:
                raise
        _make_way(api, instance, name)
    raise Locked(f"the name {name} was taken again and again by others", hint="run it again")


def _make_way(api: Api, instance: str, name: str) -> None:
    """Removes what a killed controller left; raises Locked for one that works."""
    try:
        found = api.get(f"/containers/{name}/json")
    except Refused as why:
        if why.status == 404:
            return
        raise
    if (found["Config"].get("Labels") or {}).get(INSTANCE) != instance:
        raise ApplianceError(f"a container {name} exists that appliance has not made", hint="rename or remove it")
    state = found["State"]["Status"]
    age = seconds_of(api.get("/info")["SystemTime"]) - seconds_of(found["Created"])
    if state == "running" or (state == "created" and age < STILLBORN):
        raise Locked(f"another run is asking for the certificate of {instance} right now", hint="wait until it ends")
    remove(api, found["Id"])


def _start(api: Api, made: str, port: int) -> None:
    try:
        api.post(f"/containers/{made}/start")
    except Refused as why:
        if "already allocated" in why.words or "address already in use" in why.words:
            raise _held(port, "somebody") from None
        raise ApplianceError(
            f"port {port} cannot be opened for the certificate authority: {why.words}",
            hint="an engine without root may not open ports below 1024 (sysctl net.ipv4.ip_unprivileged_port_start)",
        ) from None


def _await(stream: Stream) -> None:
    """Until it listens: its first word is ``ready``."""
    deadline, said = time.monotonic() + STARTS, b""
    try:
        while (frame := stream.frame(deadline)) is not None:
            said += frame[1]
            if b"ready\n" in said:
                return
    except TimeoutError:
        raise Unavailable(f"the container that answers the certificate authority did not start within {STARTS:.0f} s") from None
    words = said.decode("utf-8", "replace").strip() or "without a word"
    raise ApplianceError(f"the container that answers the certificate authority ended at once: {words}")


def _body(instance: str, image: str, path: str, content: bytes, addresses: Sequence[str], port: int) -> dict[str, Any]:
    inside = f"{INSIDE}/tcp"
    return {
        "Image": image,
        "Entrypoint": [],
        "Cmd": ["perl", "-e", PROGRAM, path, content.decode("ascii")],
        "User": "65534:65534",
        "Labels": labels(instance, kind=KIND),
        "OpenStdin": True,
        "StdinOnce": True,
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "Healthcheck": NO_HEALTH,
        "ExposedPorts": {inside: {}},
        "HostConfig": {
            "AutoRemove": True,
            "NetworkMode": instance,  # the instance's own network: an engine may have no other
            "PortBindings": {inside: [{"HostIp": address, "HostPort": str(port)} for address in addresses or ("",)]},
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges:true"],
            "PidsLimit": 64,
            "Memory": 64 << 20,
            "IpcMode": "private",
            "LogConfig": {"Type": "none"},
        },
    }
