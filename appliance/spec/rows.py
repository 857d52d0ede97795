"""Mailboxes from a CSV file: columns ``address,password,quota`` (and ``enabled``), one pass, places only for rows that fail.

100,000 rows are a spec that somebody has; building a pydantic object for each twice would cost more than all the rest.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from appliance.errors import At, Problem
from appliance.spec.model import Mailbox
from appliance.spec.names import Fault, address
from appliance.spec.passwords import password_hash
from appliance.spec.source import Source, path_text
from appliance.spec.tree import Tree
from appliance.spec.types import size_text

COLUMNS = ("address", "password", "quota", "enabled")
_HEADER = "address,password,quota"
_FIELDS = {"password", "quota", "enabled"}


def read_rows(
    source: Source, into: dict[str, Mailbox], inline: Mapping[str | int, Tree], earlier: Sequence[Source] = ()
) -> Iterator[Problem]:
    """Adds the file's mailboxes to ``into``; yields what is wrong. ``inline``, ``earlier``: where others were read before."""
    lines = source.text.split("\n")
    header = _header(source, lines)
    if isinstance(header, Problem):
        yield header
        return
    start, columns = header
    lines[:start] = []
    reader = csv.reader(lines, strict=True)
    order = [columns.index(c) if c in columns else -1 for c in COLUMNS]
    width = len(columns)
    try:
        for row in reader:
            if not row or row[0].startswith("#"):
                continue
            fault = _take(row, order, into) if len(row) == width else _width(row, width)
            if fault:
                line = start + reader.line_num - 1
                where = _before(fault[1].message, source, line, inline, earlier) if fault[1].kind == "duplicate-key" else None
                yield _located(source, line, fault, columns, where)
    except csv.Error as why:
        line = min(start + reader.line_num - 1, len(source.lines) - 1)
        source.hide(line, source.lines[line].find(",") + 1, line, len(source.lines[line]))
        hint = "a field with a comma or a quote stands in quotes, and a quote within it is doubled"
        yield Problem("csv", f"this row is not CSV: {why}", source.at(max(line, 0), 0), hint)


def _take(row: list[str], order: list[int], into: dict[str, Mailbox]) -> tuple[str, Fault] | None:
    column = "address"
    try:
        name = address(row[order[0]])
        column = "password"
        password = password_hash(row[order[1]]) if order[1] >= 0 and row[order[1]] else None
        column = "quota"
        quota = _quota(row[order[2]]) if order[2] >= 0 and row[order[2]] else None
        column = "enabled"
        enabled = _enabled(row[order[3]]) if order[3] >= 0 else True
    except Fault as why:
        return column, why
    if name in into:
        return "address", Fault(name, kind="duplicate-key")
    into[name] = _mailbox(password, quota, enabled)
    return None


def _mailbox(password: str | None, quota: int | None, enabled: bool) -> Mailbox:
    """A Mailbox of checked values, made as unpickling makes it: to validate again would take as long as all the rest."""
    made = Mailbox.__new__(Mailbox)
    made.__setstate__(
        {
            "__dict__": {"password": password, "quota": quota, "enabled": enabled},
            "__pydantic_fields_set__": _FIELDS,
            "__pydantic_extra__": None,
            "__pydantic_private__": None,
        }
    )
    return made


_quota = lru_cache(maxsize=1024)(size_text)


