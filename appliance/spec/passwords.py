"""Password hashes as Dovecot's passwd-file takes them: ``{SCHEME}…``. A password itself is refused, and never repeated."""

from __future__ import annotations

import re

from appliance.spec.names import Fault

_B64 = r"[A-Za-z0-9+/]+={0,2}"
#: scheme → what its hash looks like (Dovecot manual, "Password schemes"); a hash cut short is found here and not by a user
SCHEMES: dict[str, re.Pattern[str]] = {
    "ARGON2ID": re.compile(r"\$argon2id\$v=\d+\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]{11,}\$[A-Za-z0-9+/]{16,}"),
    "ARGON2I": re.compile(r"\$argon2i\$v=\d+\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]{11,}\$[A-Za-z0-9+/]{16,}"),
    "BLF-CRYPT": re.compile(r"\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53}"),
    "SHA512-CRYPT": re.compile(r"\$6\$(?:rounds=\d+\$)?[^$\s]{1,16}\$[./A-Za-z0-9]{86}"),
    "SHA256-CRYPT": re.compile(r"\$5\$(?:rounds=\d+\$)?[^$\s]{1,16}\$[./A-Za-z0-9]{43}"),
    "PBKDF2": re.compile(r"\$1\$[^$\s]+\$\d+\$[0-9a-f]{40}"),
    "SCRAM-SHA-256": re.compile(rf"\d+,{_B64},{_B64},{_B64}"),
    "SSHA512": re.compile(_B64),
    "SSHA256": re.compile(_B64),
    "SSHA": re.compile(_B64),
}
#: how a hash begins that was copied without its scheme
_BARE = {"$argon2id$": "ARGON2ID", "$argon2i$": "ARGON2I", "$2": "BLF-CRYPT", "$6$": "SHA512-CRYPT", "$5$": "SHA256-CRYPT"}
#: schemes that keep the password itself, or that a graphics card guesses in hours
_OPEN = re.compile(
    r"PLAIN(-TRUNC|-MD[45])?|CLEAR(TEXT)?|(CRAM-|DIGEST-|LDAP-|HMAC-)?MD5|MD5-CRYPT|(DES-)?CRYPT|SHA(1|256|512)?|SMD5"
    r"|LANMAN|NTLM|RPA|SKEY|OTP"
)
_FORM = re.compile(r"\{([A-Za-z0-9-]+)(\.(?:B64|b64|HEX|hex|BASE64|base64))?\}(\S+)")
_WHOLE = {f"{{{name}}}": re.compile(re.escape(f"{{{name}}}") + hash_.pattern) for name, hash_ in SCHEMES.items()}
MAKE = "`appliance keys hash` makes a hash from a password"


def password_hash(value: object) -> str:
    """A Dovecot scheme hash; the scheme's name in capitals."""
    if not isinstance(value, str):
        raise Fault("expected a hash such as {ARGON2ID}…, in quotes", kind="password", hint=MAKE)
    word = value.strip()
    usual = _WHOLE.get(word[: word.find("}") + 1])
    if usual and usual.fullmatch(word):  # the common case, fast
        return word
    found = _FORM.fullmatch(word)
    if not found:
        raise _no_hash(word)
    scheme, encoding, rest = found[1].upper(), found[2], found[3]
    if scheme not in SCHEMES:
        if _OPEN.fullmatch(scheme):
            raise Fault(f"{{{scheme}}} can be read or guessed by whoever sees this file", kind="password", hint=MAKE)
        raise Fault(f"the scheme {scheme} is not supported; use one of {', '.join(SCHEMES)}", kind="password", hint=MAKE)
    if ":" in rest or not rest.isascii():
        raise Fault(
            f"this is not a whole {scheme} hash: it holds a character that hashes do not have", kind="password", hint=MAKE
        )
    if not encoding and not SCHEMES[scheme].fullmatch(rest):
        raise Fault(
            f"this is not a whole {scheme} hash: was it cut short, or eaten by a shell that expands $?",
            kind="password",
            hint=MAKE,
        )
    return word if found[1] == scheme else f"{{{scheme}{word[1 + len(scheme) :]}"


def _no_hash(word: str) -> Fault:
    for begin, scheme in _BARE.items():
        if word.startswith(begin):
            return Fault("a hash without its scheme", kind="password", hint=f"write {{{scheme}}} in front of it")
    if word.startswith("{") and "}" in word:
        return Fault("a hash has one word after its {SCHEME}, without spaces", kind="password", hint=MAKE)
    return Fault("this is a password, or nothing that can be one: a spec holds hashes only", kind="password", hint=MAKE)
