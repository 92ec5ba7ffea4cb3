"""`<lab>/inventory.ini`: how nodeops and Ansible reach the lab's real hosts."""

from nodeops.lab import inventory
from nodeops.lab.options import LabOptions
from nodeops.lab.real.places import RealLab


def write_inventory(lab: RealLab, options: LabOptions) -> None:
    """Write the lab's inventory: addresses, port, user, key and host keys of its hosts."""
    variables = {
        "ansible_port": "22",
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(lab.key),
        "nodeops_ssh_known_hosts": str(lab.known_hosts),
        "nodeops_storage": options.storage,
        "nodeops_instances_path": "/var/lib/nova/instances",
        "nodeops_service_manager": "systemd",
        "nodeops_nova_compute_unit": "nova-compute",
    }
    inventory.write(
        lab.layout,
        [f"{host.name} ansible_host={host.address}" for host in lab.hosts],
        variables,
        remark="The account ops signs in with the same key and uses sudo.",
    )
