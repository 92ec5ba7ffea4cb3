"""The search for a request on a host: the very command that SSH would run, on files of this machine."""

import datetime as dt
import gzip
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from nodeops.clients.local_shell import LocalShell, StartedHere
from nodeops.clients.logs import OpenHost
from nodeops.clients.shell import Answer, Command
from nodeops.inventory import Place
from nodeops.model.tracing import Found, LogSource, SourceKind, Wanted

OWN = "req-2f922cba-7d09-4327-8067-e4b8fd5a99ba"
OTHER = "req-00000000-7d09-4327-8067-e4b8fd5a99ba"
SERVER = "79ca94e9-1d5f-4b7e-8d34-8a5b6b0fd2c1"
NOON = dt.datetime(2026, 11, 21, 12, 0, 0, tzinfo=dt.UTC).timestamp()


@dataclass
class FarShell:
    """This machine with another clock and zone."""

    skew: float = 0.0
    zone: float = 0.0
    started: list[Command] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)

    def start(self, command: Command) -> "FarProgram":
        self.started.append(command)
        return FarProgram(self, LocalShell("far").start(command))

    def close(self) -> None:
        pass

    def searches(self) -> list[dict[str, Any]]:
        return [question for question in self.asked if question["question"] == "log-search"]


@dataclass
class FarProgram:
    far: FarShell
    real: StartedHere
    host: str = "far"
    said: bytes = b""

    def send(self, data: bytes) -> None:
        question = json.loads(data.partition(b"\n")[2])
        self.far.asked.append(question)
        if question["question"] == "clock":
            told = json.dumps({"now": time.time() + self.far.skew, "offset": self.far.zone})
            mark = question["mark"]
            self.said = f"{mark}\n{told}{mark} 0\n".encode()
        else:
            self.real.send(data)

    def receive(self, seconds: float) -> bytes:
        said, self.said = self.said, b""
        return said or self.real.receive(seconds)

    def end(self) -> Answer:
        return self.real.end()

    def close(self) -> None:
        self.real.close()


def line(second: float, words: str, request: str = OWN, level: str = "INFO") -> str:
    at = dt.datetime.fromtimestamp(NOON + second, dt.UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:23]
    return f"{at} 7 {level} nova.compute.manager [None {request} u p - - d d] {words}"


def of_server(second: float, words: str) -> str:
    at = dt.datetime.fromtimestamp(NOON + second, dt.UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:23]
    return f"{at} 7 INFO nova.compute.manager [-] [instance: {SERVER}] {words}"


def look(folder: Path, wanted: Wanted, shell: FarShell | None = None, pattern: str = "*.log*") -> Found:
    source = LogSource(SourceKind.FILE, f"{folder}/{pattern}")
    place = Place("c01", "c01", "192.0.2.1", logs=(source,))
    return search(shell or FarShell(), place, wanted)


def search(shell: FarShell, place: Place, wanted: Wanted) -> Found:
    host = OpenHost(place, shell)
    try:
        return host.search(wanted)
    finally:
        host.close()


def words(found: Found) -> list[str]:
    return [each.words for each in found.lines]


def write(file: Path, lines: list[str], *, changed: float = NOON + 86_400) -> None:
    text = "\n".join(lines) + "\n"
    if file.suffix == ".gz":
        file.write_bytes(gzip.compress(text.encode()))
    else:
        file.write_text(text)
    os.utime(file, (changed, changed))


def test_only_lines_of_the_request_come_back(tmp_path: Path) -> None:
    write(tmp_path / "nova-compute.log", [line(0, "ours"), line(1, "theirs", OTHER), line(2, "ours too")])
    found = look(tmp_path, Wanted((OWN,)))
    assert words(found) == ["ours", "ours too"]
    assert {each.service for each in found.lines} == {"nova-compute"}
    assert found.begins == NOON


def test_rotated_and_packed_files_are_searched(tmp_path: Path) -> None:
    write(tmp_path / "nova-compute.log.2.gz", [line(0, "packed")])
    write(tmp_path / "nova-compute.log.1", [line(100, "rotated")])
    write(tmp_path / "nova-compute.log", [line(200, "new")])
    assert sorted(words(look(tmp_path, Wanted((OWN,))))) == ["new", "packed", "rotated"]


