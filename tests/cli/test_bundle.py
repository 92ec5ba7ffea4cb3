"""Options declared once and shared by several commands."""

from dataclasses import dataclass
from typing import Annotated

import typer
from typer.testing import CliRunner

from nodeops.cli.bundle import bundled


@dataclass(frozen=True, slots=True)
class Speed:
    slow: Annotated[bool, typer.Option("--slow")] = False
    most: Annotated[int, typer.Option("--most", min=1)] = 3


app = typer.Typer()


@app.command()
@bundled
def go(host: str, speed: Speed, word: str = "x") -> None:
    typer.echo(f"{host} {speed.slow} {speed.most} {word}")


def said(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.output.strip()


def test_fields_are_options_with_their_defaults() -> None:
    assert said("c01") == (0, "c01 False 3 x")


def test_the_command_gets_the_object() -> None:
    assert said("c01", "--slow", "--most", "7", "--word", "y") == (0, "c01 True 7 y")


def test_what_typer_checks_is_checked() -> None:
    assert said("c01", "--most", "0")[0] == 2
