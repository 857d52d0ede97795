"""What Postfix is told, from specs that differ in one thing."""

from __future__ import annotations

import pytest

from appliance.render.bundle import SecretFile
from tests.unit.role_room import bundle, settings, table, texts

PROBE = f"probe-{'p' * 16}@example.org"


def test_relaying_is_closed_and_opened_by_name() -> None:
    main, master = settings(texts("postfix")["main.cf"]), texts("postfix")["master.cf"]
    assert main["smtpd_relay_restrictions"] == "reject"
    assert main["smtpd_recipient_restrictions"] == "reject"
    assert main["mynetworks"] == "127.0.0.0/8 [::1]/128"
    assert main["smtpd_forbid_bare_newline_exclusions"] == ""
    assert not [line for line in texts("postfix")["main.cf"].splitlines() if "permit_mynetworks" in line]
    services = [line.split()[0] for line in master.splitlines() if " inet " in line]
    assert services == ["smtp", "submission", "submissions", "10587"]
    mx = master.split("\nsmtp  ")[1].split("\n#")[0]
    assert "sasl" not in mx
    assert "smtpd_relay_restrictions=$mx_relay" in mx
    assert main["mx_relay"] == "reject_unauth_destination"


def test_the_tables_of_people() -> None:
    files = texts("postfix")
    aliases, access, senders = table(files["aliases"]), table(files["recipient_access"]), table(files["senders"])
    # one identity entry per mailbox, disabled ones too, or the catch-all swallows it
    assert {a: aliases[a] for a in ("alice@example.org", "off@catch.example", PROBE)} == {
        "alice@example.org": "alice@example.org",
        "off@catch.example": "off@catch.example",
        PROBE: PROBE,
    }
    assert aliases["@catch.example"] == "alice@example.org"
    assert aliases["jürgen@bücher.example"] == "jürgen@xn--bcher-kva.example"
    assert set(access) == {"carol@example.org", "off@catch.example"}
    assert set(access.values()) == {"550 5.2.1 Mailbox disabled"}
    # a process that looks after its tables every 10 s only reads this one: a mailbox that comes back would bounce meanwhile
    assert not table(files["transport"])
    assert senders["list@example.org"] == "alice@example.org"
    assert senders["jürgen@bücher.example"] == "jürgen@xn--bcher-kva.example, jürgen@bücher.example"
    assert "@catch.example" not in senders
    assert set(table(files["mailboxes"])) == {"alice@example.org", "bob@example.org", "jürgen@xn--bcher-kva.example", PROBE}
    assert {"bücher.example", "xn--bcher-kva.example"} <= set(table(files["domains"]))
    assert table(files["clientcerts"]) == {"AA:BB": "reinjection"}


def test_routes_and_what_is_asked_before_dns() -> None:
    files = texts("postfix", 'routes: {partner.example: "[mx.partner.example]:2525", büro.example: büro.example}\n')
    assert table(files["transport"])["partner.example"] == "smtp:[mx.partner.example]:2525"
    assert table(files["transport"])["xn--bro-hoa.example"] == table(files["transport"])["büro.example"]
    assert set(table(files["routed"])) == {"partner.example", "xn--bro-hoa.example", "büro.example"}
    order = settings(files["main.cf"])["submission_recipient"]
    assert order.index("/routed") < order.index("reject_unknown_recipient_domain")


@pytest.mark.parametrize(
    ("relay", "wanted", "absent"),
    [
        ("", {"relayhost": ""}, ("smtp_sasl_auth_enable", "smtp_tls_policy_maps", "default_transport")),
        ("relay_host: {host: relay.example, port: 25}\n", {"relayhost": "[relay.example]:25"}, ("smtp_sasl_auth_enable",)),
        (
            "relay_host: {host: relay.example, credentials: relay.txt, spf_include: relay.example}\n",
            {
                "relayhost": "[relay.example]:587",
                "smtp_sasl_auth_enable": "yes",
                "smtp_sasl_security_options": "noplaintext, noanonymous",
                "smtp_tls_policy_maps": "inline:{ { [relay.example]:587 = secure match=nexthop } }",
                "smtp_sasl_password_maps": "texthash:/config/current/relay/credentials",
            },
            ("default_transport",),
        ),
        ("relay_host: {host: relay.example, port: 465}\n", {"default_transport": "smtps"}, ("smtp_sasl_auth_enable",)),
    ],
)
def test_the_relay_host(relay: str, wanted: dict[str, str], absent: tuple[str, ...]) -> None:
    main = settings(texts("postfix", relay)["main.cf"])
    assert {name: main[name] for name in wanted} == wanted
    assert [name for name in absent if name in main] == []
    secrets = [f.path for f in bundle(relay).service("postfix").files if isinstance(f, SecretFile)]
    assert ("relay/credentials" in secrets) is ("credentials" in relay)


@pytest.mark.parametrize(
    ("families", "protocols", "ours"),
    [((4,), "ipv4", "203.0.113.7"), ((4, 6), "ipv4, ipv6", "203.0.113.7, 2001:db8::7"), ((6,), "ipv6", "2001:db8::7")],
)
def test_families(families: tuple[int, ...], protocols: str, ours: str) -> None:
    files = texts("postfix", families=families)
    main = settings(files["main.cf"])
    assert (main["inet_protocols"], main["proxy_interfaces"]) == (protocols, ours)
    assert files["families"].splitlines()[-1] == protocols
    assert {f.path: f.on_change for f in bundle().service("postfix").files}["families"] == "restart"


def test_one_role_off_leaves_a_configuration_that_is_whole() -> None:
    without = settings(texts("postfix", "roles: {policy: off, opendkim: off, clamav: off, resolver: off}\n")["main.cf"])
    assert [name for name in without if name.endswith("_milters") and without[name]] == []
    # the store itself is asked, aliases unexpanded
    assert "quota-status" in without["recipient_status"]
    assert without["smtp_tls_security_level"] == "may"
    assert "smtp_dns_support_level" not in without
    with_all = settings(texts("postfix")["main.cf"])
    assert (with_all["smtp_tls_security_level"], with_all["smtp_dns_support_level"]) == ("dane", "dnssec")
    assert "recipients.sock" in with_all["recipient_status"]


def test_filters_stand_in_order_with_their_limits() -> None:
    main = settings(texts("postfix", "roles: {clamav: off}\n")["main.cf"])
    order = main["submission_milters"].split("{ ")[1:]
    assert names(main["submission_milters"]) == ["policy", "opendkim-ed25519", "opendkim-rsa"]
    assert all(word in entry for entry in order for word in ("connect_timeout", "content_timeout", "default_action=tempfail"))
    signers = [name for name in names(main["submission_milters"]) if name.startswith("opendkim")]
    assert names(main["non_smtpd_milters"]) == signers
    assert "mx_milters" in main
    assert main["mx_milters"] == ""


def names(milters: str) -> list[str]:
    """The services whose sockets a list of milters names."""
    return [entry.split("/")[2] for entry in milters.split("{ ")[1:]]


def test_memory_follows_the_processes() -> None:
    few, many = (
        bundle(f"roles: {{postfix: {{processes: {n}}}}}\n").service("postfix").runtime.memory // 2**20 for n in (10, 100)
    )
    assert (few, many) == (299, 1784)


def test_one_number_is_the_size() -> None:
    assert settings(texts("postfix", "message_size: 10 MiB\n")["main.cf"])["message_size_limit"] == str(-(-10 * 2**20 * 78 // 57))