def test_a_traceback_comes_along_and_ends_where_it_ends(tmp_path: Path) -> None:
    bare = f"{line(0, '').partition(' 7 ')[0]} 7 ERROR nova.compute.manager"
    write(
        tmp_path / "nova-compute.log",
        [
            line(0, "failed", level="ERROR"),
            f"{bare} Traceback (most recent call last):",
            f"{bare} ValueError: no",
            line(1, "theirs", OTHER, "ERROR"),
            f"{bare} KeyError: theirs",
            "and theirs",
        ],
    )
    (only,) = look(tmp_path, Wanted((OWN,))).lines
    assert only.more == ("Traceback (most recent call last):", "ValueError: no")


def test_a_server_s_lines_count_within_the_time_only(tmp_path: Path) -> None:
    write(
        tmp_path / "nova-compute.log",
        [of_server(0, "before"), of_server(60, "during"), of_server(120, "after")],
    )
    wanted = Wanted((OWN,), (SERVER,), NOON + 30, NOON + 90)
    assert words(look(tmp_path, wanted)) == ["during"]


def test_a_part_of_a_long_log_is_found_by_its_time(tmp_path: Path) -> None:
    filler = [line(second, "x" * 200, OTHER) for second in range(6000)]
    filler[3000:3000] = [line(3000, "the one")]
    filler[10:10] = [line(10, "too early")]
    filler += [line(6001, "too late")]
    write(tmp_path / "nova-compute.log", filler)
    found = look(tmp_path, Wanted((OWN,), (), NOON + 2900, NOON + 3100))
    assert words(found) == ["the one"]


@pytest.mark.parametrize(("since", "until"), [(-100, 5), (5990, 7000), (0, 6000)])
def test_the_ends_of_a_long_log_are_not_lost(tmp_path: Path, since: float, until: float) -> None:
    lines = [line(second, f"at {second}", OWN if second in {0, 5999} else OTHER) for second in range(6000)]
    write(tmp_path / "nova-compute.log", [text + " " + "x" * 200 for text in lines])
    wanted = Wanted((OWN,), (), NOON + since, NOON + until)
    expected = [second for second in (0, 5999) if since - 1 <= second <= until + 1]
    assert [round(each.at - NOON) for each in look(tmp_path, wanted).lines] == expected


def test_what_was_written_last_before_the_time_is_not_opened(tmp_path: Path) -> None:
    write(tmp_path / "nova-compute.log.1", [line(0, "old")], changed=NOON + 10)
    write(tmp_path / "nova-compute.log", [line(100, "new")])
    found = look(tmp_path, Wanted((OWN,), (), NOON + 50))
    assert words(found) == ["new"]
    assert [Path(file.name).name for file in found.files] == ["nova-compute.log", "nova-compute.log.1"]


def test_a_host_s_zone_and_clock_are_taken_out(tmp_path: Path) -> None:
    write(tmp_path / "nova-compute.log", [line(2 * 3600 + 30, "there")])
    shell = FarShell(skew=30.0, zone=7200.0)
    wanted = Wanted((OWN,), (), NOON - 2, NOON + 2)
    found = look(tmp_path, wanted, shell)
    assert found.skew == pytest.approx(30.0, abs=0.5)
    (only,) = found.lines
    assert only.at == pytest.approx(NOON, abs=0.5)


def test_a_source_that_is_not_there_is_told(tmp_path: Path) -> None:
    found = look(tmp_path, Wanted((OWN,)), pattern="nothing*.log")
    assert found.missing == (f"{tmp_path}/nothing*.log",)
    assert found.lines == ()


def test_a_folder_may_have_spaces_in_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "it's here"
    folder.mkdir()
    write(folder / "nova-compute.log", [line(0, "ours")])
    assert words(look(folder, Wanted((OWN,)))) == ["ours"]


def test_what_looks_like_a_shell_command_is_none(tmp_path: Path) -> None:
    bait = tmp_path / "made"
    found = look(tmp_path, Wanted((f"$(touch {bait})", f"`touch {bait}`")), pattern=f"$(touch {bait})*.log")
    assert found.lines == ()
    assert not bait.exists()


def test_binary_rubbish_in_a_log_does_not_hide_its_lines(tmp_path: Path) -> None:
    (tmp_path / "nova-compute.log").write_bytes(b"\0\xff\n" + line(0, "ours").encode() + b"\n")
    assert words(look(tmp_path, Wanted((OWN,)))) == ["ours"]


def test_more_than_can_be_kept_is_cut_and_told(tmp_path: Path) -> None:
    write(tmp_path / "nova-compute.log", [line(second / 10, f"{second}") for second in range(3100)])
    found = look(tmp_path, Wanted((OWN,)))
    assert len(found.lines) == 3000
    assert found.cut


