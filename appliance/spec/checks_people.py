"""Checks across fields that concern who gets mail: nothing that is accepted may turn out to have nowhere to go."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from appliance.errors import Problem
from appliance.spec.ground import Findings, Ground
from appliance.spec.tree import Path

#: RFC 2142: these exist in every hosted domain and at the host's own name without being written down
ALWAYS = ("abuse", "postmaster")


def people_checks(ground: Ground) -> Iterator[Problem]:
    """All of them."""
    people = _People(ground)
    yield from people.keys()
    yield from people.postmaster()
    yield from people.catch_alls()
    yield from people.aliases()
    yield from people.loops()
    yield from people.hints()


class _People:
    """The names, gathered once."""

    def __init__(self, ground: Ground) -> None:
        self.ground, self.spec = ground, ground.spec
        self.declared, self.hosted = ground.declared(), ground.hosted()
        self.known = all(ground.complete(section) for section in ("mailboxes", "aliases", "domains"))

    # -- every mailbox and alias ---------------------------------------------------------------------------------------
    def keys(self) -> Findings:
        """Mailboxes and aliases stand in hosted domains, and no name is both."""
        for section, names in (("mailboxes", self.spec.mailboxes), ("aliases", self.spec.aliases)):
            for name in names:
                local, _, domain = name.rpartition("@")
                if domain not in self.hosted and self.ground.complete("domains"):
                    yield self._elsewhere(section, name, domain)
                if "+" in local and section == "mailboxes":
                    hint = f"mail to {name} reaches {local.partition('+')[0]}@{domain}"
                    yield self.ground.problem("plus-address", (section, name), "+ begins a sub-address", hint, key=True)
        for name in self.spec.aliases:
            if name in self.spec.mailboxes:
                at = self.ground.key(("mailboxes", name))
                message = f"{at.file}, line {at.line} has a mailbox of this name: one of the two would never get mail"
                hint = "give the alias another name, or forward with a Sieve script"
                yield self.ground.problem("alias-is-mailbox", ("aliases", name), message, hint, key=True)

    def _elsewhere(self, section: str, name: str, domain: str) -> Problem:
        if domain == self.spec.hostname:
            message = "the host's own name has only postmaster and abuse"
            hint = f"a mailbox belongs into a domain: {next(iter(self.spec.domains), 'example.org')}"
        else:
            near = difflib.get_close_matches(domain, self.hosted, n=1)
            message = f"{domain} is not one of the hosted domains"
            hint = f"did you mean {near[0]}?" if near else f"add {domain} to domains, or remove the entry"
        return self.ground.problem("not-hosted", (section, name), message, hint, key=True)

    # -- where mail goes -------------------------------------------------------------------------------------------------
    def fault(self, address: str) -> tuple[str, str, str] | None:
        """Why mail to an address would have nowhere to go: (kind, message, hint); None when it has, or is not ours to know."""
        local, _, domain = address.rpartition("@")
        if domain == self.spec.hostname and domain not in self.hosted and self.ground.whole("hostname"):
            if local in ALWAYS:
                return None
            return "unknown-address", f"the host's own name has only postmaster and abuse, not {local}", ""
        if domain not in self.hosted:
            return None
        base = f"{local.partition('+')[0]}@{domain}"
        for name in (address, base):
            mailbox = self.spec.mailboxes.get(name)
            if mailbox is not None and not mailbox.enabled:
                return (
                    "disabled-mailbox",
                    f"{name} is disabled: what is accepted for it would bounce",
                    "take it out, or enable it",
                )
        if address in self.declared or base in self.declared or local.partition("+")[0] in ALWAYS or not self.known:
            return None
        return "unknown-address", f"{address} is neither a mailbox nor an alias", self._near(address, self.declared)

    def _near(self, address: str, among: Iterable[str]) -> str:
        local, _, domain = address.rpartition("@")
        # 100,000 names are compared only with what begins or ends alike
        alike = [
            n
            for n in among
            if n != address and n.endswith(f"@{domain}") and abs(len(n) - len(address)) < 3 and n[:1] == local[:1]
        ]
        near = difflib.get_close_matches(address, alike[:2000], n=1, cutoff=0.8)
        return f"did you mean {near[0]}?" if near else ""

    def postmaster(self) -> Findings:
        """A mailbox or alias of a hosted domain, or an address elsewhere; postmaster@ itself only when it is written down."""
        address, path = self.spec.postmaster, ("postmaster",)
        if not self.ground.whole("postmaster") or not self.ground.whole("hostname"):
            return
        local, _, domain = address.rpartition("@")
        ours = domain in self.hosted or domain == self.spec.hostname
        if not ours and self.ground.complete("domains"):
            message = f"{address} is elsewhere: when mail does not get out, nobody hears of it"
            yield self.ground.warning("outside-postmaster", path, message, "an address of a hosted domain always works")
        elif ours and local in ALWAYS and address not in self.declared and self.known:
            message = f"{address} is delivered to the postmaster, which is itself"
            hint = "name the mailbox that reads it, or add it to mailboxes or aliases"
            yield self.ground.problem("mail-loop", path, message, hint)
        elif found := self.fault(address):
            yield self.ground.problem(found[0], path, found[1], found[2] or "name a mailbox or an alias that exists")

    def catch_alls(self) -> Findings:
        """A catch-all is a mailbox or an alias here: elsewhere it would forward every spam to a guessed name."""
        for domain, settings in self.spec.domains.items():
            address = settings.catch_all
            path: Path = ("domains", domain, "catch_all")
            if address is None:
                continue
            if address.rpartition("@")[2] not in self.hosted and self.ground.complete("domains"):
                message = f"{address} is elsewhere: a catch-all is a mailbox or an alias of a hosted domain"
                yield self.ground.problem("outside-catch-all", path, message)
            elif found := self.fault(address):
                yield self.ground.problem(found[0], path, found[1], found[2])

    def aliases(self) -> Findings:
        """Every member has somewhere to go, and only mailboxes here send."""
        for name, alias in self.spec.aliases.items():
            for field, addresses in (("to", alias.to), ("send_as", alias.send_as or ())):
                for i, address in enumerate(addresses):
                    path = self._member(name, field, i)
                    found = self.fault(address)
                    if field == "send_as" and not found and address not in self.spec.mailboxes and self.known:
                        message = f"{address} is not a mailbox here, so it cannot log in and send"
                        found = ("not-a-mailbox", message, self._near(address, self.spec.mailboxes))
                    if found:
                        yield self.ground.problem(found[0], path, found[1], found[2])

    def _member(self, name: str, field: str, number: int) -> Path:
        """The path of an alias's member in whatever form the alias was written."""
        tree = self.ground.tree.find(("aliases", name))
        mapped = tree.children is not None and not tree.listed
        return ("aliases", name, field, number) if mapped else ("aliases", name, number) if tree.listed else ("aliases", name)

    def loops(self) -> Findings:
        """Aliases that lead back to themselves, each circle once."""
        done: set[str] = set()
        for start in self.spec.aliases:
            trail: list[str] = []
            stack: list[tuple[str, int]] = [(start, 0)]
            while stack:
                name, depth = stack.pop()
                del trail[depth:]
                if name in trail:
                    circle = [*trail[trail.index(name) :], name]
                    if not done & set(circle):
                        message = f"this alias leads back to itself: {' → '.join(circle)}"
                        yield self.ground.problem("alias-loop", ("aliases", circle[0]), message, key=True)
                    done |= set(circle)
                elif name in self.spec.aliases and name not in done:
                    trail.append(name)
                    stack += [(t, len(trail)) for t in reversed(self.spec.aliases[name].to)]
            done.add(start)

    # -- not wrong, but worth a word ---------------------------------------------------------------------------------------
    def hints(self) -> Findings:
        """Addresses elsewhere need SRS; a mailbox without a password lets nobody in; a quota below one message."""
        here = {*self.hosted, self.spec.hostname}
        outside = [n for n, a in self.spec.aliases.items() if any(t.rpartition("@")[2] not in here for t in a.to)]
        if outside and self.ground.complete("domains"):
            message = f"mail is forwarded elsewhere under its sender's name, and SPF of that sender fails there{_more(outside)}"
            hint = "receivers may refuse it until sender rewriting (SRS) comes"
            yield self.ground.warning("needs-srs", ("aliases", outside[0]), message, hint)
        boxes = self.spec.mailboxes.items()
        silent = [n for n, m in boxes if m.password is None and m.enabled and self.ground.whole("mailboxes", n)]
        if silent:
            message = f"without a password nobody can log in{_more(silent)}"
            yield self.ground.warning("no-password", ("mailboxes", silent[0]), message, "`appliance keys hash` makes a hash")
        size = self.spec.message_size
        small = [n for n, m in boxes if m.quota and m.quota < size and m.enabled]
        if small and self.ground.whole("message_size"):
            message = f"the quota is smaller than one message of message_size{_more(small)}"
            yield self.ground.warning("small-quota", ("mailboxes", small[0], "quota"), message)


def _more(names: list[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""
