"""Options of the commands that work on a lab that exists."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nodeops.cli.output import Format
from nodeops.errors import UsageError
from nodeops.lab import DEFAULT_NAME as DEFAULT_NAME  # noqa: PLC0414 - commands take it from here

if TYPE_CHECKING:
    from nodeops.lab.layout import Layout

Name = Annotated[str, typer.Option("--name", metavar="NAME", help="The lab, when there are several.")]
Directory = Annotated[
    Path | None,
    typer.Option(
        "--lab-dir", metavar="DIR", show_default=False, help="Where it is kept, when not by its name."
    ),
]
Output = Annotated[Format, typer.Option("-o", "--output", metavar="FORMAT", help="table or json.")]


def layout(name: str, directory: Path | None) -> "Layout":
    """Return the lab that is meant.

    Raises:
        ConfigurationError: there is none.
        UsageError: its name is none.

    """
    from nodeops.lab.layout import lab_dir, read_layout

    return read_layout(lab_dir(name, directory))


def simulated(name: str, directory: Path | None) -> "Layout":
    """Return the lab that is meant, whose hosts are simulated ones.

    Raises:
        ConfigurationError: there is none.
        UsageError: its name is none, or its hosts are real.

    """
    from nodeops.lab.options import read_options

    found = layout(name, directory)
    if read_options(found).real_hosts:
        raise UsageError(
            f"lab {found.name} has real hosts, and faults of hosts are ordered from simulated ones",
            hint="Faults of the APIs work there: `nodeops lab fault api`.",
        )
    return found
