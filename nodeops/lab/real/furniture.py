"""What a cloud of real hosts offers beside the usual: a guest that boots, a flat network."""

from typing import Any

from nodeops.lab.furniture import NETWORK, make_image
from nodeops.lab.real.config import PHYSICAL_NETWORK
from nodeops.lab.real.places import FIRST_GUEST, LAST_GUEST, RealLab


def furnish(lab: RealLab, cloud: Any) -> None:
    """Make the image and the network, unless they are there; the usual furnishing leaves them alone."""
    mark = lab.layout.done / "real-furniture"
    if mark.exists():
        return
    with lab.guest_image.open("rb") as data:
        make_image(cloud, data, "qcow2", hw_qemu_guest_agent="yes", os_require_quiesce="yes")
    _network(lab, cloud)
    mark.touch()


def _network(lab: RealLab, cloud: Any) -> None:
    """Guests are neighbours of their hosts and of this machine; their addresses come by the config drive."""
    network = cloud.network.find_network(NETWORK) or cloud.network.create_network(
        name=NETWORK,
        shared=True,
        provider_network_type="flat",
        provider_physical_network=PHYSICAL_NETWORK,
        port_security_enabled=False,
    )
    if not cloud.network.find_subnet(NETWORK):
        pool = {"start": f"{lab.prefix}.{FIRST_GUEST}", "end": f"{lab.prefix}.{LAST_GUEST}"}
        cloud.network.create_subnet(
            name=NETWORK,
            network_id=network.id,
            ip_version=4,
            cidr=f"{lab.prefix}.0/24",
            allocation_pools=[pool],
            gateway_ip=None,
            enable_dhcp=False,
        )
