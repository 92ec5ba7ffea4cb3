"""What a trace costs beside grep: 2 GB of logs on 5 hosts, the same files, as many hosts at once.

    .venv/bin/python bench/trace.py [--gigabytes 2] [--hosts 5] [--folder DIR] [--rounds 3]

Each host has four logs, in the order of time, of some services; a live migration left its lines on two hosts,
and on the one of the control plane, where Neutron has its own request. The hosts are folders of this machine,
searched by the very command that goes over SSH. Both are measured `rounds` times in turn, files in the page
cache, and the best of each counts. Besides, the whole command as an operator gives it, and a trace whose time
is known. Target: a trace takes no more than 1.5 times as long as `grep -F` of the same files. Exits 1 when
missed, or when a line was not found.
"""

import argparse
import datetime as dt
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from nodeops.clients.logs import HostLogs
from nodeops.clients.shell import Shell, login_of
from nodeops.gather.trace import AT_ONCE, Asking, Named, gather_trace
from nodeops.inventory import Inventory, load
from nodeops.model.story import Story, tell

TARGET = 1.5
OWN, OTHER, CHILD = (f"req-{digit * 8}-7d09-4327-8067-e4b8fd5a99ba" for digit in "abc")
SERVER = "79ca94e9-1d5f-4b7e-8d34-8a5b6b0fd2c1"
LOGS = ("nova-compute.log", "nova-compute.log.1", "neutron-agent.log", "libvirt.log")
BEGIN = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
BLOCK = 64 * 1024
WHY = "Live Migration failure: unable to connect to server at 'c02:16509': Connection refused"
PLANTED = 40
"""Lines of the request in each log that has any."""


def block(stamp: bytes, module: str) -> bytes:
    """Some lines of one second."""
    line = (
        f"TIME 7 INFO {module} [None {OTHER} u p - - d d] [instance: {SERVER[::-1]}] Nothing happened here\n"
    )
    debug = f"TIME 7 DEBUG {module} [-] Lock acquired by something waited 0.000s inner source.py:402\n"
    both = (line + debug).encode()
    return (both * (BLOCK // len(both))).replace(b"TIME", stamp)


def planted(stamp: bytes, host: int) -> bytes:
    text = stamp.decode()
    ids = f"{OWN} {CHILD}" if host == 0 else f"None {OWN}"
    words = WHY if host == 1 else "Taking part in the live migration"
    level = "ERROR" if host == 1 else "INFO"
    line = f"{text} 7 {level} nova.compute.manager [{ids} u p - - d d] [instance: {SERVER}] {words}\n"
    return (line * PLANTED).encode()


def write_logs(folder: Path, hosts: int, size: int) -> list[list[Path]]:
    """Each host's files."""
    each = size // (hosts * len(LOGS))
    made = []
    for host in range(hosts):
        (folder / f"c{host:02}").mkdir(parents=True, exist_ok=True)
        files = [folder / f"c{host:02}" / name for name in LOGS]
        for file in files:
            write_log(file, each, host if file.name == LOGS[0] and host <= 2 else None)  # noqa: PLR2004 - of c00 to c02
        made.append(files)
    return made


def write_log(file: Path, size: int, host: int | None) -> None:
    blocks = max(1, size // BLOCK)
    with file.open("wb") as out:
        for number in range(blocks):
            at = BEGIN + dt.timedelta(seconds=number * 86_400 / blocks)
            stamp = at.strftime("%Y-%m-%d %H:%M:%S.000").encode()
            out.write(block(stamp, "nova.compute.manager"))
            if host is not None and number == blocks * 3 // 5:
                out.write(planted(stamp, host))


def inventory(folder: Path, hosts: int) -> Path:
    lines = ["[all]"]
    for host in range(hosts):
        place = folder / f"c{host:02}"
        lines.append(f"c{host:02} ansible_connection=local nodeops_logs={place}/*.log*")
    file = folder / "inventory.ini"
    file.write_text("\n".join(lines) + "\n")
    return file


def grep(files: list[list[Path]]) -> int:
    """Lines found; each host by a grep of its own, as many at once as a trace asks."""

    def one(paths: list[Path]) -> int:
        found = subprocess.run(
            ["grep", "-h", "-F", OWN, *map(str, paths)], stdout=subprocess.PIPE, check=False
        )
        return found.stdout.count(b"\n")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return sum(pool.map(one, files))


def trace(places: Inventory, since: float | None = None) -> Story:
    with closing(HostLogs(places, lambda place: Shell(login_of(place)))) as logs:
        return tell(gather_trace(Named(OWN, ((OWN, ""),)), Asking(logs, None, since=since)))


def command(file: Path) -> str:
    """The whole command, without a cloud."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
    argv = [str(Path(sys.executable).with_name("nodeops")), "--inventory", str(file), "trace", OWN]
    ended = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    return ended.stdout or ended.stderr


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main() -> int:
    """Return the exit code."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--gigabytes", type=float, default=2.0)
    options.add_argument("--hosts", type=int, default=5)
    options.add_argument("--folder", type=Path, default=None)
    options.add_argument("--rounds", type=int, default=3)
    said = options.parse_args()
    with tempfile.TemporaryDirectory(dir=said.folder) as where:
        folder = Path(where)
        files = write_logs(folder, said.hosts, int(said.gigabytes * 1024**3))
        size = sum(file.stat().st_size for each in files for file in each)
        file = inventory(folder, said.hosts)
        places = load(file)
        known = (BEGIN + dt.timedelta(hours=14)).timestamp()
        pairs = [(seconds(lambda: grep(files)), seconds(lambda: trace(places))) for _ in range(said.rounds)]
        by_grep, by_trace = (min(taken) for taken in zip(*pairs, strict=True))
        whole, short = seconds(lambda: command(file)), seconds(lambda: trace(places, known))
        story, told = trace(places), command(file)
        lines = sum(len(found.lines) for found in story.facts.found)
        expected = grep(files)
    ratio = by_trace / by_grep
    print(f"{size / 1024**3:.2f} GiB in {sum(map(len, files))} files of {said.hosts} hosts")
    print(f"grep -F              {by_grep:6.2f} s   {expected} lines")
    print(f"trace                {by_trace:6.2f} s   {lines} lines, ratio {ratio:.2f}, target {TARGET}")
    print(f"the whole command    {whole:6.2f} s   ratio {whole / by_grep:.2f}")
    print(f"trace, time known    {short:6.2f} s   ratio {short / by_grep:.2f}")
    right = story.diagnosis is not None and story.diagnosis.name == "libvirt-unreachable" and lines >= 3  # noqa: PLR2004
    right = right and "means the target does not take the connection" in told
    print("the diagnosis is right" if right else f"WRONG: {story.diagnosis}")
    return 0 if right and ratio <= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
