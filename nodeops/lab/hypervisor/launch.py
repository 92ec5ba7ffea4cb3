"""Runs one nova-compute per simulated host: `python -m nodeops.lab.hypervisor.launch --state-dir DIR`.

One parent imports Nova once and forks each nova-compute, so that they share memory (about 60 MiB each instead
of 125). It keeps running what `condition.json` of each host asks for, starts again what died by itself, and
takes over what an earlier launcher left. They do not die with it unless it is told to stop (SIGTERM, SIGINT).
"""

import argparse
import gc
import importlib
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from nodeops.lab.hypervisor.compute_config import write_compute_config
from nodeops.lab.hypervisor.condition import read_condition
from nodeops.lab.hypervisor.places import STATE_DIR_VARIABLE, HostPlace
from nodeops.lab.hypervisor.process import compute_process, record_process
from nodeops.lab.hypervisor.settings import read_settings

TICK_SECONDS = 0.25
PRELOADED = (
    "nova.cmd.compute",
    "nova.compute.manager",
    "nova.servicegroup.drivers.db",
    "oslo_messaging._drivers.impl_rabbit",
    "kombu.transport.pyamqp",
    "keystoneauth1.loading",
)
"""What a nova-compute imports sooner or later: imported once, before it is forked."""
INTERVALS = {"sync_power_state_interval": 30, "update_resources_interval": 30}
"""Seconds. Nova's manager takes them over as it is imported, which is here before its file is read."""
FIRST_DELAY_SECONDS = 3.0
LONGEST_DELAY_SECONDS = 60.0


@dataclass
class Respite:
    """How long a host that keeps dying has to wait for its next start."""

    delay: float = 0.0
    not_before: float = 0.0

    def started(self, now: float) -> None:
        self.delay = min(max(FIRST_DELAY_SECONDS, self.delay * 2), LONGEST_DELAY_SECONDS)
        self.not_before = now + self.delay

    def runs(self, now: float) -> None:
        """Forget the past of one that has lived as long as its last respite: when it ends, it was ended."""
        if now >= self.not_before + self.delay:
            self.asked_for()

    def asked_for(self) -> None:
        """Forget the past: somebody stopped the host and starts it now."""
        self.delay = self.not_before = 0.0


@dataclass
class Launcher:
    """The parent of all nova-computes of one lab."""

    state_dir: Path
    stopping: bool = False
    _respites: dict[str, Respite] = field(default_factory=dict)

    def stop(self, _signal: int, _frame: FrameType | None) -> None:
        self.stopping = True

    def run(self) -> None:
        """Keep what is wanted running until told to stop, then end every nova-compute."""
        signal.signal(signal.SIGTERM, self.stop)
        signal.signal(signal.SIGINT, self.stop)
        while not self.stopping:
            self._reap()
            self._start_one()
            time.sleep(TICK_SECONDS)
        for place in self._places():
            if process := compute_process(place):
                process.kill()

    def _places(self) -> list[HostPlace]:
        return [HostPlace(self.state_dir, shape.name) for shape in read_settings(self.state_dir).hosts]

    def _start_one(self) -> None:
        """Start the first host that is wanted and does not run: one a tick, so that nothing stampedes."""
        now = time.monotonic()
        for place in self._places():
            respite = self._respites.setdefault(place.host, Respite())
            process = compute_process(place)
            if not read_condition(place).runs_compute:
                respite.asked_for()
                if process is not None:
                    process.kill()
            elif process is not None:
                respite.runs(now)
            elif now >= respite.not_before:
                respite.started(now)
                self._fork(place)
                return

    def _fork(self, place: HostPlace) -> None:
        arguments = write_compute_config(place, read_settings(self.state_dir))
        pid = os.fork()
        if pid == 0:
            become_compute(place, arguments)
        record_process(place, pid)
        say(f"nova-compute of {place.host} started as {pid}")

    def _reap(self) -> None:
        try:
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                say(f"process {found[0]} ended with {os.waitstatus_to_exitcode(found[1])}")
        except ChildProcessError:
            return


def say(text: str) -> None:
    """Write a line to the launcher's log, which is its standard error."""
    sys.stderr.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
    sys.stderr.flush()


def become_compute(place: HostPlace, arguments: list[str]) -> None:
    """Turn this forked process into the host's nova-compute; never returns."""
    os.environ["SPT_NOENV"] = "1"  # or the title overwrites what marks this process as the lab's
    import setproctitle  # noqa: PLC0415 - only in the lab's environment
    from nova.cmd import compute  # noqa: PLC0415 - imported by the parent already

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    place.log.parent.mkdir(parents=True, exist_ok=True)
    log = os.open(place.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    setproctitle.setproctitle(f"nova-compute {place.host} (nodeops lab {place.state_dir})")
    sys.argv = ["nova-compute", *arguments]
    status = 1
    try:
        compute.main()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    finally:
        os._exit(status)


def import_nova() -> None:
    """Import what every nova-compute needs, and put our driver where Nova looks for it."""
    sys.argv = sys.argv[:1]  # Nova's monkey_patch reads --config-file from the command line
    from nova import monkey_patch  # noqa: PLC0415 - has to come before everything else of Nova

    monkey_patch.patch(backend="threading")
    defaults = importlib.import_module("nova.conf").CONF
    for option, seconds in INTERVALS.items():
        defaults.set_default(option, seconds)
    for name in PRELOADED:
        importlib.import_module(name)
    importlib.import_module("nova.objects").register_all()
    importlib.import_module("os_vif").initialize()
    sys.modules["nova.virt.nodeops_lab"] = importlib.import_module("nodeops.lab.hypervisor.driver")
    gc.collect()
    gc.freeze()


def main() -> None:
    parser = argparse.ArgumentParser(prog="nodeops.lab.hypervisor.launch", description=__doc__)
    parser.add_argument("--state-dir", type=Path, required=True, help="the lab's state directory")
    options = parser.parse_args()
    os.environ[STATE_DIR_VARIABLE] = str(options.state_dir)
    import_nova()
    say("nova is imported")
    Launcher(options.state_dir).run()


if __name__ == "__main__":
    main()
