"""Field types: what people write → the one form that is kept, or the kind of the complaint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from appliance.spec import hops, types
from appliance.spec.names import Fault
from appliance.spec.passwords import SCHEMES

ARGON = "{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1$1QhRN5MTlhBhLpn7KfVeXQ$1yzZCqLlK6CpI+Xo6JNY50Q84O86WSNUi2IAXBJn7iw"
MIB, GIB = 2**20, 2**30

GOOD: list[tuple[Callable[[Any], Any], object, object]] = [
    (types.size_text, "25 MiB", 25 * MIB),
    (types.size_text, "2GiB", 2 * GIB),
    (types.size_text, "1.5 gib", 3 * GIB // 2),
    (types.size_text, "10 MB", 10_000_000),
    (types.size_text, "512 B", 512),
    (types.size_text, 0, 0),
    (types.size, 4096, 4096),
    (types.duration_text, "14 days", 14 * 86400),
    (types.duration_text, "1 day", 86400),
    (types.duration_text, "90 s", 90),
    (types.duration_text, "10min", 600),
    (types.duration_text, "2 weeks", 14 * 86400),
    (types.duration, 90, 90),
    (types.domain, "Example.ORG.", "example.org"),
    (types.domain, "bücher.example", "xn--bcher-kva.example"),
    (types.domain, "BÜCHER.example", "xn--bcher-kva.example"),
    (types.domain, "xn--bcher-kva.example", "xn--bcher-kva.example"),
    (types.domain, "a-1.b2.example", "a-1.b2.example"),
    (types.record_name, "_spf.Example.net", "_spf.example.net"),
    (types.address, "Alice@Example.org", "alice@example.org"),
    (types.address, "a.b+c_d@bücher.example", "a.b+c_d@xn--bcher-kva.example"),
    (types.address, "Ju\u0308rgen@example.org", "jürgen@example.org"),
    (types.address, "x" * 64 + "@example.org", "x" * 64 + "@example.org"),
    (types.ip, "2001:DB8:0:0::7", "2001:db8::7"),
    (types.ip, "[2001:db8::7]", "2001:db8::7"),
    (types.ip, "203.0.113.7", "203.0.113.7"),
    (types.port, "587 ", 587),
    (types.text, 2026, "2026"),
    (types.password_hash, ARGON, ARGON),
    (types.password_hash, "{argon2id}" + ARGON[10:], ARGON),
    (hops.route, "[mx.partner.example]:2525", {"host": "mx.partner.example", "port": 2525, "mx": False}),
    (hops.route, "partner.example", {"host": "partner.example", "port": 25, "mx": True}),
    (hops.route, "partner.example:26", {"host": "partner.example", "port": 26, "mx": True}),
    (hops.route, "[192.0.2.1]", {"host": "192.0.2.1", "port": 25, "mx": False}),
    (hops.route, "[2001:db8::1]:25", {"host": "2001:db8::1", "port": 25, "mx": False}),
    (hops.route, "[IPv6:2001:db8::1]", {"host": "2001:db8::1", "port": 25, "mx": False}),
    (hops.relay, "[smtp.relay.example]:465", {"host": "smtp.relay.example", "port": 465}),
    (hops.relay, "smtp.relay.example", {"host": "smtp.relay.example"}),
    (hops.host, "[192.0.2.1]", "192.0.2.1"),
    (hops.subnet, "10.7.0.0/16", "10.7.0.0/16"),
    (hops.subnet, "198.18.25.64/26", "198.18.25.64/26"),
    (hops.subnet6, "FD12:3456:789a:0001::/64", "fd12:3456:789a:1::/64"),
    (hops.subnet6, None, None),
    (hops.selector, "S2026.eu", "s2026.eu"),
    (hops.instance_name, "example-2", "example-2"),
]

BAD: list[tuple[Callable[[Any], Any], object, str]] = [
    (types.size_text, 25, "no-unit"),
    (types.size_text, "25", "no-unit"),
    (types.size_text, "2G", "unknown-unit"),
    (types.size_text, "-1 MiB", "wrong-value"),
    (types.size_text, True, "wrong-value"),
    (types.size_text, "9" * 16 + " TiB", "wrong-value"),
    (types.size, -1, "wrong-value"),
    (types.duration_text, "1:30", "wrong-value"),
    (types.duration_text, "14 fortnights", "unknown-unit"),
    (types.duration_text, 14, "no-unit"),
    (types.domain, "localhost", "not-a-domain"),
    (types.domain, "*.example.org", "not-a-domain"),
    (types.domain, "exa_mple.org", "not-a-domain"),
    (types.domain, "example.123", "not-a-domain"),
    (types.domain, "a" * 64 + ".org", "too-long"),
    (types.domain, "xn--zzzzzz.org", "not-a-domain"),
    (types.domain, "ex\u202eample.org", "control-character"),
    (types.domain, False, "wrong-type"),
    (types.domain, "", "empty-value"),
    (types.address, "alice", "not-an-address"),
    (types.address, "@example.org", "not-an-address"),
    (types.address, '"a b"@example.org', "not-an-address"),
    (types.address, "a%b@example.org", "not-an-address"),
    (types.address, "a!b@example.org", "not-an-address"),
    (types.address, "a:b@example.org", "not-an-address"),
    (types.address, "../../etc@example.org", "not-an-address"),
    (types.address, "#a@example.org", "not-an-address"),
    (types.address, "ü" * 33 + "@example.org", "too-long"),
    (types.address, "a@" + ".".join(["b" * 50] * 5) + ".org", "too-long"),
    (types.address, "a@[192.0.2.1]", "not-a-domain"),
    (types.address, "a\n@example.org", "control-character"),
    (types.ip, "2001:db8::g", "not-an-address"),
    (types.ip, 7, "not-an-address"),
    (types.port, 0, "out-of-range"),
    (types.port, "smtp", "wrong-value"),
    (types.boolean, "yes", "wrong-type"),
    (types.text, 1.5, "wrong-type"),
    (types.unique, ("a", "b", "a"), "duplicate"),
    (types.password_hash, "secret", "password"),
    (types.password_hash, "{PLAIN}secret", "password"),
    (types.password_hash, "{SHA512}abc", "password"),
    (types.password_hash, ARGON[:-30], "password"),
    (types.password_hash, "{ARGON2ID}=19=19456,t=2,p=1", "password"),
    (types.password_hash, "{SSHA}abc:def", "password"),
    (types.password_hash, 12345, "password"),
    (hops.route, "mx.example:25:26", "wrong-hop"),
    (hops.route, "lmtp:[mx.example]", "wrong-hop"),
    (hops.route, "[mx.example", "wrong-hop"),
    (hops.host, "mx.example:25", "wrong-hop"),
    (hops.subnet, "10.0.0.0", "wrong-subnet"),
    (hops.subnet, "10.0.0.0/7", "wrong-subnet"),
    (hops.subnet, "192.168.1.1/24", "wrong-subnet"),
    (hops.subnet, "8.8.8.0/24", "wrong-subnet"),
    (hops.subnet, "fd00::/64", "wrong-subnet"),
    (hops.subnet6, "10.7.0.0/16", "wrong-subnet"),
    (hops.subnet6, "fd00::", "wrong-subnet"),
    (hops.subnet6, "fd00::/48", "wrong-subnet"),
    (hops.subnet6, "fd00::1/64", "wrong-subnet"),
    (hops.subnet6, "2001:db8::/64", "wrong-subnet"),
    (hops.subnet6, "a network", "wrong-subnet"),
    (hops.selector, "s_1", "wrong-selector"),
    (hops.selector, "x" * 56, "too-long"),
    (hops.algorithms, ("rsa-2048", "rsa-3072"), "duplicate"),
    (hops.instance_name, "9lives", "wrong-name"),
    (hops.instance_name, "x" * 32, "wrong-name"),
    (hops.https_url, "http://acme.example/", "wrong-value"),
    (hops.world_ip, "127.0.0.1", "not-public"),
]


@pytest.mark.parametrize(("read", "given", "kept"), GOOD, ids=lambda v: getattr(v, "__name__", None) or str(v)[:30])
def test_kept(read: Callable[[Any], Any], given: object, kept: object) -> None:
    assert read(given) == kept
    if read in (types.domain, types.address, types.ip, types.password_hash):
        assert read(kept) == kept, "the kept form must be its own"


@pytest.mark.parametrize(("read", "given", "kind"), BAD, ids=lambda v: getattr(v, "__name__", None) or str(v)[:30])
def test_refused(read: Callable[[Any], Any], given: object, kind: str) -> None:
    with pytest.raises(Fault) as why:
        read(given)
    assert why.value.kind == kind
    assert why.value.message
    assert "secret" not in why.value.message


#: hashes made by `doveadm pw` and by crypt(3); each scheme that is promised must be taken whole
REAL = {
    "ARGON2ID": ARGON,
    "BLF-CRYPT": "{BLF-CRYPT}$2b$12$Co5k6X0z0ypSVw8Pz9RpKuA1xkXc1Cs6xjbu8sI.gFv1V8JdGbY6m",
    "SHA512-CRYPT": "{SHA512-CRYPT}$6$rounds=5000$saltstring$" + "a" * 86,
    "SHA256-CRYPT": "{SHA256-CRYPT}$5$saltstring$" + "B" * 43,
    "PBKDF2": "{PBKDF2}$1$Lqb2D0lPn3nPyhbR$5000$" + "0f" * 20,
    "SCRAM-SHA-256": "{SCRAM-SHA-256}4096,mPCwDJTrwPRWFwSmwZzMGA==,QcHpqaZRVqiypZXEPCm/W8MpWXb4nEhQxODu=,JE8tQCX0kBEpJUrq8Jyt=",
    "SSHA": "{SSHA}SoB/78P5+sYM8WZHDuVhFHB8u/0gkeEp",
    "SSHA512": "{SSHA512.HEX}" + "ab" * 36,
}


@pytest.mark.parametrize("scheme", REAL)
def test_schemes_that_are_promised(scheme: str) -> None:
    assert scheme in SCHEMES
    assert types.password_hash(REAL[scheme]) == REAL[scheme]


@pytest.mark.parametrize(
    ("value", "shown"),
    [("xn--bcher-kva.example", "bücher.example"), ("example.org", "example.org"), ("xn--zzzzzz.example", "xn--zzzzzz.example")],
)
def test_u_label(value: str, shown: str) -> None:
    assert types.u_label(value) == shown
