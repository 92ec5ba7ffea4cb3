"""Ansible's INI inventory format: groups, hosts and variables, read as ansible-core reads them.

Behaviour: ansible-core 2.19, `plugins/inventory/ini.py`, `inventory/data.py`, `inventory/group.py`,
`inventory/helpers.py`. Held to it by `tests/unit/inventory/test_against_ansible.py`.
"""

import ast
import re
import shlex
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from nodeops.errors import ConfigurationError
from nodeops.inventory.ranges import hosts_of

ALL, UNGROUPED = "all", "ungrouped"
_SECTION = re.compile(r"\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?")
_GROUP_NAME = re.compile(r"([^:\]\s]+)\s*(?:#.*)?")
_KINDS = ("hosts", "children", "vars")


@dataclass(frozen=True, slots=True)
class Value:
    """A variable's value and the line it was written on."""

    value: Any
    line: int


@dataclass(slots=True)
class Group:
    """A section of the inventory with its own variables, before inheritance."""

    name: str
    line: int
    declared: bool = False
    """By `[name]` or `[name:children]`; `[name:vars]` alone does not make a group."""
    hosts: dict[str, None] = field(default_factory=dict)
    children: dict[str, int] = field(default_factory=dict)
    """Name -> the line that says so."""
    variables: dict[str, Value] = field(default_factory=dict)
    priority: int = 1
    """`ansible_group_priority`: among groups of one depth the highest wins."""


class Document:
    """A parsed inventory file.

    `groups` and `hosts` are in the order of the file. Errors are `ConfigurationError`s that name the file,
    the line and the reason, and never quote a value, which may be a secret.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.warnings: list[str] = []
        self.groups: dict[str, Group] = {
            ALL: Group(ALL, 0, declared=True),
            UNGROUPED: Group(UNGROUPED, 0, declared=True),
        }
        self.hosts: dict[str, dict[str, Value]] = {}
        self._parents: dict[str, list[str]] = {}
        self._depths: dict[str, int] = {}

    def fail(self, line: int, words: str, *, hint: str = "") -> NoReturn:
        """Raise the error that names this file and the line."""
        raise ConfigurationError(f"inventory {self.name}, line {line}: {words}", hint=hint)

    def warn(self, line: int, words: str) -> None:
        warning = f"inventory {self.name}, line {line}: {words}"
        if warning not in self.warnings:
            self.warnings.append(warning)

    def groups_of(self, host: str) -> list[Group]:
        """Its groups and theirs, weakest first."""
        names: set[str] = {ALL}
        queue = [group.name for group in self.groups.values() if host in group.hosts]
        while queue:
            name = queue.pop()
            if name not in names:
                names.add(name)
                queue += self._parents[name]
        return sorted((self.groups[name] for name in names), key=self._strength)

    def variables(self, host: str) -> Mapping[str, Value]:
        """What holds for a host: its groups' from `all` down to the deepest, then its own."""
        merged: dict[str, Value] = {}
        for group in self.groups_of(host):
            merged |= group.variables
        return merged | self.hosts[host]

    def settle(self) -> None:
        """Check what can only be known at the end of the file, and put every group below `all`."""
        for group in self.groups.values():
            if not group.declared:
                self.fail(
                    group.line,
                    f"section [{group.name}:vars] is about group {group.name}, which is not in this file",
                    hint=f"Add a section [{group.name}] with its hosts, or correct the name.",
                )
            for child, line in group.children.items():
                if child not in self.groups:
                    self.fail(
                        line,
                        f"section [{group.name}:children] names group {child}, which is not in this file",
                        hint=f"Add a section [{child}] with its hosts, or correct the name.",
                    )
        self._adopt()
        for host in self.hosts:
            self._settle_host(host)

    def _adopt(self) -> None:
        """Link children to parents, every group below `all`; refuse loops; measure depths."""
        self.groups[ALL].children.setdefault(UNGROUPED, 0)
        parents: dict[str, list[str]] = {name: [] for name in self.groups}
        for group in self.groups.values():
            for child in group.children:
                parents[child].append(group.name)
        for name in self.groups:
            if name != ALL and not parents[name]:
                self.groups[ALL].children[name] = 0
                parents[name].append(ALL)
        self._parents = parents
        self._measure()

    def _measure(self) -> None:
        """A group's depth is its longest way up to `all`; a group in a loop has none."""
        waits_for = {name: len(parents) for name, parents in self._parents.items()}
        ready = [name for name, number in waits_for.items() if not number]
        depths = dict.fromkeys(self.groups, 0)
        while ready:
            name = ready.pop()
            for child in self.groups[name].children:
                depths[child] = max(depths[child], depths[name] + 1)
                waits_for[child] -= 1
                if not waits_for[child]:
                    ready.append(child)
        self._depths = depths
        looped = {name for name, number in waits_for.items() if number}
        if looped:
            self._fail_for_loop(looped)

    def _fail_for_loop(self, looped: set[str]) -> NoReturn:
        """Going up from a group that waits for ever leads into the loop it waits for."""
        name, seen = min(looped), set[str]()
        while name not in seen:
            seen.add(name)
            name = next(parent for parent in self._parents[name] if parent in looped)
        parent = next(parent for parent in self._parents[name] if parent in looped)
        line = self.groups[parent].children[name] or self.groups[name].line
        self.fail(line, f"group {name} would be above and below group {parent}")

    def _strength(self, group: Group) -> tuple[int, int, str]:
        return self._depths[group.name], group.priority, group.name

    def _settle_host(self, host: str) -> None:
        """A host is in `ungrouped` exactly when it is in no other group."""
        others = {group.name for group in self.groups_of(host)} - {ALL, UNGROUPED}
        if others:
            self.groups[UNGROUPED].hosts.pop(host, None)
        else:
            self.groups[UNGROUPED].hosts[host] = None
        if host in self.groups:
            self.warn(self.groups[host].line, f"{host} is the name of a host and of a group")


