"""A command group whose commands are imported when they are run, so that `--help` is instant."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup


@dataclass(frozen=True, slots=True)
class Entry:
    """A command that is known by name and one line of help before its module is imported."""

    name: str
    module: str
    help: str
    heading: str
    attribute: str = "app"
    parts: tuple[tuple[str, str], ...] = ()
    """Names and modules of groups below this one that live in modules of their own."""


class LazyGroup(TyperGroup):
    """Lists its `entries` from their one line of help; a module is imported only when its command is named.

    An entry whose module is not there is not listed.
    """

    entries: ClassVar[Sequence[Entry]] = ()

    def _known(self) -> dict[str, Entry]:
        return {entry.name: entry for entry in self.entries if find_spec(entry.module)}

    def list_commands(self, ctx: Any) -> list[str]:
        return [*self._known(), *super().list_commands(ctx)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        entry = self._known().get(cmd_name)
        if entry is None:
            return super().get_command(ctx, cmd_name)
        command = _load(entry.name, entry.module, entry.attribute)
        for name, module in entry.parts:
            if isinstance(command, TyperGroup) and name not in command.commands and find_spec(module):
                command.add_command(_load(name, module, "app"), name)
        self.commands.setdefault(entry.name, command)
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        known = self._known()
        if args and args[0] not in known:
            # The suggestion of near names is made from `commands`, which knows only what was imported.
            for name in known:
                self.get_command(ctx, name)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - typer passes it
        by_heading: dict[str, list[tuple[str, str]]] = {}
        for entry in self._known().values():
            by_heading.setdefault(entry.heading, []).append((entry.name, entry.help))
        for heading, rows in by_heading.items():
            with formatter.section(heading):
                formatter.write_dl(rows, col_max=12)


def _load(name: str, module: str, attribute: str) -> Any:
    command = typer.main.get_command(getattr(importlib.import_module(module), attribute))
    command.name = name
    return command