def _enabled(word: str) -> bool:
    known = {"": True, "true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if word.strip().lower() not in known:
        raise Fault(f"expected true or false, found {word[:40]!r}")
    return known[word.strip().lower()]


def _width(row: list[str], width: int) -> tuple[str, Fault]:
    hint = "a quota without a password is address,,quota"
    if len(row) > width and any("$argon2" in field for field in row):
        hint = "an Argon2 hash has commas: it stands in quotes"
    return "address", Fault(f"{len(row)} fields; the first line names {width}", kind="csv", hint=hint)


def _header(source: Source, lines: list[str]) -> tuple[int, list[str]] | Problem:
    """(number of lines up to and with the header, its columns)."""
    number = next((i for i, line in enumerate(lines) if line.strip() and not line.startswith("#")), None)
    if number is None:
        return 0, list(COLUMNS)
    words = [w.strip().strip('"').lower() for w in lines[number].split(",")]
    if "address" in words and set(words) <= set(COLUMNS) and len(set(words)) == len(words):
        return number + 1, words
    if "@" in lines[number] or not re.fullmatch(r"[a-z_ ,;\t\"-]{1,80}", lines[number].strip().lower()):
        source.hide(number, 0, number, len(lines[number]))
        return Problem("csv", "the first line names the columns", source.at(number, 0), f"write {_HEADER} above it")
    if ";" in lines[number] or "\t" in lines[number]:
        return Problem("csv", "the fields are separated by commas", source.at(number, 0), f"the first line is {_HEADER}")
    unknown = next((w for w in words if w not in COLUMNS), words[0])
    return Problem(
        "csv", f"{unknown!r} is not a column, or stands here twice", source.at(number, 0), f"the first line is {_HEADER}"
    )


def _located(source: Source, line: int, fault: tuple[str, Fault], columns: list[str], there: At | None) -> Problem:
    """The problem with its place: the column of the field within the raw line, the password masked."""
    name, why = fault
    raw = source.lines[line].rstrip("\r") if line < len(source.lines) else ""
    spans = list(_spans(raw))
    _hide_password(source, line, columns, spans)
    begin, end = spans[min(columns.index(name), len(spans) - 1)]
    at = source.at(line, begin, end - begin)
    if why.kind == "duplicate-key":
        where = f" in {there.file}, line {there.line}" if there else ""
        return Problem("duplicate-key", f"{path_text(('mailboxes', why.message))} stands{where} already", at)
    return Problem(why.kind, f"{name}: {why.message}", at, why.hint)


def _hide_password(source: Source, line: int, columns: list[str], spans: list[tuple[int, int]]) -> None:
    """Masks the password; of a row with too many or too few fields everything but the address."""
    if len(spans) != len(columns):
        first = spans[0][1] if columns[0] == "address" else 0
        source.hide(line, first, line, len(source.lines[line]))
    elif "password" in columns:
        begin, end = spans[columns.index("password")]
        source.hide(line, begin, line, end)


def _spans(raw: str) -> Iterator[tuple[int, int]]:
    """(begin, end) of the fields in a raw line."""
    begin, quoted = 0, False
    for i, c in enumerate(raw):
        if c == '"':
            quoted = not quoted
        elif c == "," and not quoted:
            yield begin, i
            begin = i + 1
    yield begin, len(raw)


def _before(name: str, source: Source, line: int, inline: Mapping[str | int, Tree], earlier: Sequence[Source]) -> At | None:
    """Where a mailbox that stands here twice stands first: in the spec, in a file before this one, or in the lines above."""
    if name in inline:
        return inline[name].at_key()
    return next((at for other in earlier if (at := find_row(other, name))), None) or find_row(source, name, line)


def find_row(source: Source, name: str, before: int | None = None) -> At | None:
    """The place of an address in a CSV file, looked up only when somebody asks."""
    header = _header(source, source.lines)
    if isinstance(header, Problem):
        return None
    start, columns = header
    for line in range(start, before if before is not None else len(source.lines)):
        raw = source.lines[line]
        if name.partition("@")[0] not in raw.lower() and raw.isascii():
            continue
        spans = list(_spans(raw.rstrip("\r")))
        if columns.index("address") >= len(spans):
            continue
        begin, end = spans[columns.index("address")]
        try:
            if address(raw[begin:end].strip('"')) == name:
                _hide_password(source, line, columns, spans)
                return source.at(line, begin, end - begin)
        except Fault:
            continue
    return None