def test_the_same_in_two_logs_is_told_once(tmp_path: Path) -> None:
    for name in ("nova-compute.log", "all.log"):
        write(tmp_path / name, [line(0, "ours")])
    assert words(look(tmp_path, Wanted((OWN,)))) == ["ours"]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs that are found first."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def program(folder: Path, name: str, *lines: str) -> None:
    """One that notes its arguments and prints this."""
    printed = "\n".join(lines)
    (folder / name).write_text(
        f"#!/bin/sh\necho \"$@\" >> {folder}/{name}.asked\ncat <<'END'\n{printed}\nEND\n"
    )
    (folder / name).chmod(0o755)


def look_at(source: LogSource, wanted: Wanted) -> Found:
    return search(FarShell(), Place("c01", "c01", "192.0.2.1", logs=(source,)), wanted)


def test_a_journal_is_searched_within_the_time(programs: Path) -> None:
    program(programs, "systemctl", "nova-compute.service loaded active running x")
    begins = "1795262400.000001 c01 nova-compute[7]: "
    program(programs, "journalctl", begins + line(0, "ours"), begins + line(1, "theirs", OTHER))
    found = look_at(LogSource(SourceKind.JOURNAL, "nova-compute"), Wanted((OWN,), (), NOON - 10, NOON + 10))
    assert words(found) == ["ours"]
    asked = (programs / "journalctl.asked").read_text()
    assert f"--unit=nova-compute --since @{NOON - 10:.0f} --until @{NOON + 11:.0f}" in asked


def test_a_unit_that_is_not_there_is_missing(programs: Path) -> None:
    program(programs, "systemctl", "")
    program(programs, "journalctl", "")
    found = look_at(LogSource(SourceKind.JOURNAL, "nova-compute"), Wanted((OWN,)))
    assert found.missing == ("journal:nova-compute",)


@pytest.mark.parametrize("kind", [SourceKind.DOCKER, SourceKind.PODMAN])
def test_a_container_s_output_is_searched(programs: Path, kind: SourceKind) -> None:
    program(programs, kind, line(0, "ours"), line(1, "theirs", OTHER))
    found = look_at(LogSource(kind, "nova_compute"), Wanted((OWN,), (), NOON - 10))
    assert words(found) == ["ours"]
    assert found.lines[0].service == "nova-compute"
    assert f"logs --since {NOON - 10:.0f} nova_compute" in (programs / f"{kind}.asked").read_text()


def test_where_nothing_is_said_the_usual_places_are_looked_into_then_the_journal() -> None:
    shell = FarShell()
    search(shell, Place("c01", "c01", "192.0.2.1"), Wanted((OWN,), seconds=20.0))
    first, second = shell.searches()
    assert "/var/log/nova/*.log*" in first["sources"]
    assert second["sources"] == ["journal:nova-compute"]
    assert len(shell.started) == 1


def test_it_asks_as_root_and_nothing_that_was_asked_is_on_the_command_line(tmp_path: Path) -> None:
    shell = FarShell()
    look(tmp_path, Wanted((OWN,), seconds=7.0), shell)
    (command,) = shell.started
    assert command.sudo
    assert command.argv[:2] == ("python3", "-IS")
    assert OWN not in " ".join(command.argv)


def long_log(folder: Path) -> Path:
    """Long enough for grep, with lines of the request at second 40,000 and 60,000."""
    file = folder / "nova-compute.log"
    lines = [line(second, "x" * 100, OTHER) for second in range(70_000)]
    for second in (40_000, 60_000):
        lines[second] = line(second, f"at {second}")
    write(file, lines)
    return file


@pytest.mark.parametrize("broken", [False, True])
def test_a_long_log_is_searched_with_and_without_grep(
    tmp_path: Path, programs: Path, *, broken: bool
) -> None:
    file = long_log(tmp_path)
    write(tmp_path / "nova-api.log", [line(1, "of a short one")])
    if broken:
        (programs / "grep").write_text("#!/bin/sh\nexit 2\n")
        (programs / "grep").chmod(0o755)
    found = look(tmp_path, Wanted((OWN, "req-nobody")))
    assert words(found) == ["of a short one", "at 40000", "at 60000"]
    assert [each.size for each in found.files if each.name == str(file)] == [file.stat().st_size]


def test_what_grep_finds_is_where_a_long_log_begins(tmp_path: Path, programs: Path) -> None:
    file = long_log(tmp_path)
    place = file.read_bytes().index(line(60_000, "").encode())
    (programs / "grep").write_text(f"#!/bin/sh\nprintf '%s\\000{place}:rest\\n' '{file}'\n")
    (programs / "grep").chmod(0o755)
    assert words(look(tmp_path, Wanted((OWN,)))) == ["at 60000"]
