"""Which signer has which keys."""

from __future__ import annotations

import pytest

from appliance.render.bundle import SecretFile
from tests.unit.role_room import ALICE, BODY, bundle, table, texts

ONLY = {
    "[ed25519]": ("opendkim-ed25519",),
    "[rsa-2048]": ("opendkim-rsa",),
    "[rsa-2048, ed25519]": ("opendkim-ed25519", "opendkim-rsa"),
}


@pytest.mark.parametrize("algorithms", ONLY)
def test_a_signer_that_no_domain_uses_does_not_run(algorithms: str) -> None:
    body = f"domains: {{example.org: {{dkim: {{algorithms: {algorithms}}}}}}}\n{ALICE}"
    running = tuple(s.name for s in bundle(body=body).services)
    assert tuple(sorted(n for n in running if n.startswith("opendkim"))) == ONLY[algorithms]


def test_every_domain_has_its_own_key_and_every_spelling() -> None:
    rsa, ed = texts("opendkim-rsa"), texts("opendkim-ed25519")
    assert set(table(rsa["keytable"])) == {"example.org", "catch.example"}
    assert table(ed["keytable"])["xn--bcher-kva.example"] == (
        "xn--bcher-kva.example:s1-ed25519:/config/current/dkim/xn--bcher-kva.example/s1-ed25519.pem"
    )
    assert table(ed["signingtable"])["*@bücher.example"] == "xn--bcher-kva.example"
    assert table(ed["signingtable"])["*@xn--bcher-kva.example"] == "xn--bcher-kva.example"
    # exactly the domain: nothing here matches a subdomain
    assert all(key.startswith("*@") and not key.startswith("*@.") for key in table(rsa["signingtable"]))


@pytest.mark.parametrize(("service", "algorithm"), [("opendkim-rsa", "rsa-sha256"), ("opendkim-ed25519", "ed25519-sha256")])
def test_signing_only_and_closed_on_every_error(service: str, algorithm: str) -> None:
    lines = [line.split() for line in texts(service)["opendkim.conf"].splitlines() if line and line[0] != "#"]
    conf = {words[0]: " ".join(words[1:]) for words in lines}
    assert (conf["Mode"], conf["SignatureAlgorithm"], conf["MTA"]) == ("s", algorithm, "submission,reinjected,bounces")
    closed = ("Default", "InternalError", "Security", "DNSError", "KeyNotFound", "SignatureError")
    assert {conf[f"On-{case}"] for case in closed} == {"tempfail"}
    assert {"From", "Message-ID", "MIME-Version", "Content-Type"} <= set(conf["SignHeaders"].split(","))


def test_keys_are_secrets_of_the_daemon_s_own_user() -> None:
    secrets = [f for f in bundle().service("opendkim-rsa").files if isinstance(f, SecretFile)]
    assert {f.ref for f in secrets} == {"dkim/example.org/s1-rsa.pem", "dkim/catch.example/s1-rsa.pem"}
    assert {(f.mode, f.owner) for f in secrets} == {(0o400, (906, 906))}


def test_a_new_domain_changes_no_container() -> None:
    more = BODY.replace("  catch.example:", "  new.example: {}\n  catch.example:")
    for service in ("opendkim-rsa", "opendkim-ed25519", "policy", "policy-recipients", "postfix"):
        before, after = bundle().service(service), bundle(body=more).service(service)
        assert before.frozen == after.frozen, service
        assert before.live != after.live, service
