"""Where Debian's packages come from: a mirror that the user names, or the one of the machine's own apt configuration."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from appliance.errors import Unavailable, UsageError

VARIABLE = "APPLIANCE_MIRROR"
_FORMAT = "$(REPO_URI)\t$(ORIGIN)\t$(LABEL)"
_SCHEMES = ("http", "https", "mirror+http", "mirror+https")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Mirrors:
    """The base addresses of Debian's archive and of its security updates, without a slash at the end."""

    main: str
    security: str

    def sources(self, suite: str) -> str:
        """One-line-style sources.list(5) of a suite, its updates and its security updates."""
        return f"deb {self.main} {suite} main\ndeb {self.main} {suite}-updates main\ndeb {self.security} {suite}-security main\n"


def mirrors(named: str = "") -> Mirrors:
    """The mirror to use: ``named`` (from --mirror), else APPLIANCE_MIRROR, else the machine's apt configuration.

    Raises Unavailable when none of them has one (on Ubuntu, whose mirrors do not carry Debian's releases).
    """
    found = chosen(named) or from_apt()
    if found is None:
        raise Unavailable(
            "this machine's apt sources name no Debian mirror, and no registry gave the base image",
            hint=f"{VARIABLE}=URL in the environment or `appliance build --mirror URL` names one; "
            "its packages are checked with debian-archive-keyring",
        )
    return found


def chosen(named: str = "") -> Mirrors | None:
    """The mirror that the user names, as ``URL`` or ``URL SECURITY-URL``; None when none is named. Raises UsageError."""
    words = (named or os.environ.get(VARIABLE, "")).replace(",", " ").split()
    if not words:
        return None
    for word in words:
        if not _usable(word):
            hint = "an http:// or https:// address, not of loopback"
            raise UsageError(f"{word} is no mirror that containers can reach", hint=hint)
    if len(words) > 2:
        raise UsageError(f"a mirror is one address, or two with the security updates' own, not {len(words)}")
    main = words[0].rstrip("/")
    return Mirrors(main, words[1].rstrip("/") if len(words) == 2 else f"{main}-security")


def from_apt() -> Mirrors | None:
    """The Debian mirror of this machine's apt; None without apt or without one."""
    if shutil.which("apt-get") is None:
        return None
    argv = ["apt-get", "indextargets", "--format", _FORMAT, "Created-By: Packages"]
    result = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    return parse(result.stdout)


def parse(targets: str) -> Mirrors | None:
    """The mirrors in lines of ``address TAB origin TAB label`` (apt-get(8), indextargets); the first of each kind counts."""
    main, security = "", ""
    for line in targets.splitlines():
        address, origin, label = [*line.split("\t"), "", ""][:3]
        address = address.rstrip("/")
        if not _usable(address) or origin not in ("Debian", ""):  # origin is empty before the first `apt-get update`
            continue
        last = urlsplit(address).path.rpartition("/")[2]
        if label == "Debian-Security" or (not origin and last == "debian-security"):
            security = security or address
        elif label == "Debian" or (not origin and last == "debian"):
            main = main or address
    return Mirrors(main, security or f"{main}-security") if main else None


def proxies() -> Mapping[str, str]:
    """Proxy settings for a build's apt: the environment's, else apt's own. Docker predefines these build arguments."""
    found = {name: os.environ[name] for name in ("http_proxy", "https_proxy", "no_proxy") if os.environ.get(name)}
    if "http_proxy" not in found and shutil.which("apt-config"):
        argv = ["apt-config", "dump", "--format", "%v%n", "Acquire::http::Proxy"]
        value = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60).stdout.strip()
        if value and value != "DIRECT":
            found["http_proxy"] = value
    return {name: value for name, value in found.items() if urlsplit(value).hostname not in _LOOPBACK}


def _usable(address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme in _SCHEMES and bool(parts.hostname) and parts.hostname not in _LOOPBACK
