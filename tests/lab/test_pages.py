"""The page for 3 a.m. works as it is written: every command of it, in its order."""

from tests.docs.commands_in import ROOT, Command, commands_in
from tests.lab.bed import Bed

PAGE = ROOT / "runbooks" / "planned-maintenance.md"
ASKS = {"drain", "undrain", "apply", "resume"}


def without_questions(command: Command) -> tuple[str, ...]:
    """As typed, with --yes where a person would be asked."""
    words = command.words[1:]
    return (*words, "--yes") if words[0] in ASKS and "--dry-run" not in words else words


def test_the_page_for_planned_maintenance(bed: Bed) -> None:
    names = bed.boot("c01", 3)
    emptied = False
    for command in commands_in(PAGE):
        done = bed.run(*without_questions(command))
        assert done.code == 0, f"{command}\n{done.out}{done.err}"
        if command.words[1:3] == ("status", "c01"):
            emptied = bed.servers("c01") == {}
    assert emptied
    assert set(bed.hosts_of(names).values()) == {"c01"}
