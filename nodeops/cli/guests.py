"""What the hypervisor of a host says of its guests, for tasks that bring guests up."""

from nodeops.cli.desk import Desk
from nodeops.engine.signals import Stop
from nodeops.gather.guests import Guests
from nodeops.model.recovering import Past


def nova_past(desk: Desk) -> Past:
    from nodeops.clients.past import NovaPast

    return NovaPast(desk.cloud())


def guests_of(desk: Desk, host: str) -> Guests:
    """Over SSH where the inventory has the host."""
    from nodeops.clients.booted_host import FromHere, SshGuestHost

    inventory = desk.inventory()
    known = SshGuestHost(inventory, host) if inventory.place(host) else None
    return Guests(nova_past(desk), known, FromHere(), desk.clock(Stop()).now)
