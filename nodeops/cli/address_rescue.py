"""`nodeops address rescue`: an address that no port has any more is won back.

Neutron is asked for the very address. Where its policy forbids that, ports are made until one has it; they
are named so that a run that was killed is cleaned up by the next one, and all but the right one are deleted.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from nodeops.cli.address_run import AddressRun, Change, Errand, checked_address
from nodeops.engine.signals import Stop
from nodeops.errors import ApiError, FailedError, ForbiddenError, InterruptedRunError, RefusedError
from nodeops.model.addresses import TRIAL, AddressPort, Net
from nodeops.plan import Risk

ASK, TRY, CLEAN = "ask-for-address", "try-for-address", "delete-trial-ports"
FULL = frozenset({HTTPStatus.CONFLICT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE})
"""Quota used up, or no address left on the network."""


def rescue(
    errand: Errand, network_word: str, word: str, name: str | None, tries: int, stop: Stop | None = None
) -> None:
    """Raises `FailedError` when the address could not be had; no port of ours is left then."""
    world, address = errand.world, checked_address(word)
    network = world.network(network_word)
    left = trial_ports(errand, network, address)
    holding = [port for port in world.ports_with(address) if port.network_id == network.id]
    if holding and holding[0].id not in {port.id for port in left}:
        _held(errand, holding[0], address)
        if not left:
            return
    plan = errand.plan("address-rescue", address, _changes(network, address, tries, len(left)))
    if not errand.agreed(plan, f"rescue {address}?"):
        errand.result("rescue", [], changed=False, words="nothing was changed")
        return
    with errand.running(plan) as run:
        run.settled = True
        found = _Rescue(errand, network, address, name, tries, stop).run(run)
    words = f"port {found.id} holds {address}: boot with --nic port-id={found.id}"
    errand.result("rescue", [found], changed=True, words=words)


def trial_ports(errand: Errand, network: Net, address: str) -> list[AddressPort]:
    """What a run that was killed has left."""
    return [port for port in errand.world.ports_named(TRIAL + address, network.id) if port.free]


def _held(errand: Errand, port: AddressPort, address: str) -> None:
    if not port.free:
        raise RefusedError(
            f"address {address} is used by {port.device_owner} {port.device_id}",
            hint=f"nodeops address show {address} tells more.",
        )
    errand.result("rescue", [port], changed=False, words=f"port {port.id} holds {address} and is free")


def _changes(network: Net, address: str, tries: int, left: int) -> list[Change]:
    where = network.name or network.id
    found = [Change(ASK, f"ask Neutron for a port on {where} with {address}", Risk.SAFE)]
    found.append(Change(TRY, f"only if its policy forbids that: make up to {tries} ports until one has it"))
    more = f", and the {left} that an earlier run has left" if left else ""
    return [*found, Change(CLEAN, f"delete all ports but that one{more}")]


class _Rescue:
    def __init__(
        self, errand: Errand, network: Net, address: str, name: str | None, tries: int, stop: Stop | None
    ) -> None:
        self._errand = errand
        self._network = network
        self._address = address
        self._name = name or ""
        self._tries = tries
        self._stop = stop

    def run(self, run: AddressRun) -> AddressPort:
        """The port; whatever happens, no other port of ours stays."""
        found: AddressPort | None = None
        try:
            found = self._asked_for(run)
            if found is None:
                found = run.make(TRY, self._tried)
        finally:
            keep = "" if found is None else found.id
            self._clean(run, keep)
        return self._errand.world.update_port(found.id, {"name": self._name})

    def _asked_for(self, run: AddressRun) -> AddressPort | None:
        """None where the policy forbids to ask for an address."""
        body = self._body() | {"fixed_ips": [{"ip_address": self._address}]}
        try:
            return run.make(ASK, lambda: self._errand.world.create_port(body))
        except ForbiddenError as error:
            self._errand.say(f"neutron gives no address that is asked for: {error.message}")
            return None
        except ApiError as error:
            if error.ambiguous and (made := self._with_it()) is not None:
                return made
            if error.status == HTTPStatus.CONFLICT:
                raise self._taken(error) from error
            raise

    def _tried(self) -> AddressPort:
        """Ports are kept until the end, else Neutron would give the same address again."""
        world = self._errand.world
        for number in range(1, self._tries + 1):
            if self._stop is not None and self._stop.number is not None:
                raise InterruptedRunError("rescue ended by a signal", signal_number=self._stop.number)
            try:
                made = world.create_port(self._body())
            except ApiError as error:
                if error.ambiguous and (found := self._with_it()) is not None:
                    return found
                if error.ambiguous:
                    continue
                if error.status in FULL:
                    raise FailedError(
                        f"address {self._address}: not met in {number - 1} ports: {error.message}",
                        hint="Raise the quota of ports for a while, or ask for it with an admin account.",
                    ) from error
                raise
            if self._address in made.addresses:
                return made
        raise FailedError(
            f"address {self._address}: not met in {self._tries} ports",
            hint="More --tries, or an account that may ask for an address.",
        )

    def _body(self) -> dict[str, Any]:
        return {"network_id": self._network.id, "name": TRIAL + self._address}

    def _with_it(self) -> AddressPort | None:
        mine = trial_ports(self._errand, self._network, self._address)
        return next((port for port in mine if self._address in port.addresses), None)

    def _taken(self, error: ApiError) -> RefusedError | FailedError:
        holding = self._errand.world.ports_with(self._address)
        who = f" by {holding[0].device_owner} {holding[0].device_id}" if holding else " by somebody unseen"
        return FailedError(
            f"address {self._address} is taken{who}: {error.message}",
            hint=f"nodeops address show {self._address} tells more.",
        )

    def _clean(self, run: AddressRun, keep: str) -> None:
        """Everything that bears our name but the one; tried once more when Neutron does not answer."""

        def delete() -> None:
            for port in trial_ports(self._errand, self._network, self._address):
                if port.id != keep:
                    self._twice(lambda port=port: self._errand.world.delete_port(port.id))  # type: ignore[misc]  # bound now

        run.make(CLEAN, delete)

    @staticmethod
    def _twice(delete: Callable[[], object]) -> None:
        try:
            delete()
        except ApiError:
            delete()
