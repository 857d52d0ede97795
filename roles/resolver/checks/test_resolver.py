"""The resolver validates, and answers nobody but this instance."""

from __future__ import annotations

from collections.abc import Mapping

from testinfra.host import Host

#: prints the answer's code and whether it has AD (RFC 1035, 4.1.1; RFC 4035, 3.2.3)
ASK = (
    r'my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1:53", Proto => "udp"); alarm 10; '
    r'my $name = join "", map { pack "C/a*", $_ } split(/\./, shift), ""; '
    r'$s->send(pack("n6", 1, 0x0120, 1, 0, 0, 0) . $name . pack("n2", 16, 1)); '
    r'$s->recv(my $a, 1232); my $f = unpack "x2 n", $a; print $f & 15, " ", $f & 32 ? "AD" : "-"'
)


def ask(host: Host, name: str) -> str:
    """``code AD`` or ``code -`` for a name's TXT records."""
    return str(host.check_output(f"perl -MIO::Socket::INET -e '{ASK}' %s", name))


def test_a_signed_name_is_validated(hosts: Mapping[str, Host]) -> None:
    """A signed name is answered with the mark of a validated answer."""
    assert ask(hosts["resolver"], "ok.health.internal") == "0 AD"


def test_a_forged_name_is_refused(hosts: Mapping[str, Host]) -> None:
    """A name with another's signature is answered SERVFAIL."""
    assert ask(hosts["resolver"], "bogus.health.internal") == "2 -"


def test_strangers_are_refused(hosts: Mapping[str, Host]) -> None:
    """Only loopback and the instance's own network may ask."""
    lines = hosts["resolver"].check_output("unbound-checkconf -o access-control /config/current/unbound.conf").splitlines()
    rules = dict(line.split() for line in lines)
    assert rules["0.0.0.0/0"] == "refuse"
    assert len([net for net, verdict in rules.items() if verdict == "allow" and net != "127.0.0.0/8"]) in (1, 2)


def test_the_trust_anchor_is_kept(hosts: Mapping[str, Host]) -> None:
    """The root's key is in the state volume, where Unbound may follow its changes."""
    anchor = hosts["resolver"].file("/var/lib/unbound/root.key")
    assert anchor.uid == 908
    assert "DNSKEY" in anchor.content_string
