"""`nodeops address move`: from one server to another, and back again when the second half fails."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from nodeops.cli.address_run import AddressRun, Change, Errand, as_json, busy, is_address, one_port
from nodeops.engine.journal import RunInfo
from nodeops.errors import ApiError, FailedError, OutcomeUnknownError, RefusedError
from nodeops.model.addresses import (
    KEPT_FROM,
    KEPT_NAME,
    KEPT_OWNER,
    OF_SERVERS,
    AddressPort,
    FloatingIp,
    Kept,
    image_of,
    port_of,
)
from nodeops.model.facts import Server
from nodeops.plan import Plan, Risk

RUNBOOK = "address-move"
DETACH, MAKE, ATTACH, BACK, RESTORE = "detach-port", "make-port", "attach-port", "attach-back", "restore-port"
DETACH_SECONDS = 90.0
"""Nova waits for the guest to give the device back, eight times (`nova/virt/libvirt/driver.py`)."""
ATTACH_SECONDS = 60.0
TRIES = 5
"""To make a port with an address that is not free at once."""


@dataclass
class Move:
    """One move, as it was planned."""

    errand: Errand
    kept: Kept
    source: Server | None
    """Where it comes from, and goes back to."""
    target: Server
    nova_made: bool
    port_id: str
    attached: bool
    """Whether the source has it still; an earlier part of this run may have detached it."""

    @property
    def address(self) -> str:
        return self.kept.port.addresses[0] if self.kept.port.addresses else self.kept.port.id

    # -- the changes, in words

    def changes(self) -> list[Change]:
        port, target = self.kept.port, self.target
        found = []
        if self.source is not None and self.attached:
            words = f"detach port {port.id} ({', '.join(port.addresses)}) from server {self.source.name}"
            found.append(Change(DETACH, words, Risk.LIVE))
        if self.nova_made:
            words = (
                "Nova made this port and deletes it then: make an equal one with the same addresses and MAC"
            )
            found.append(Change(MAKE, f"{words}, which are free for a moment", Risk.LIVE))
        found.append(Change(ATTACH, f"attach it to server {target.name} ({target.id})", Risk.LIVE))
        if self.source is not None:
            found.append(Change(BACK, f"only if that fails: back to server {self.source.name}", Risk.LIVE))
        floating = ", ".join(each.address for each in self.kept.floating)
        parts = [
            f"DNS name {port.dns_name}" if port.dns_name else "",
            f"floating {floating}" if floating else "",
        ]
        kept = ", ".join(filter(None, [*parts, "security groups and allowed address pairs"]))
        found.append(Change(RESTORE, f"keep {kept}"))
        return found

    # -- making them

    def run(self, run: AddressRun) -> AddressPort:
        """Raises `FailedError` when it is back where it was, `OutcomeUnknownError` when it is nowhere."""
        if self.source is not None and self.attached:
            source = self.source
            run.make(DETACH, lambda: self._detach(source))
        if not self._is_on(self.target)():
            self._exists(run)
            try:
                run.make(ATTACH, lambda: self._attach(self.target))
            except ApiError as error:
                self._back(run, error)
        run.make(RESTORE, self._restore)
        found = self.errand.world.port(self.port_id)
        if found is None or found.device_id != self.target.id:
            raise OutcomeUnknownError(
                f"address {self.address}: port {self.port_id} is not on server {self.target.name} any more",
                hint="Somebody else changed it: nodeops address show tells where it is.",
            )
        return found

    def _detach(self, source: Server) -> None:
        world = self.errand.world
        world.detach(source.id, self.port_id)

        def gone() -> bool:
            port = world.port(self.port_id)
            return port is None or not port.device_id

        if not self.errand.until(gone, DETACH_SECONDS):
            raise FailedError(
                f"address {self.address}: nova did not detach it from server {source.name} within "
                f"{DETACH_SECONDS:.0f} s",
                hint="The guest may hold on to the device; nodeops address show tells where it is.",
            )

    def _exists(self, run: AddressRun) -> None:
        """The port itself or its equal, without what Nova would stumble over."""
        world = self.errand.world
        found = world.port(self.port_id)
        if found is None:
            found = run.make(MAKE if self.nova_made else ATTACH, self._made_anew)
            self.port_id = found.id
            run.note(f"port {found.id} took the place of {self.kept.port.id}")
        if found.device_id:
            world.update_port(found.id, {"device_id": "", "device_owner": ""})
        if found.dns_name:
            # Nova refuses a port whose name is not the server's (`_validate_requested_port_ids`).
            world.update_port(found.id, {"dns_name": ""})

    def _made_anew(self) -> AddressPort:
        for left in range(TRIES, 0, -1):
            try:
                return self.errand.world.create_port(self.kept.wanted())
            except ApiError as error:
                taken = error.status == HTTPStatus.CONFLICT
                made = self._made_in_spite() if taken or error.ambiguous else None
                if made is not None:
                    return made
                if left == 1 or not (taken or error.ambiguous):
                    raise OutcomeUnknownError(
                        f"address {self.address}: its port is deleted and no equal one can be made: "
                        f"{error.message}",
                        hint="The same command again goes on; what the port was is in the journal.",
                    ) from error
                self.errand.clock.sleep(1.0)
        raise AssertionError

    def _made_in_spite(self) -> AddressPort | None:
        """What an answer that was lost has made."""
        ports = self.errand.world.ports_with(self.address)
        return next((port for port in ports if port.free and port.mac == self.kept.port.mac), None)

    def _attach(self, server: Server) -> None:
        world = self.errand.world
        try:
            world.attach(server.id, self.port_id)
        except ApiError as error:
            if not error.ambiguous or not self.errand.until(self._is_on(server), ATTACH_SECONDS):
                raise
        if not self.errand.until(self._is_on(server), ATTACH_SECONDS):
            raise ApiError(f"server {server.name} ({server.id}): nova attached the port, and it is not there")

    def _is_on(self, server: Server) -> "_IsOn":
        return _IsOn(self, server.id)

    def _back(self, run: AddressRun, error: ApiError) -> None:
        """To where it was; always raises."""
        source = self.source
        if source is None:
            run.settled = True
            self._restore()
            raise FailedError(
                f"address {self.address} is free as before: {error.message}", hint=error.hint
            ) from error
        try:
            run.make(BACK, lambda: self._attach(source))
            run.make(RESTORE, self._restore)
        except ApiError as second:
            raise OutcomeUnknownError(
                f"address {self.address} is on no server: {error.message}; on the way back: {second.message}",
                hint=f"Its port is {self.port_id}; the same command again goes on.",
            ) from second
        run.settled = True
        raise FailedError(
            f"address {self.address} is back on server {source.name}: {error.message}", hint=error.hint
        ) from error

    def _restore(self) -> None:
        """What Nova and Neutron drop on the way: name, floating addresses, tags."""
        world, port = self.errand.world, self.kept.port
        found = world.port(self.port_id)
        if found is None:
            return
        wanted = port.dns_name or port.tagged(KEPT_NAME)
        if wanted and found.dns_name != wanted:
            world.update_port(self.port_id, {"dns_name": wanted})
        for each in self.kept.floating:
            now = world.floating(each.address)
            if now is not None and now.port_id != self.port_id:
                world.associate(each.id, self.port_id, each.fixed_address)
        tags = [tag for tag in port.tags if not tag.startswith((KEPT_FROM, KEPT_OWNER, KEPT_NAME))]
        if sorted(tags) != sorted(found.tags):
            world.tag_port(self.port_id, tags)


@dataclass(frozen=True, slots=True)
class _IsOn:
    move: Move
    server_id: str

    def __call__(self) -> bool:
        found = self.move.errand.world.port(self.move.port_id)
        return found is not None and found.device_id == self.server_id


def move(errand: Errand, word: str, server_word: str) -> None:
    """`word` is an address or a port's id."""
    world = errand.world
    target = world.server(server_word)
    before = errand.unfinished(word)
    ports = world.ports_with(word) if is_address(word) else tuple(filter(None, [world.port(word)]))
    port = one_port(ports, word) if ports else None
    planned = _going_on(errand, before, port, target)
    if planned is None:
        port = one_port(ports, word)
        if port.device_id == target.id:
            errand.result("move", [port], changed=False, words=f"{word} is on server {target.name} already")
            return
        planned = _planned(errand, port, target)
    _refuse(planned)
    plan = _plan(planned, word)
    if not errand.agreed(plan, f"move {word} to server {target.name}?"):
        errand.result("move", [port] if port else [], changed=False, words="nothing was changed")
        return
    with errand.running(plan) as run:
        found = planned.run(run)
    errand.result("move", [found], changed=True, words=f"{word} is on server {target.name}")


