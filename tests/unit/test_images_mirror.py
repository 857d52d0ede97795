"""Where the packages come from: named, or the machine's own apt configuration."""

from __future__ import annotations

import pytest

from appliance.errors import Unavailable, UsageError
from appliance.images import mirror
from appliance.images.mirror import Mirrors, chosen, mirrors, parse

DEBIAN = "http://mirror.test/debian/\tDebian\tDebian\n"
SECURITY = "http://mirror.test/debian-security/\tDebian\tDebian-Security\n"
BOTH = Mirrors("http://mirror.test/debian", "http://mirror.test/debian-security")


@pytest.mark.parametrize(
    ("targets", "found"),
    [
        pytest.param(DEBIAN + DEBIAN + SECURITY, BOTH, id="as Debian 12 says it"),
        pytest.param(SECURITY + DEBIAN, BOTH, id="another order"),
        pytest.param(DEBIAN, BOTH, id="without security updates: beside the archive"),
        pytest.param("http://mirror.test/debian\t\t\nhttp://s.test/debian-security\t\t\n",
                     Mirrors("http://mirror.test/debian", "http://s.test/debian-security"), id="before the first apt-get update"),
        pytest.param("http://vendor.test/debian/\tVendor\tDebian\n" + DEBIAN, BOTH, id="others' packages do not count"),
        pytest.param("http://localhost:3142/debian/\tDebian\tDebian\n" + DEBIAN, BOTH, id="loopback is no use in a container"),
        pytest.param("cdrom:[Debian]/\tDebian\tDebian\n", None, id="a disc"),
        pytest.param("http://mirror.test/ubuntu/\tUbuntu\tUbuntu\n", None, id="Ubuntu"),
        pytest.param("", None, id="no apt"),
    ],
)  # fmt: skip
def test_apt_sources(targets: str, found: Mirrors | None) -> None:
    assert parse(targets) == found


@pytest.mark.parametrize(
    ("named", "found"),
    [
        ("http://mirror.test/debian/", BOTH),
        ("https://a.test/d", Mirrors("https://a.test/d", "https://a.test/d-security")),
        ("https://a.test/d https://b.test/s/", Mirrors("https://a.test/d", "https://b.test/s")),
        ("https://a.test/d,https://b.test/s", Mirrors("https://a.test/d", "https://b.test/s")),
        ("", None),
    ],
)
def test_named(monkeypatch: pytest.MonkeyPatch, named: str, found: Mirrors | None) -> None:
    monkeypatch.delenv(mirror.VARIABLE, raising=False)
    assert chosen(named) == found
    monkeypatch.setenv(mirror.VARIABLE, named)
    assert chosen() == found


@pytest.mark.parametrize(
    "named", ["mirror.test/debian", "file:///srv/debian", "http://127.0.0.1/debian", "http://a http://b http://c"]
)
def test_named_wrongly(named: str) -> None:
    with pytest.raises(UsageError):
        chosen(named)


def test_the_option_stands_before_the_environment_and_both_before_apt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "from_apt", lambda: Mirrors("apt", "apt-security"))
    monkeypatch.delenv(mirror.VARIABLE, raising=False)
    assert mirrors().main == "apt"
    monkeypatch.setenv(mirror.VARIABLE, "http://variable.test")
    assert mirrors().main == "http://variable.test"
    assert mirrors("http://option.test").main == "http://option.test"


def test_no_mirror_at_all_says_what_to_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(mirror.VARIABLE, raising=False)
    monkeypatch.setattr(mirror, "from_apt", lambda: None)
    with pytest.raises(Unavailable) as caught:
        mirrors()
    assert "--mirror URL" in caught.value.hint
    assert "debian-archive-keyring" in caught.value.hint


def test_sources_have_the_updates_and_the_security_updates() -> None:
    assert BOTH.sources("trixie") == (
        "deb http://mirror.test/debian trixie main\n"
        "deb http://mirror.test/debian trixie-updates main\n"
        "deb http://mirror.test/debian-security trixie-security main\n"
    )


def test_a_proxy_is_passed_on_but_not_that_of_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.test:3128")
    monkeypatch.setenv("https_proxy", "http://localhost:3128")
    monkeypatch.delenv("no_proxy", raising=False)
    assert mirror.proxies() == {"http_proxy": "http://proxy.test:3128"}
