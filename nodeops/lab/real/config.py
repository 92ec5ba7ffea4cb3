"""Configuration that differs in a lab of real hosts, and that of the hosts themselves."""

from nodeops.lab.config_files import Sections, ini, messaging, ml2, neutron, nova_compute, write
from nodeops.lab.config_files import cinder as simulated_cinder
from nodeops.lab.layout import Layout
from nodeops.lab.options import LabOptions
from nodeops.lab.real.places import RealHost

PHYSICAL_NETWORK = "physnet1"
SHARE = "storage:/srv/volumes"
MOUNTS = "/var/lib/nova/mnt"
VOLUME_DRIVER = "nodeops.lab.real.volume_driver.SharedFilesDriver"


def write_control_plane(layout: Layout) -> None:
    """Write what the lab's own services need for real hosts, over what simulated ones need."""
    plane = ml2()
    plane["ml2"] |= {"type_drivers": "flat", "tenant_network_types": "", "mechanism_drivers": "macvtap"}
    plane["ml2_type_flat"] = {"flat_networks": PHYSICAL_NETWORK}
    write(layout.etc / "neutron" / "ml2.ini", ini(plane))
    storage = simulated_cinder(layout)
    shares = layout.etc / "cinder" / "shares"
    write(shares, f"{SHARE}\n")
    storage["DEFAULT"]["enabled_backends"] = "portable"
    storage["portable"] = {
        "volume_driver": VOLUME_DRIVER,
        "volume_backend_name": "PortableDriver",
        "nfs_shares_config": shares,
        "nfs_mount_point_base": layout.root / "real" / "mnt",
        "nas_secure_file_operations": "true",
        "nas_secure_file_permissions": "true",
        "nfs_sparsed_volumes": "true",
        "image_volume_cache_enabled": "false",
    }
    storage.pop("hostbound", None)
    # Looks into images before they become volumes; as a rule by sudo, which root does without.
    storage["cinder_sys_admin"] = {"helper_command": layout.program("privsep-helper")}
    write(layout.etc / "cinder" / "cinder.conf", ini(storage))


def nova_conf(host: RealHost, options: LabOptions) -> str:
    """Return /etc/nova/nova.conf of a host."""
    sections = nova_compute(host.lab.layout, options)
    sections["DEFAULT"] |= {
        "host": host.name,
        "my_ip": host.address,
        "my_block_storage_ip": host.address,
        "compute_driver": "libvirt.LibvirtDriver",
        "state_path": "/var/lib/nova",
        "instances_path": "/var/lib/nova/instances",
        "log_dir": "/var/log/nova",
        "use_stderr": "false",
        "force_config_drive": "true",
        "cpu_allocation_ratio": 64.0,
        "ram_allocation_ratio": 32.0,
        "disk_allocation_ratio": 16.0,
        "reserved_host_memory_mb": 0,
        # Guests that boot are slower than names: on a busy machine the agent sees their ports late.
        "vif_plugging_timeout": 120,
        # With the defaults a stop takes minutes (manager_shutdown_timeout is 160 s in nova/conf/base.py).
        "manager_shutdown_timeout": 5,
        "graceful_shutdown_timeout": 15,
    }
    sections["libvirt"] = {
        "virt_type": "qemu",
        "cpu_mode": "none",
        "images_type": "qcow2",
        "live_migration_scheme": "tcp",
        "live_migration_inbound_addr": host.address,
        "nfs_mount_point_base": MOUNTS,
        "live_migration_bandwidth": max(1, round(options.migration_rate)),
        "inject_partition": -2,
    }
    sections["workarounds"] = {"disable_rootwrap": "true"}
    sections["oslo_concurrency"] = {"lock_path": "/var/lib/nova/tmp"}
    return ini(sections)


def agent_conf(host: RealHost) -> str:
    """Return the network agent's configuration."""
    layout = host.lab.layout
    sections: Sections = {
        "DEFAULT": messaging(layout) | {"host": host.name, "log_dir": "/var/log/neutron"},
        "agent": {"report_interval": neutron(layout)["agent"]["report_interval"], "root_helper": "sudo"},
        "macvtap": {"physical_interface_mappings": f"{PHYSICAL_NETWORK}:eth0"},
        "securitygroup": {"firewall_driver": "noop", "enable_security_group": "false"},
        "oslo_concurrency": {"lock_path": "/var/lib/neutron/tmp"},
    }
    return ini(sections)
