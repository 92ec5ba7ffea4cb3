"""The page for 3 a.m. works as it is written: every command of it, in its order."""

from nodeops.lab.api_calls import mark
from tests.docs.commands_in import ROOT, Command, commands_in
from tests.lab.bed import Bed, kill
from tests.lab.dead_host import come_back, lose
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
    """From where it is done by hand; what is done on the host itself is for real hosts."""
    by_hand = PAGE.read_text().splitlines().index("## Before the window")
    commands = [command for command in commands_in(PAGE) if command.line > by_hand]
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


FAILED = ROOT / "runbooks" / "failed-node.md"


def by_the_api() -> list[Command]:
    """What stands before the database way."""
    lines = FAILED.read_text().splitlines()
    ends = lines.index("## When Nova will not")
    return [command for command in commands_in(FAILED) if command.line <= ends]


def answered(command: Command) -> tuple[str, ...]:
    """As typed, with --yes where a person would be asked: the death is proved."""
    words = command.words[1:]
    asks = words[0] in {"failover", "readmit"} or "--fence" in words
    return (*words, "--yes") if asks and "--dry-run" not in words else words


def test_the_page_for_a_failed_node(bed: Bed) -> None:
    """The lab's inventory has a fence command, so that its power is proof."""
    names = bed.boot("c01", 3)
    lose(bed, "c01")
    empty_at, back = [], False
    for command in by_the_api():
        if command.words[1] == "readmit" and not back:
            assert bed.run(*command.words[1:], **bed.reached).code == 5
            come_back(bed, "c01")
            back = True
        done = bed.run(*answered(command), **bed.reached)
        assert done.code == 0, f"{command}\n{done.out}{done.err}"
        if not bed.servers("c01"):
            empty_at.append(command.words[1])
    assert empty_at[0] == "failover"
    assert empty_at[-1] == "readmit"  # its dry run
    assert set(bed.hosts_of(names).values()) == {"c01"}
    assert bed.service("c01")["status"] == "enabled"
