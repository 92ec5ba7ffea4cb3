"""The page for 3 a.m. works as it is written: every command of it, in its order."""

from nodeops.lab.api_calls import mark
from tests.docs.commands_in import ROOT, Command, commands_in
from tests.lab.bed import Bed, kill
from tests.lab.test_interruptions import until_moving

PAGE = ROOT / "runbooks" / "planned-maintenance.md"
ASKS = {"drain", "undrain", "apply", "resume"}


def without_questions(command: Command) -> tuple[str, ...]:
    """As typed, with --yes where a person would be asked."""
    words = command.words[1:]
    return (*words, "--yes") if words[0] in ASKS and "--dry-run" not in words else words


def run(bed: Bed, command: Command) -> None:
    done = bed.run(*without_questions(command))
    assert done.code == 0, f"{command}\n{done.out}{done.err}"


def lose_the_terminal(bed: Bed) -> None:
    begin = mark(bed.root)
    process = bed.start("drain", "c01", "--yes")
    until_moving(bed, begin, 1, process)
    kill(process)


def test_the_page_for_planned_maintenance(bed: Bed) -> None:
    commands = commands_in(PAGE)
    trouble = [command.words[1] for command in commands].index("runs")
    names = bed.boot("c01", 3)
    empty_at = []
    for command in commands[:trouble]:
        run(bed, command)
        if not bed.servers("c01"):
            empty_at.append(command.words[1])
    assert empty_at == ["drain", "status"]
    assert set(bed.hosts_of(names).values()) == {"c01"}
    lose_the_terminal(bed)
    for command in commands[trouble:]:
        run(bed, command)
    assert bed.servers("c01") == {}
