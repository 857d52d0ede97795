"""YAML text → node tree with marks, and every fault of the text as a Problem with a sentence for people."""

from __future__ import annotations

import re
from dataclasses import replace

import yaml

from appliance.errors import At, Problem
from appliance.spec.source import Source

Loader: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DEEPEST = 40  # levels of nesting; a spec has 5


class Stop(Exception):
    """The text cannot be read further; what was found so far is ``problem``."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def compose(source: Source) -> yaml.Node | None:
    """The root node, None for a text without one. Raises Stop at the first fault of the syntax: what follows would be guessed."""
    _check_depth(source)
    try:
        node: yaml.Node | None = yaml.compose(source.text, Loader=Loader)
    except yaml.reader.ReaderError as why:
        raise Stop(_unreadable(source, why)) from None
    except yaml.MarkedYAMLError as why:
        raise Stop(_fault(source, why)) from None
    except (yaml.YAMLError, ValueError, RecursionError) as why:
        raise Stop(Problem("yaml", f"this is not YAML: {why}", source.at(0, 0))) from None
    return node


def _check_depth(source: Source) -> None:
    """Refuses deep nesting before the composer, which recurses, meets it (libyaml's has no limit of its own)."""
    if source.text.count("[") + source.text.count("{") + source.text.count("- ") + source.text.count("? ") <= 500:
        return
    depth = 0
    try:
        for event in yaml.parse(source.text, Loader=Loader):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if depth > DEEPEST and event.start_mark:
                at = source.at(event.start_mark.line, event.start_mark.column)
                raise Stop(Problem("yaml", f"more than {DEEPEST} levels of nesting", at))
    except yaml.YAMLError:
        return  # compose says it better


def _unreadable(source: Source, why: yaml.reader.ReaderError) -> Problem:
    line, column = source.offset(why.position)
    code = why.character if isinstance(why.character, int) else ord(str(why.character)[:1] or "\0")
    if code == 0 or (line == 0 and column < 4):
        return Problem("not-text", "this is a binary file, not YAML text", source.at(line, column))
    message = f"the character U+{code:04X} cannot be seen and does not belong here"
    return Problem("control-character", message, source.at(line, column))


def _fault(source: Source, why: yaml.MarkedYAMLError) -> Problem:
    mark = why.problem_mark or why.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    start = (why.context_mark.line, why.context_mark.column) if why.context_mark else (line, column)
    text = source.lines[line] if line < len(source.lines) else ""
    problem, context = str(why.problem or ""), str(why.context or "")
    if "\t" in text[: len(text) - len(text.lstrip())] or "tab" in problem:
        tab = text.find("\t")
        return Problem("yaml-tab", "a tab indents this line; YAML allows spaces only", source.at(line, max(tab, 0)))
    if "quoted scalar" in context and ("end of stream" in problem or "end of stream" in context or "document" in problem):
        return Problem("yaml-quote", "this quote is never closed", source.at(*start))
    if "unknown escape" in problem:
        hint = "in single quotes a backslash is an ordinary character"
        return Problem(
            "yaml", "a backslash in double quotes begins an escape that YAML does not know", source.at(line, column), hint
        )
    hash_ = re.search(r":\s+(\{[A-Z0-9.-]+\}\S)", text)
    if hash_:
        return Problem(
            "yaml-quote", "a hash needs quotes, because { begins a map", source.at(line, hash_.start(1)), 'write "{SCHEME}…"'
        )
    if "expected ':'" in problem and "::" in text:
        return _ipv6(text, source.at(line, column))
    if "expected ':'" in problem:
        return Problem("yaml", "a colon and a space are missing in this line", source.at(*start))
    if "flow" in context and ("','" in problem or "node content" in problem):
        return _open_bracket(source, start, line, column)
    return _other(text, problem, context, source.at(*_inside(source, line, column)))


def _inside(source: Source, line: int, column: int) -> tuple[int, int]:
    """A place at or before the given one that has text: libyaml points behind the end of a file."""
    while line > 0 and (line >= len(source.lines) or not source.lines[line].strip()):
        line -= 1
        column = len(source.lines[line])
    return line, column


def _open_bracket(source: Source, start: tuple[int, int], line: int, column: int) -> Problem:
    first = source.lines[start[0]] if start[0] < len(source.lines) else ""
    bracket = first[start[1] : start[1] + 1]
    here = source.lines[line] if line < len(source.lines) else ""
    if bracket in "[{" and bracket and (line > start[0] or not here[column:].strip()):
        closing = {"[": "]", "{": "}"}[bracket]
        return Problem("yaml-bracket", f"this {bracket} is never closed by {closing}, or a comma is missing", source.at(*start))
    if "::" in here:
        return Problem(
            "yaml", "an IPv6 address needs quotes here", source.at(*_inside(source, line, column)), 'write "2001:db8::7"'
        )
    return Problem("yaml", "a value or a comma is missing here", source.at(*_inside(source, line, column)))


def _ipv6(text: str, at: At) -> Problem:
    """At the address that the fault lies in or that comes next."""
    words = [m for m in re.finditer(r"[0-9A-Fa-f:]*::[0-9A-Fa-f:.]*", text) if m.end() >= at.column - 1]
    word = words[0] if words else None
    if word:
        at = replace(at, column=word.start() + 1, length=word.end() - word.start())
    return Problem("yaml", "an IPv6 address needs quotes here", at, f'write "{word[0] if word else "2001:db8::7"}"')


def _other(text: str, problem: str, context: str, at: At) -> Problem:
    if "single document" in context:
        return Problem("yaml", "a second document begins here; a spec is one", at, "remove the line ---")
    if "undefined alias" in problem:
        hint = 'a text that begins with * needs quotes: "*…"'
        return Problem("yaml-anchor", "* names an anchor (&name) that does not stand above", at, hint)
    if re.search(r"(?:\s|\[|,)[0-9a-fA-F:]*::", text):
        return _ipv6(text, at)
    if "mapping values are not allowed" in problem:
        if re.match(r"\s*[^\s:#]+:\s+\S.*:(\s|$)", text):
            return Problem("yaml", "a second colon in this line", at, "a text that holds a colon and a space needs quotes")
        return Problem("yaml", "this line is indented differently from its neighbours, or the one above lacks its colon", at)
    if "cannot start any token" in problem:
        begin = text[at.column - 1 : at.column]
        return Problem("yaml", f"a text that begins with {begin} needs quotes", at)
    if "expected '-'" in problem or "block end" in problem or "block mapping" in context or "block collection" in context:
        return Problem("yaml", "this line is indented differently from its neighbours", at)
    return Problem("yaml", f"this is not YAML: {problem or context}", at)
