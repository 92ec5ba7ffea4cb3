"""The part of nova-compute's configuration that differs from host to host, and its durable identity."""

from nodeops.lab.hypervisor.places import HostPlace
from nodeops.lab.hypervisor.settings import Settings

DRIVER = "nodeops_lab.LabDriver"


def write_compute_config(place: HostPlace, settings: Settings) -> list[str]:
    """Write the host's file and its `compute_id`, and return nova-compute's arguments.

    Nova refuses to start when the node's uuid changes (nova/virt/node.py), so it is written before the first
    start and is always the same for a host name.
    """
    place.nova_state.mkdir(parents=True, exist_ok=True)
    place.guests.mkdir(parents=True, exist_ok=True)
    place.vifs.mkdir(parents=True, exist_ok=True)
    (place.nova_state / "compute_id").write_text(place.node_uuid, encoding="utf-8")
    place.config.write_text(_text(place, settings.address(place.host)), encoding="utf-8")
    common = place.state_dir / "etc" / "nova" / "nova-compute.conf"
    return ["--config-file", str(common), "--config-file", str(place.config)]


def _text(place: HostPlace, address: str) -> str:
    return "\n".join(
        [
            "[DEFAULT]",
            f"host = {place.host}",
            f"my_ip = {address}",
            f"my_block_storage_ip = {address}",
            f"state_path = {place.nova_state}",
            f"compute_driver = {DRIVER}",
            f"log_file = {place.log}",
            "use_stderr = false",
            "[oslo_concurrency]",
            f"lock_path = {place.nova_state / 'locks'}",
            "",
        ],
    )
