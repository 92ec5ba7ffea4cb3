"""Why a port could not follow its server."""

from nodeops.signatures.signature import Signature, failure, known

NETWORKS: tuple[Signature, ...] = (
    known(
        "network-agent-dead",
        r"Refusing to bind port (?P<port>\S+) (?:to|due to) dead agent",
        "the network agent on the target is dead: port {port} cannot be bound there",
        "neutron/plugins/ml2/drivers/mech_agent.py, bind_port",
        "nodeops doctor",
    ),
    known(
        "network-agent-missing",
        r"Port (?P<port>\S+) on network (?P<network>\S+) not bound, no agent of type (?P<kind>.+?) "
        r"registered on host (?P<host>\S+?)\.?(?:$|\s)",
        "{host} has no network agent of the kind {kind}: port {port} cannot be bound there",
        "neutron/plugins/ml2/drivers/mech_agent.py, bind_port",
        "openstack network agent list --host {host}",
    ),
    known(
        "binding-failed",
        r"Failed to bind port (?P<port>\S+) on host (?P<host>\S+) for vnic_type",
        "Neutron cannot bind port {port} on {host}: no live agent there serves its network and kind",
        "neutron/plugins/ml2/managers.py, bind_port",
        "openstack network agent list --host {host}",
    ),
    known(
        "network-events-missing",
        r"Tim(?:ed out|eout) waiting for (?:events: )?\[?[^\n]{0,12}?(?P<event>network-vif-\w+)",
        "Neutron never said {event}: the network agent did not wire the port in time",
        "nova/compute/manager.py, vif_plugging_timeout",
        "openstack network agent list --host HOST",
    ),
    known(
        "bridge-missing",
        r"Cannot get interface MTU on '(?P<bridge>[^']+)'|[Uu]nable to add (?:port \S+ to OVS )?bridge "
        r"(?P<other>\S+)|Network filter not found",
        "the host lacks a part of the guest's network: {bridge}{other}",
        "libvirt, virNetDevGetMTU",
        "nodeops host HOST logs",
    ),
    known(
        "no-addresses",
        r"No more IP addresses available(?: (?:for subnet|on network) (?P<net>\S+?)\.?(?:$|\s))?",
        "the network has no free address left {net}",
        "neutron_lib/exceptions, IpAddressGenerationFailure",
        "openstack ip availability show NETWORK",
    ),
    failure(
        "port-binding-failed",
        r"Binding failed for port (?P<port>[^\s,]+)|vif_type=?:?binding_failed|"
        r"Failed to (?:activate|delete) binding for port",
        "Neutron could not bind a port of it {port}; the log of neutron-server says why",
        "nova/exception.py, PortBindingFailed",
        "openstack network agent list --host HOST",
    ),
    failure(
        "vif-creation-failed",
        r"Virtual Interface creation failed|Failed to allocate (?:the )?network\(s\)",
        "its network was not ready in time, so the guest was not started",
        "nova/virt/libvirt/driver.py, _create_guest_with_network",
        "openstack network agent list --host HOST",
    ),
)
