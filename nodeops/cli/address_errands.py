"""`nodeops address show`, `keep`, `reserve` and `check`."""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from nodeops.cli import showing
from nodeops.cli.address_run import Change, Errand, as_json, busy, checked_address, is_address, one_port
from nodeops.cli.output import Format, document, text
from nodeops.cli.showing import Shown
from nodeops.clients.knock import Answer, knock
from nodeops.errors import (
    ApiError,
    FindingsError,
    GoneError,
    NotVerifiedError,
    RefusedError,
    TimedOutError,
)
from nodeops.model.addresses import KEPT_FROM, KEPT_NAME, KEPT_OWNER, AddressPort
from nodeops.model.facts import Server
from nodeops.plan import Risk
from nodeops.report.address_view import port_document, ports_markdown, ports_table
from nodeops.report.figures import count

RELEASE, TAG, MAKE, GIVE_BACK = "release-port", "tag-port", "make-port", "give-port-back"
LONGEST_LABEL = 63
"""Characters of a DNS name that Neutron takes (`neutron_lib/api/validators/dns.py`)."""


# -- show


def show(errand: Errand, word: str) -> None:
    """Of an address, fixed or floating, or of a server; what was kept from a deleted server too."""
    ports = _ports(errand, word)
    lines = [errand.line(port) for port in ports]
    shown = Shown(
        lambda: {"ports": [port_document(each) for each in lines]},
        lambda: ports_markdown(lines),
        lambda _width: [ports_table(lines)],
    )
    showing.show(errand.desk, errand.manner.output, shown)


def _ports(errand: Errand, word: str) -> Sequence[AddressPort]:
    world = errand.world
    if not is_address(word):
        kept = world.ports_tagged(KEPT_FROM + word)
        if kept:
            return kept
        server = world.server(word)
        found = {port.id: port for port in (*world.ports_of(server.id), *_kept_from(errand, server))}
        return tuple(found.values())
    address = checked_address(word)
    found_ports = world.ports_with(address)
    if found_ports:
        return found_ports
    floating = world.floating(address)
    if floating is None:
        raise GoneError(
            f"address {address}: no port and no floating address has it",
            hint=f"nodeops address rescue NETWORK {address} wins it back.",
        )
    port = world.port(floating.port_id) if floating.port_id else None
    if port is None:
        raise GoneError(
            f"floating address {address} belongs to no port", hint="openstack floating ip set --port PORT."
        )
    return (port,)


def _kept_from(errand: Errand, server: Server) -> tuple[AddressPort, ...]:
    return errand.world.ports_tagged(KEPT_FROM + server.id)


# -- keep


@dataclass(frozen=True, slots=True)
class Keeping:
    """What is done about one port of a server."""

    port: AddressPort
    nova_made: bool

    @property
    def tags(self) -> list[str]:
        port = self.port
        said = [f"{KEPT_FROM}{port.device_id}", f"{KEPT_OWNER}{port.device_owner}"]
        return [*port.tags, *said, *([f"{KEPT_NAME}{port.dns_name}"] if port.dns_name else [])]

    @property
    def words(self) -> str:
        where = f"port {self.port.id} ({', '.join(self.port.addresses)})"
        if self.nova_made:
            return f"take {where} from the server in Neutron's records: Nova then leaves it alone"
        return f"note the DNS name of {where} in its tags: Nova clears it; the port itself stays"

    @property
    def needed(self) -> bool:
        return self.nova_made or bool(self.port.dns_name)


def keep(errand: Errand, word: str, address: str | None, *, undo: bool) -> None:
    """Its ports outlive the server's deletion."""
    server = errand.world.server(word)
    if undo:
        _give_back(errand, server)
        return
    ports = errand.world.ports_of(server.id)
    if address is not None:
        wanted = checked_address(address)
        ports = (one_port([port for port in ports if wanted in port.addresses], wanted),)
    if words := busy(server):
        raise RefusedError(words, hint="Wait until it has ended: nodeops watch SERVER --until task=none.")
    keepings = [Keeping(port, errand.nova_made(port, server)) for port in ports]
    todo = [each for each in keepings if each.needed]
    if not todo:
        words = f"server {server.name}: nothing to do, its ports outlive it as they are"
        errand.result("keep", ports, changed=False, words=words)
        return
    changes = [Change(f"{RELEASE}-{each.port.id}", each.words) for each in todo]
    plan = errand.plan("address-keep", server.id, changes, ports=as_json([each.port.id for each in todo]))
    errand.say(
        f"delete server {server.name} soon after: until then Nova does not move these ports with it, and a "
        "hard reboot would leave them out"
    )
    if not errand.agreed(plan, f"keep {count(len(todo), 'port')} of server {server.name}?"):
        errand.result("keep", ports, changed=False, words="nothing was changed")
        return
    with errand.running(plan) as run:
        for each in todo:
            run.make(f"{RELEASE}-{each.port.id}", lambda each=each: _release(errand, each))  # type: ignore[misc]  # bound now
        found = [port for each in keepings if (port := errand.world.port(each.port.id)) is not None]
        bound = [
            port.id for each, port in zip(keepings, found, strict=False) if each.nova_made and port.device_id
        ]
        if len(found) < len(keepings) or bound:
            raise NotVerifiedError(
                f"server {server.name}: not all its ports were taken from it", hint="The same command again."
            )
    words = f"{count(len(ports), 'port')} of server {server.name} will outlive it; delete it now"
    errand.result("keep", found, changed=True, words=words)


