"""What a command has before it: terminal, inventory, journal, cloud; each opened when first used."""

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from nodeops import config
from nodeops.cli.globals import Globals
from nodeops.inventory import Inventory
from nodeops.log import conceal, debug_log
from nodeops.model.blackout import Way

if TYPE_CHECKING:
    from rich.console import Console

    from nodeops.clients.cloud import Cloud
    from nodeops.clients.databases import DatabaseRecords
    from nodeops.clients.machine import SshMachine
    from nodeops.clients.shell import Shell
    from nodeops.engine.clock import Clock
    from nodeops.engine.journal import Journal
    from nodeops.engine.signals import Stop
    from nodeops.gather.inquest import Patience
    from nodeops.model.facts import Server
    from nodeops.model.machine import Machine
    from nodeops.model.probing import Probe
    from nodeops.model.senses import PowerSwitch, Senses
    from nodeops.model.tracing import Logs
    from nodeops.model.world import World

SECRETS = frozenset({"password", "passcode", "token", "application_credential_secret"})


class Desk:
    """A context manager; what was opened is closed at its end."""

    def __init__(self, said: Globals) -> None:
        self.said = said
        for name in SECRETS & said.cloud.keys():
            conceal(str(said.cloud[name]))
        self._stack = ExitStack()
        self._inventory: Inventory | None = None
        self._journal: Journal | None = None
        self._cloud: Cloud | None = None
        self._machine: SshMachine | None = None
        self._aside = False
        self.accept_new = False
        """Take and write down the key of a host that was never seen."""

    @classmethod
    def of(cls, ctx: Any) -> Self:
        """With the global options of a command line."""
        said = ctx.find_root().obj
        return cls(said if isinstance(said, Globals) else Globals())

    @classmethod
    def of_completion(cls, ctx: Any) -> Self:
        """While the command line is still being typed: its options are parsed, not yet acted upon."""
        params = ctx.find_root().params
        cloud = {"cloud": params["os_cloud"]} if params.get("os_cloud") else {}
        return cls(Globals(cloud=cloud, journal=params.get("journal"), inventory=params.get("inventory")))

    def __enter__(self) -> Self:
        if self.said.verbosity:
            path = config.state_directory() / "debug.log"
            why_not = self._stack.enter_context(debug_log(path, wire=self.said.verbosity > 1))
            self.err().print(f"debug log: {why_not or path}", soft_wrap=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def inventory(self) -> Inventory:
        """Raises `ConfigurationError`."""
        if self._inventory is None:
            self._inventory = config.inventory(self.said.inventory, lab=_lab_inventory(self._cloud_name))
            for words in self._inventory.warnings:
                self.err().print(f"warning: {words}", soft_wrap=True)
        return self._inventory

    def journal(self) -> "Journal":
        """Raises `ConfigurationError`."""
        from nodeops.engine.journal import Journal

        if self._journal is None:
            self._journal = Journal.open(config.journal_url(self.said.journal, self.inventory()))
            self._stack.callback(self._journal.close)
        return self._journal

    def cloud(self) -> "Cloud":
        """Raises `AuthenticationError`, `ConfigurationError` or `ApiError`."""
        from nodeops.clients.cloud import connect

        if self._cloud is None:
            # Else the libraries' warnings come on stderr between our words.
            logging.getLogger().addHandler(logging.NullHandler())
            _find_lab(self._cloud_name)
            self._cloud = connect(self.said.cloud)
            self._stack.callback(self._cloud.close)
            self._cloud.use_records(self._databases())
        return self._cloud

    def _databases(self) -> "DatabaseRecords":
        """Nothing is opened before it is asked, and an address that is missing is told of then."""
        from nodeops.clients.databases import DatabaseRecords

        def url(name: str, host: str) -> str | None:
            return config.database_url(name, self.inventory().place(host))

        databases = DatabaseRecords(url)
        self._stack.callback(databases.close)
        return databases

    def requests(self) -> int:
        """HTTP requests so far, those for the token included."""
        return 0 if self._cloud is None else self._cloud.traffic.requests

    def world(self) -> "World":
        """The same cloud, as runbooks and actions know it."""
        return self.cloud()

    def now(self) -> float:
        """The cloud's time, seconds since the epoch."""
        return self.cloud().now()

    def senses(self) -> "Senses":
        """What can be asked of hosts themselves."""
        from nodeops.clients.senses import HostSenses

        return HostSenses(self.inventory())

    def power_switch(self) -> "PowerSwitch":
        """What powers hosts off and on."""
        from nodeops.clients.senses import HostSenses

        return HostSenses(self.inventory())

    def shell(self, host: str) -> "Shell":
        """A host's own, by Nova's name, not yet opened; outside the inventory its name is its address.

        Raises `ConfigurationError`.
        """
        from nodeops.clients.shell import Shell, login_of
        from nodeops.inventory import Place

        place = self.inventory().place(host) or Place(host, host, host)
        return Shell(login_of(place, accept_new=self.accept_new))

    def probe(self, way: Way, servers: "Sequence[Server]") -> "Probe | None":
        """What measures the blackout of these servers when they move."""
        from nodeops.clients.blackout import LibvirtProbe, PingProbe, ping_addresses

        if way is Way.PING:
            return PingProbe(*ping_addresses(servers))
        return LibvirtProbe(self.shell) if way is Way.LIBVIRT else None

    def machine(self) -> "Machine":
        """Hosts over SSH, as machines."""
        from nodeops.clients.machine import SshMachine

        if self._machine is None:
            self._machine = SshMachine(self.shell, self.inventory().place)
            self._stack.callback(self._machine.close)
        return self._machine

    def logs(self, connect_seconds: float = 6.0) -> "Logs | None":
        """Those of the inventory's hosts; None without one."""
        from nodeops.clients.logs import HostLogs
        from nodeops.clients.shell import Shell, login_of

        if not self.inventory().places:
            return None
        logs = HostLogs(
            self.inventory(), lambda place: Shell(login_of(place), connect_seconds=connect_seconds)
        )
        self._stack.callback(logs.close)
        return logs

    def patience(self) -> "Patience":
        """How long the signs of a host's life are waited for."""
        from nodeops.gather.inquest import Patience

        return Patience()

    def clock(self, stop: "Stop") -> "Clock":
        """What a run tells the time by."""
        from nodeops.engine.clock import SystemClock

        return SystemClock(stop)

    def out(self) -> "Console":
        """Where data goes."""
        from nodeops.report.console import console

        return console(sys.stderr if self._aside else sys.stdout, colour=self.said.colour)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """What is shown meanwhile is on the way to the result, and goes to stderr."""
        self._aside = True
        try:
            yield
        finally:
            self._aside = False

    @property
    def _cloud_name(self) -> str:
        return str(self.said.cloud.get("cloud") or os.environ.get("OS_CLOUD") or "")

    def err(self) -> "Console":
        """Where progress and questions go."""
        from nodeops.report.console import console

        return console(sys.stderr, colour=self.said.colour)


def _find_lab(cloud: str) -> None:
    """A lab's cloud is known by its name alone; openstacksdk takes the file from its own variable."""
    if not cloud or os.environ.get("OS_CLIENT_CONFIG_FILE"):
        return
    from nodeops.lab.layout import lab_cloud_config

    found = lab_cloud_config(cloud)
    if found is not None:
        os.environ["OS_CLIENT_CONFIG_FILE"] = str(found)


def _lab_inventory(cloud: str) -> Path | None:
    """What a lab's own inventory says of its hosts, when its cloud is the one that is chosen."""
    if not cloud:
        return None
    from nodeops.lab.layout import lab_cloud_config

    found, chosen = lab_cloud_config(cloud), os.environ.get("OS_CLIENT_CONFIG_FILE")
    if found is None or (chosen and Path(chosen).resolve() != found.resolve()):
        return None
    return found.with_name("inventory.ini")
