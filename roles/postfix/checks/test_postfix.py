"""Postfix runs on the files that were rendered for it, with no more rights than it needs, and relays for nobody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from testinfra.host import Host

#: bits of capabilities(7): DAC_OVERRIDE, KILL, SETGID, SETUID
CAPABILITIES = 1 << 1 | 1 << 5 | 1 << 6 | 1 << 7
PORTS = {"smtp": 25, "submission": 587, "submissions": 465, "10587": 10587}
KEYS = ("tls/key.pem", "internal/server-key.pem")
POSTFIX = 901
#: a recipient elsewhere is asked for by a client on loopback, the most that "mynetworks" could ever trust
RELAY = r"""
exec 3<>/dev/tcp/127.0.0.1/25
for say in '' 'EHLO check.invalid' 'MAIL FROM:<>' 'RCPT TO:<x@relay-check.invalid>' QUIT; do
    [ -z "$say" ] || printf '%s\r\n' "$say" >&3
    while IFS= read -r -t 20 -u 3 line; do [[ $line == ???-* ]] || break; done
    echo "${line%$'\r'}"
done
"""


def status(host: Host) -> Iterator[dict[str, str]]:
    """/proc/PID/status of PID 1 and of its children: Postfix's own processes, not those of this check."""
    text = host.check_output("cat /proc/[0-9]*/status 2>/dev/null; true")
    for process in text.split("Name:\t")[1:]:
        fields = dict(line.split(":\t", 1) for line in f"Name:\t{process}".splitlines() if ":\t" in line)
        if fields["Pid"] == "1" or fields["PPid"] == "1":
            yield fields


def listening(host: Host) -> set[int]:
    """TCP ports that are listened on beyond loopback (127.0.0.11 is the engine's own resolver)."""
    found = set()
    for line in host.check_output("cat /proc/net/tcp /proc/net/tcp6").splitlines():
        fields = line.split()
        address, _, port = fields[1].partition(":")
        # 0A is LISTEN; the last byte of an IPv4 address in host order comes first
        if fields[3] == "0A" and not address.endswith("7F"):
            found.add(int(port, 16))
    return found


def test_it_runs_on_its_own_files(hosts: Mapping[str, Host]) -> None:
    """`postconf` reads the mounted files, and Postfix has nothing to say against them."""
    host = hosts["postfix"]
    assert host.check_output("postconf -h config_directory") == "/config/current"
    checked = host.run("postfix check && postconf -n && postconf -M && postconf -P")
    assert (checked.rc, checked.stderr) == (0, "")


def test_tables_are_what_their_text_says(hosts: Mapping[str, Host]) -> None:
    """Each look-up table was built from the text beside it."""
    host = hosts["postfix"]
    for name in ("domains", "mailboxes", "aliases", "recipient_access", "senders", "transport", "routed", "clientcerts"):
        path = f"/config/live/{name}"
        text = [" ".join(line.split()) for line in host.file(path).content_string.splitlines() if line and line[0] != "#"]
        table = [" ".join(line.split()) for line in host.check_output("postmap -s %s", f"lmdb:{path}").splitlines()]
        assert sorted(map(str.lower, table)) == sorted(map(str.lower, text)), name


def test_keys_are_for_root_only(hosts: Mapping[str, Host]) -> None:
    """Nobody but master, which hands them on, reads a private key."""
    for name in KEYS:
        key = hosts["postfix"].file(f"/config/current/{name}")
        assert (key.mode, key.uid, key.gid) == (0o400, 0, 0), name


def test_only_master_is_root(hosts: Mapping[str, Host]) -> None:
    """Every process but master runs as postfix."""
    users = {(p["Name"], int(p["Uid"].split()[1])) for p in status(hosts["postfix"])}
    assert [name for name, uid in users if name != "master" and uid != POSTFIX] == []


def test_no_right_is_left_over(hosts: Mapping[str, Host]) -> None:
    """Four capabilities, no way to more, and a root file system that cannot be written."""
    host = hosts["postfix"]
    master = next(p for p in status(host) if p["Pid"] == "1")
    assert int(master["CapBnd"], 16) == CAPABILITIES
    assert master["NoNewPrivs"] == "1"
    assert "ro" in host.check_output("grep ' / ' /proc/mounts").split()[3].split(",")


def test_it_listens_only_where_it_should(hosts: Mapping[str, Host]) -> None:
    """The ports of master.cf, all of them known, and no other."""
    host = hosts["postfix"]
    names = [line.split()[0] for line in host.check_output("postconf -M").splitlines() if line.split()[1] == "inet"]
    assert [n for n in names if n not in PORTS] == []
    assert listening(host) == {PORTS[name] for name in names}


def test_loopback_earns_no_relaying(hosts: Mapping[str, Host]) -> None:
    """A client inside the container is relayed for as little as anybody."""
    said = hosts["postfix"].run("bash -c %s", RELAY)
    greeting, _, mail, rcpt, _ = said.stdout.splitlines()
    assert greeting.startswith("220"), said.stdout + said.stderr
    # a filter that is down answers MAIL for all of them
    assert rcpt.startswith("554" if mail.startswith("250") else ("4", "5")), said.stdout