def _release(errand: Errand, keeping: Keeping) -> None:
    """The tags first: killed in between, only a note is left."""
    _tag(errand, keeping.port, keeping.tags)
    if keeping.nova_made:
        errand.world.update_port(keeping.port.id, {"device_id": "", "device_owner": ""})


def _tag(errand: Errand, port: AddressPort, tags: Sequence[str]) -> None:
    try:
        errand.world.tag_port(port.id, sorted(set(tags)))
    except ApiError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        errand.say(
            f"port {port.id}: this Neutron has no tags; where it comes from is noted in the journal only"
        )


def _give_back(errand: Errand, server: Server) -> None:
    kept = [port for port in _kept_from(errand, server) if port.free]
    if not kept:
        errand.result("keep", [], changed=False, words=f"server {server.name}: no port was taken from it")
        return
    changes = [
        Change(f"{GIVE_BACK}-{port.id}", f"give port {port.id} ({', '.join(port.addresses)}) back to it")
        for port in kept
    ]
    plan = errand.plan("address-keep", server.id, changes, undo=True)
    if not errand.agreed(plan, f"give {count(len(kept), 'port')} back to server {server.name}?"):
        errand.result("keep", kept, changed=False, words="nothing was changed")
        return
    with errand.running(plan) as run:
        for port in kept:
            wanted = {"device_id": server.id, "device_owner": port.tagged(KEPT_OWNER)}
            run.make(
                f"{GIVE_BACK}-{port.id}",
                lambda port=port, wanted=wanted: _bind_again(errand, port, wanted),  # type: ignore[misc]  # bound now
            )
    found = [each for port in kept if (each := errand.world.port(port.id)) is not None]
    errand.result("keep", found, changed=True, words=f"{count(len(kept), 'port')} given back")


def _bind_again(errand: Errand, port: AddressPort, wanted: dict[str, str]) -> None:
    errand.world.update_port(port.id, wanted)
    ours = (KEPT_FROM, KEPT_OWNER, KEPT_NAME)
    _tag(errand, port, [tag for tag in port.tags if not tag.startswith(ours)])


# -- reserve


def reserve(errand: Errand, network_word: str, address: str | None, name: str | None) -> None:
    """A port that waits for a server."""
    world = errand.world
    network = world.network(network_word)
    wanted_address = None if address is None else checked_address(address)
    known = _reserved(errand, network.id, wanted_address, name)
    if known is not None:
        words = f"port {known.id} has {', '.join(known.addresses)} already and is free"
        errand.result("reserve", [known], changed=False, words=words)
        return
    body: dict[str, Any] = {"network_id": network.id, "name": name or ""}
    if wanted_address:
        body["fixed_ips"] = [{"ip_address": wanted_address}]
    words = f"make a port on network {network.name or network.id} with {wanted_address or 'any address'}"
    words += f", named {name}" if name else ""
    subject = wanted_address or name or network.id
    plan = errand.plan("address-reserve", subject, [Change(MAKE, words, Risk.SAFE)])
    if not errand.agreed(plan, f"reserve {subject}?"):
        errand.result("reserve", [], changed=False, words="nothing was changed")
        return
    with errand.running(plan) as run:
        run.settled = True
        made = run.make(MAKE, lambda: _make(errand, body, name))
    words = f"port {made.id} holds {', '.join(made.addresses)}: boot with --nic port-id={made.id}"
    errand.result("reserve", [made], changed=True, words=words)


def _reserved(errand: Errand, network_id: str, address: str | None, name: str | None) -> AddressPort | None:
    """What an earlier call has made. Raises `RefusedError` for an address that somebody uses."""
    if address is not None:
        holding = [port for port in errand.world.ports_with(address) if port.network_id == network_id]
        if holding and not holding[0].free:
            raise RefusedError(
                f"address {address} is used by {holding[0].device_owner} {holding[0].device_id}",
                hint=f"nodeops address show {address} tells more.",
            )
        return holding[0] if holding else None
    if name is None:
        return None
    return next((port for port in errand.world.ports_named(name, network_id) if port.free), None)


def _make(errand: Errand, body: dict[str, Any], name: str | None) -> AddressPort:
    """With the first label as its DNS name, where Neutron knows of such."""
    label = (name or "").split(".")[0]
    if not label or len(label) > LONGEST_LABEL:
        return errand.world.create_port(body)
    try:
        return errand.world.create_port(body | {"dns_name": label})
    except ApiError as error:
        if error.status != HTTPStatus.BAD_REQUEST or "dns_name" not in error.message:
            raise
        return errand.world.create_port(body)


# -- check


def check(word: str, port: int, seconds: float, output: Format) -> None:
    """One connection to what the operator names; raises unless it is answered."""
    address = checked_address(word)
    found = knock(address, port, seconds)
    words = {
        Answer.OPEN: f"{address} port {port} is open",
        Answer.REFUSED: f"{address} answers, and nothing listens on port {port}",
        Answer.SILENT: f"{address} port {port}: no answer within {seconds:g} s",
        Answer.UNREACHABLE: f"{address} cannot be reached from here: {found.words}",
    }[found.answer]
    ends = {Answer.OPEN: None, Answer.SILENT: TimedOutError(words)}
    error = ends.get(found.answer, FindingsError(words))
    if output is Format.JSON:
        held = {"address": address, "port": port, "answer": str(found.answer)}
        milliseconds = round(found.seconds * 1000, 1)
        document(held | {"milliseconds": milliseconds, "exit_code": error.exit_code if error else 0})
    elif error is None:
        text(f"{words}, answered in {found.seconds * 1000:.0f} ms\n")
    if error is not None:
        raise error