def _going_on(
    errand: Errand, before: RunInfo | None, port: AddressPort | None, target: Server
) -> Move | None:
    """What a run that was cut off has left: a port that is free, deleted, or attached and no more.

    None when there is no such run.
    """
    image = before.plan.options.get("port") if before and before.runbook == RUNBOOK else None
    somewhere = port is not None and port.device_id not in {"", target.id}
    if before is None or not isinstance(image, dict) or somewhere:
        return None
    errand.say(f"going on with run {before.id}")
    said: Any = before.plan.options.get("floating") or ()
    floating = tuple(FloatingIp(id_, address, fixed, "") for id_, address, fixed in said)
    was = port_of(image)
    network = errand.world.network(was.network_id)
    return Move(
        errand,
        Kept(was, floating, network.automatic_subnets),
        errand.world.server_by_id(was.device_id) if was.device_id else None,
        target,
        nova_made=port is None,
        port_id=was.id if port is None else port.id,
        attached=False,
    )


def _source(errand: Errand, port: AddressPort) -> Server | None:
    if port.device_id and not port.device_owner.startswith(OF_SERVERS):
        raise RefusedError(
            f"port {port.id} belongs to {port.device_owner} {port.device_id}, and to no server",
            hint="Only addresses of servers, and free ones, are moved.",
        )
    return errand.world.server_by_id(port.device_id) if port.device_id else None


def _planned(errand: Errand, port: AddressPort, target: Server) -> Move:
    source = _source(errand, port)
    network = errand.world.network(port.network_id)
    kept = Kept(port, errand.world.floating_of([port.id]), network.automatic_subnets)
    nova_made = source is not None and errand.nova_made(port, source)
    return Move(errand, kept, source, target, nova_made, port.id, attached=source is not None)


def _refuse(planned: Move) -> None:
    touched = (planned.source if planned.attached else None, planned.target)
    for server in filter(None, touched):
        if words := busy(server):
            raise RefusedError(words, hint="Wait until it has ended: nodeops watch SERVER --until task=none.")
    port, target = planned.kept.port, planned.target
    if port.project_id != target.project_id:
        raise RefusedError(
            f"port {port.id} is of project {port.project_id}, server {target.name} of {target.project_id}",
            hint="Nova attaches only ports of the server's own project.",
        )


def _plan(planned: Move, word: str) -> Plan:
    kept = planned.kept
    floating = [[each.id, each.address, each.fixed_address] for each in kept.floating]
    return planned.errand.plan(
        RUNBOOK,
        word,
        planned.changes(),
        port=as_json(image_of(kept.port)),
        server=planned.target.id,
        floating=as_json(floating),
    )
