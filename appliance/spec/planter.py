"""Grows the tree out of texts: YAML nodes, anchors and merge keys followed, included files put in their place."""

from __future__ import annotations

import os
import re

import yaml

from appliance.errors import At, Problem
from appliance.spec.scalars import Guess, scalar
from appliance.spec.source import Source, path_text
from appliance.spec.syntax import DEEPEST, Stop, compose
from appliance.spec.tree import Path, Reader, Tree, place, said


class Planter:
    """Grows a tree from texts. Problems that do not stop the reading are gathered in ``problems``."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.problems: list[Problem] = []
        self.folder = ""
        self._active: set[int] = set()
        self._seen: set[int] = set()
        self._keep: list[yaml.Node] = []  # keeps ids of nodes unique while we count
        self._repeated = 0
        self._including: tuple[str, ...] = ()

    def plant(self, file: str, text: str) -> Tree | None:
        """The tree of the spec itself; None for an empty text. Raises Stop."""
        self.folder = os.path.dirname(file)  # noqa: PTH120 a name, not a place on the disk
        source = Source(file, text.removeprefix("\ufeff"))
        node = compose(source)
        return None if node is None else self.grow(node, source, ())

    def grow(self, node: yaml.Node, source: Source, path: Path) -> Tree:
        """A node and all below it."""
        if id(node) in self._active:
            raise Stop(Problem("yaml-anchor", f"{path_text(path)}: this anchor contains itself", place(source, node)))
        if len(path) > DEEPEST:
            raise Stop(Problem("yaml", f"more than {DEEPEST} levels of nesting", place(source, node)))
        self._count(node, source)
        self._active.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._map(node, source, path)
            if isinstance(node, yaml.SequenceNode):
                return self._list(node, source, path)
            return self._scalar(node, source, path)
        finally:
            self._active.discard(id(node))

    def _count(self, node: yaml.Node, source: Source) -> None:
        """Anchors may repeat a part, not make a bomb of it."""
        self._repeated += id(node) in self._seen
        self._seen.add(id(node))
        self._keep.append(node)
        if self._repeated > 50_000:
            raise Stop(Problem("yaml-anchor", "anchors make more than 50,000 entries out of this text", place(source, node)))

    def _scalar(self, node: yaml.Node, source: Source, path: Path) -> Tree:
        tree = Tree(source, node)
        try:
            tree.value = scalar(node) if isinstance(node, yaml.ScalarNode) else None
        except Guess as why:
            tree.value = str(node.value)
            self.problems.append(Problem(why.kind, f"{path_text(path)}: {why.message}", place(source, node), why.hint))
        if _may_be_secret(path, str(node.value)):
            source.hide(node.start_mark.line, node.start_mark.column, node.end_mark.line, node.end_mark.column)
        return tree

    def _list(self, node: yaml.SequenceNode, source: Source, path: Path) -> Tree:
        children: list[Tree] = []
        for item in node.value:
            tree = self.grow(item, source, (*path, len(children)))
            spliced = isinstance(item, yaml.MappingNode) and tree.listed and _may_include(path)
            children += tree.children.values() if spliced and tree.children else [tree]
        return Tree(source, node, children=dict(enumerate(children)), listed=True)

    def _map(self, node: yaml.MappingNode, source: Source, path: Path) -> Tree:
        tree = Tree(source, node, children={})
        merged: list[tuple[yaml.Node, yaml.Node]] = []
        include: yaml.Node | None = None
        for key, value in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                merged += self._merge(value, source, path)
                continue
            name = self._key(key, source, path)
            if name == "include" and _may_include(path):
                include = value
            elif name is not None:
                self._adopt(tree, name, self.grow(value, source, (*path, name)), key, source, path)
        for key, value in merged:
            name = self._key(key, source, path)
            if name is not None and tree.children is not None and name not in tree.children:
                self._adopt(tree, name, self.grow(value, source, (*path, name)), key, source, path)
        return self._include(tree, include, path) if include else tree

    def _adopt(self, tree: Tree, name: str, child: Tree, key: yaml.Node | None, source: Source, path: Path) -> None:
        children = tree.children if tree.children is not None else {}
        if name in children:
            at, first = place(source, key or child.node), children[name].at_key()
            where = f"line {first.line}" if first.file == at.file else f"{first.file}, line {first.line}"
            self.problems.append(Problem("duplicate-key", f"{path_text((*path, name))} stands in {where} already", at))
            return
        child.key, child.key_source = key, source
        children[name] = child

    def _key(self, key: yaml.Node, source: Source, path: Path) -> str | None:
        if isinstance(key, yaml.ScalarNode) and key.value.strip():
            return str(key.value)
        message = (
            f"{path_text(path)}: a key is a word, not {'nothing' if isinstance(key, yaml.ScalarNode) else 'a list or a map'}"
        )
        self.problems.append(Problem("yaml-key", message, place(source, key)))
        return None

    def _merge(self, value: yaml.Node, source: Source, path: Path) -> list[tuple[yaml.Node, yaml.Node]]:
        """The entries of ``<<: *anchor`` (or of a list of them); the map's own entries win."""
        nodes = value.value if isinstance(value, yaml.SequenceNode) else [value]
        found: list[tuple[yaml.Node, yaml.Node]] = []
        for node in nodes:
            if not isinstance(node, yaml.MappingNode):
                at = place(source, node)
                self.problems.append(Problem("yaml-anchor", f"{path_text(path)}: << takes a map (*anchor)", at))
                continue
            if id(node) in self._active:
                raise Stop(Problem("yaml-anchor", f"{path_text(path)}: this anchor contains itself", place(source, node)))
            found += node.value
        return found

    # -- includes ----------------------------------------------------------------------------------------------------
    def _include(self, tree: Tree, names: yaml.Node, path: Path) -> Tree:
        home = tree.source
        for node in names.value if isinstance(names, yaml.SequenceNode) else [names]:
            if not isinstance(node, yaml.ScalarNode) or not node.value:
                message = f"{path_text(path)}: include takes the name of a file, or a list of them"
                self.problems.append(Problem("include", message, place(home, node)))
                continue
            source = self._read(node, home, path)
            if source is None:
                tree.incomplete = True
            elif node.value.lower().endswith(".csv") and path == ("mailboxes",):
                tree.rows.append(source)
            else:
                tree = self._join(tree, self._included(node, source, home, path), place(home, node), path)
        return tree

    def _read(self, node: yaml.ScalarNode, source: Source, path: Path) -> Source | None:
        name, at = str(node.value), place(source, node)
        try:
            data = self.reader.file(name)
            return Source(os.path.join(self.folder, name), data.decode("utf-8-sig"))  # noqa: PTH118 a name for messages
        except (OSError, ValueError) as why:
            self.problems.append(Problem("include", f"{path_text(path)}: {said(name, why)}", at))
            return None

    def _included(self, node: yaml.ScalarNode, source: Source, parent: Source, path: Path) -> Tree | None:
        if node.value in self._including:
            self.problems.append(Problem("include", f"{node.value} includes itself", place(parent, node)))
            return None
        self._including = (*self._including, str(node.value))
        try:
            root = compose(source)
            return None if root is None else self.grow(root, source, path)
        except Stop as why:
            self.problems.append(why.problem)
            return None
        finally:
            self._including = self._including[:-1]

    def _join(self, tree: Tree, found: Tree | None, at: At, path: Path) -> Tree:
        if found is None:
            tree.incomplete = True
            return tree
        if found.listed and not tree.children:
            return found
        if found.listed and tree.listed:
            tree.children = dict(enumerate([*(tree.children or {}).values(), *(found.children or {}).values()]))
            return tree
        if found.children is None or found.listed:
            self.problems.append(
                Problem("include", f"{path_text(path)}: this file holds a list or a word; a map belongs here", at)
            )
            return tree
        for name, child in found.children.items():
            self._adopt(tree, str(name), child, child.key, found.source if child.key_source is None else child.key_source, path)
        tree.rows += found.rows
        return tree


def _may_be_secret(path: Path, word: str) -> bool:
    """Whether a scalar may be a password or a hash: what stands in a mailbox under whatever name, and is no quota."""
    if path[:1] != ("mailboxes",) or len(path) < 2 or path[1] == "include" or isinstance(path[-1], int):
        return False
    return path[-1] not in ("quota", "enabled") and not re.fullmatch(r"\d+ ?[A-Za-z]{0,3}|true|false|on|off|yes|no|null|", word)


def _may_include(path: Path) -> bool:
    """Maps and lists at the top of the spec, and aliases' members. (``include`` of an SPF record is a field of its own.)"""
    return len(path) <= 1 or path[0] == "aliases" or (len(path) == 2 and isinstance(path[1], int))