def parse(lines: Iterable[str], name: str) -> Document:
    """Read the lines of the file called `name`. Raises `ConfigurationError`."""
    reader = _Reader(Document(name))
    for number, line in enumerate(lines, start=1):
        reader.line(number, line.strip())
    reader.document.settle()
    return reader.document


class _Reader:
    """Where in the file we are: a group, and what its section lists."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.group = document.groups[UNGROUPED]
        self.kind = "hosts"

    def line(self, number: int, text: str) -> None:
        if not text or text[0] in ";#":
            return
        section = _SECTION.fullmatch(text)
        if section:
            self._open(number, section[1], section[2] or "hosts")
        elif text.startswith("[") and text.endswith("]"):
            self.document.fail(
                number, f"{text} is no section", hint="A section is [group], without spaces inside."
            )
        else:
            {"hosts": self._host, "vars": self._variable, "children": self._child}[self.kind](number, text)

    def _open(self, number: int, name: str, kind: str) -> None:
        if kind not in _KINDS:
            self.document.fail(
                number,
                f"section [{name}:{kind}] is of no known kind",
                hint="Write :vars, :children or nothing.",
            )
        self.group = self.document.groups.setdefault(name, Group(name, number))
        self.group.declared |= kind != "vars"
        self.kind = kind

    def _host(self, number: int, text: str) -> None:
        try:
            pattern, *assignments = shlex.split(text, comments=True)
            names, port = hosts_of(pattern)
        except ValueError as error:
            self.document.fail(number, _plain(error))
        if not names:
            self.document.warn(number, f"{pattern} names no host")
        values = dict(self._assignment(number, word) for word in assignments)
        for name in names:
            self._add(number, name, port, values)

    def _add(self, number: int, name: str, port: int | None, values: Mapping[str, Value]) -> None:
        hosts, groups = self.document.hosts, self.document.groups
        if name not in hosts:
            hosts[name] = {"ansible_port": Value(port, number)} if port else {}
        self.group.hosts[name] = None
        # A name that is a group's as well: Ansible sets the variables of the group.
        variables = groups[name].variables if name in groups else hosts[name]
        variables.update(values)

    def _assignment(self, number: int, word: str) -> tuple[str, Value]:
        key, equals, value = word.partition("=")
        if not equals:
            self.document.fail(
                number,
                "a word after the host is no key=value",
                hint='A value with spaces is quoted: key="two words".',
            )
        return key, Value(self._typed(number, value), number)

    def _variable(self, number: int, text: str) -> None:
        key, equals, value = text.partition("=")
        if not equals:
            self.document.fail(number, "no key=value", hint="A :vars section holds one key=value a line.")
        typed = self._typed(number, value.strip())
        if key.strip() == "ansible_group_priority":
            self.group.priority = self._priority(number, typed)
        else:
            self.group.variables[key.strip()] = Value(typed, number)

    def _priority(self, number: int, value: Any) -> int:
        try:
            return int(value)
        except (TypeError, ValueError):
            self.document.fail(number, f"ansible_group_priority {value!r} is no whole number")

    def _child(self, number: int, text: str) -> None:
        found = _GROUP_NAME.fullmatch(text)
        if not found:
            self.document.fail(number, f"{text!r} is no group's name")
        self.group.children.setdefault(found[1], number)

    def _typed(self, number: int, text: str) -> Any:
        try:
            return typed(text)
        except (TypeError, MemoryError, RecursionError) as error:
            self.document.fail(number, f"no value: {_plain(error)}")


def typed(text: str) -> Any:
    """A Python literal where the text is one, else the text itself; on host lines and in :vars alike.

    Ansible's documentation says that `:vars` values stay strings; its code (`_parse_value`) says otherwise,
    and inventories are read by the code. `False` is a boolean, `false` is a string.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            return _plain_types(ast.literal_eval(text))
    except (ValueError, SyntaxError):
        return text


def _plain_types(value: Any) -> Any:
    """The types JSON knows, as Ansible keeps only those."""
    if isinstance(value, list | tuple | set):
        return [_plain_types(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain_types(item) for key, item in value.items()}
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, complex):
        return str(value)
    return "..." if value is ... else value


def _plain(error: BaseException) -> str:
    words = str(error) or type(error).__name__
    return words[:1].lower() + words[1:]
