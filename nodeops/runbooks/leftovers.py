"""Every kind of left-over that an audit knows: what is seen, whence it comes, and its safe repair."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LeftoverClass:
    """One kind."""

    name: str
    seen: str
    """What is seen, in words."""
    cause: str
    """The likely cause."""
    repair: str
    """What a person does, or what `--fix` does."""
    fixed: bool = False
    """Whether `--fix` does it."""
    needs_databases: bool = False
    serious: bool = True
    """False: said, and no reason for a bad exit code."""


CLASSES: Mapping[str, LeftoverClass] = {
    each.name: each
    for each in (
        LeftoverClass(
            "allocation-of-no-server",
            "Placement counts something on a host for a server that does not exist",
            "the server was deleted while its host was down, or nova-compute died while it was deleted",
            "the allocation is deleted, after Nova was asked once more",
            fixed=True,
        ),
        LeftoverClass(
            "allocation-elsewhere",
            "Placement counts a server on a host it is not on",
            "a migration was cut off, or the server's row was rewritten without Placement",
            "the part on the wrong host is removed; what is missing on the right one is put there",
            fixed=True,
        ),
        LeftoverClass(
            "allocation-missing",
            "Placement counts a server nowhere",
            "its allocation was deleted by hand, or by nova-manage placement audit after a rewrite",
            "nova-manage placement heal_allocations --instance SERVER",
        ),
        LeftoverClass(
            "allocation-of-evacuated",
            "a server that was evacuated is still counted on its old host",
            "the host has not come back: its nova-compute removes this when it starts",
            "nodeops readmit HOST, when it is back",
            serious=False,
        ),
        LeftoverClass(
            "moved-without-record",
            "a host has something of a server that is on another one, and no migration tells how it left",
            "its row was rewritten by hand, without a tombstone: the old host would keep its guest",
            "before anything else look on the old host: virsh list --all; a guest there is a second copy. "
            "Nothing of this server is changed by --fix until that is settled",
        ),
        LeftoverClass(
            "binding-left-over",
            "a port has an INACTIVE binding on a host its server is not on",
            "a live migration was cut off before Nova removed the binding of the other side",
            "the binding is deleted; with it there the next live migration to this host would fail. From "
            "2024.1 on Neutron lets only accounts with the role service do so",
            fixed=True,
        ),
        LeftoverClass(
            "port-elsewhere",
            "a port is bound on a host its server is not on",
            "the server's row was rewritten without Neutron, or a move was cut off",
            "Neutron binds it anew on the server's host, if an agent there is alive",
            fixed=True,
        ),
        LeftoverClass(
            "port-not-bound",
            "a port of a server on a host is unbound, or its binding failed",
            "the agent of the host was dead when it was asked to bind, or has no such physical network",
            "Neutron binds it anew, if an agent there is alive",
            fixed=True,
        ),
        LeftoverClass(
            "port-of-no-server",
            "a port belongs to a server that does not exist",
            "the server was deleted while Neutron did not answer; the port was not made by Nova",
            "openstack port set --device '' --device-owner '' PORT, or openstack port delete PORT",
        ),
        LeftoverClass(
            "attachment-of-no-server",
            "Cinder has a volume attached to a server that does not exist",
            "the server was deleted while Cinder did not answer, or its host was down",
            "the attachment is deleted, after Nova was asked once more",
            fixed=True,
        ),
        LeftoverClass(
            "attachment-dangling",
            "Cinder has an attachment that Nova's mapping of the server does not name",
            "a move, an attach or a detach was cut off; a hard reboot deletes it too",
            "the attachment is deleted, unless Nova names it by then",
            fixed=True,
        ),
        LeftoverClass(
            "attachment-missing",
            "Nova names a volume, and Cinder has no such attachment",
            "the attachment was deleted behind Nova's back; the next hard reboot would drop the volume",
            "nodeops reattach SERVER",
        ),
        LeftoverClass(
            "attachment-elsewhere",
            "a volume is attached to its server on another host",
            "the server's row was rewritten, or a move was cut off; an iSCSI or FC volume cannot be used so",
            "nodeops reattach SERVER",
        ),
        LeftoverClass(
            "attachment-not-complete",
            "a volume of a server on a host is not attached, but reserved, attaching or in error",
            "an attach, a detach or a move was cut off",
            "nodeops reattach SERVER",
        ),
        LeftoverClass(
            "volume-doubled",
            "Nova has two mappings of one volume to one server",
            "an attach was repeated while the message bus was disturbed",
            "look which one is connected; the other row is set deleted by hand",
            needs_databases=True,
        ),
        LeftoverClass(
            "host-unknown",
            "a server is on a host that has no compute service of exactly this name",
            "its row was rewritten with another spelling, or the service was deleted under it",
            "nodeops failover by the database, or the row put right by hand: host, node and compute_id",
        ),
        LeftoverClass(
            "node-disagrees",
            "a server's hypervisor is not the one of its host",
            "its row was rewritten by host alone, as an old guide says",
            "put instances.node and compute_id right in the database; until then it cannot be migrated",
        ),
        LeftoverClass(
            "compute-id-disagrees",
            "a server's compute_id is not that of its host",
            "its row was rewritten without it",
            "nova-compute of the host heals it within a minute, when host and node are right",
            needs_databases=True,
        ),
        LeftoverClass(
            "migration-open",
            "a migration has not ended, and its server is in no task, or is gone",
            "nova-compute died while it moved the server",
            "restart nova-compute of both hosts; a row that stays open is set to error in the database",
        ),
        LeftoverClass(
            "tombstone-open",
            "a host is up, and an evacuation from it waits to be cleaned up there",
            "its nova-compute was not restarted since: the old copy may still run, a second one on one disk",
            "restart nova-compute there, look with virsh list --all, then nodeops readmit HOST",
        ),
        LeftoverClass(
            "tombstone-waiting",
            "a host is down, and servers were evacuated from it",
            "it has not come back",
            "nodeops readmit HOST, when it is back",
            serious=False,
        ),
        LeftoverClass(
            "count-disagrees",
            "nova-compute counts another number of servers on its host than there are",
            "it counts once a minute; if it stays so, rows were rewritten under it",
            "audit again after two minutes; then look for node-disagrees",
            serious=False,
        ),
        LeftoverClass(
            "task-stuck",
            "a server is in a task for more than an hour, and nothing works on it",
            "nova-compute was killed, or the message was lost",
            "its state is put back, which ends the task, where that is safe; nodeops states tells more",
            fixed=True,
        ),
    )
}
