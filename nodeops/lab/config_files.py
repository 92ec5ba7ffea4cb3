"""The configuration files of the lab's services, for the 2026.2 releases."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from nodeops.lab.api_faults import Service
from nodeops.lab.layout import LOOPBACK, Layout, replace_text
from nodeops.lab.options import LabOptions

Sections: TypeAlias = dict[str, dict[str, object]]
REGION = "RegionOne"
SERVICE_USERS = ("nova", "placement", "neutron", "cinder", "glance")


def write_all(layout: Layout, options: LabOptions) -> None:
    """Write every service's files; a file whose text is the same keeps its time."""
    files: dict[str, Sections] = {
        "keystone/keystone.conf": keystone(layout),
        "placement/placement.conf": placement(layout),
        "glance/glance-api.conf": glance(layout),
        "cinder/cinder.conf": cinder(layout),
        "neutron/neutron.conf": neutron(layout),
        "neutron/ml2.ini": ml2(),
        "nova/nova.conf": nova(layout),
        "nova/nova-compute.conf": nova_compute(layout, options),
    }
    for name, sections in files.items():
        write(layout.etc / name, ini(sections))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        replace_text(path, text)


def ini(sections: Mapping[str, Mapping[str, object]]) -> str:
    lines = []
    for section, values in sections.items():
        lines += [f"[{section}]", *(f"{name} = {value}" for name, value in values.items()), ""]
    return "\n".join(lines)


def account(layout: Layout, user: str) -> dict[str, object]:
    """Return how a service signs in at Keystone, to use another one's internal endpoint."""
    return {
        "auth_type": "password",
        "auth_url": f"{layout.direct_url(Service.IDENTITY)}/v3",
        "username": user,
        "password": layout.password,
        "project_name": "service",
        "user_domain_name": "Default",
        "project_domain_name": "Default",
        "region_name": REGION,
        "valid_interfaces": "internal",
    }


def token_check(layout: Layout, user: str) -> dict[str, object]:
    """Return how a service checks the tokens it is shown."""
    return account(layout, user) | {
        "www_authenticate_uri": f"{layout.public_url(Service.IDENTITY)}/v3",
        "interface": "internal",
        "service_token_roles": "service",
        "service_token_roles_required": "true",
    }


def messaging(layout: Layout) -> dict[str, object]:
    return {
        "transport_url": layout.message_url(),
        "use_stderr": "false",
        "log_dir": layout.logs,
        "rpc_response_timeout": 60,
    }


def paste(layout: Layout, *parts: str) -> Path:
    return layout.environment.joinpath("etc", *parts)


def database(layout: Layout, name: str) -> dict[str, object]:
    return {"connection": layout.database_url(name), "max_pool_size": 10, "max_overflow": 30}


def keystone(layout: Layout) -> Sections:
    keys = layout.etc / "keystone"
    return {
        "DEFAULT": {"log_dir": layout.logs, "use_stderr": "false"},
        "database": database(layout, "keystone"),
        "token": {"provider": "fernet", "expiration": 3600},
        "fernet_tokens": {"key_repository": keys / "fernet"},
        "fernet_receipts": {"key_repository": keys / "fernet"},
        "credential": {"key_repository": keys / "credential"},
        "identity": {"password_hash_rounds": 4},
    }


def placement(layout: Layout) -> Sections:
    return {
        "DEFAULT": {"log_dir": layout.logs, "use_stderr": "false"},
        "placement_database": database(layout, "placement"),
        "api": {"auth_strategy": "keystone"},
        "keystone_authtoken": token_check(layout, "placement"),
    }


def glance(layout: Layout) -> Sections:
    return {
        "DEFAULT": {
            "log_dir": layout.logs,
            "use_stderr": "false",
            "enabled_backends": "disk:file",
            "bind_host": LOOPBACK,
        },
        "database": database(layout, "glance"),
        "glance_store": {"default_backend": "disk"},
        "disk": {"filesystem_store_datadir": layout.root / "images"},
        "paste_deploy": {
            "flavor": "keystone",
            "config_file": paste(layout, "glance", "glance-api-paste.ini"),
        },
        "keystone_authtoken": token_check(layout, "glance"),
    }


def cinder(layout: Layout) -> Sections:
    def backend(driver: str) -> dict[str, object]:
        return {
            "volume_driver": f"nodeops.lab.cinder_driver.{driver}",
            "volume_backend_name": driver,
            "image_volume_cache_enabled": "false",
        }

    return {
        "DEFAULT": messaging(layout)
        | {
            "api_paste_config": paste(layout, "cinder", "api-paste.ini"),
            "state_path": layout.root / "cinder",
            "enabled_backends": "portable,hostbound",
            "default_volume_type": "portable",
            "glance_api_servers": layout.direct_url(Service.IMAGE),
            "my_ip": LOOPBACK,
            "host": "controller",
            "report_interval": 5,
            "periodic_interval": 5,
            "periodic_fuzzy_delay": 0,
            "backend_stats_polling_interval": 5,
            "service_down_time": 30,
            "quota_volumes": -1,
            "quota_gigabytes": -1,
            "quota_snapshots": -1,
            "osapi_volume_listen": LOOPBACK,
            "rootwrap_config": paste(layout, "cinder", "rootwrap.conf"),
        },
        "portable": backend("PortableDriver"),
        "hostbound": backend("HostBoundDriver"),
        "database": database(layout, "cinder"),
        "keystone_authtoken": token_check(layout, "cinder"),
        "service_user": account(layout, "cinder") | {"send_service_user_token": "true"},
        "nova": account(layout, "cinder") | {"interface": "internal"},
        "oslo_concurrency": {"lock_path": layout.root / "cinder" / "locks"},
    }


def neutron(layout: Layout) -> Sections:
    return {
        "DEFAULT": messaging(layout)
        | {
            "core_plugin": "ml2",
            "service_plugins": "",
            "api_paste_config": paste(layout, "neutron", "api-paste.ini"),
            "auth_strategy": "keystone",
            "notify_nova_on_port_status_changes": "true",
            "notify_nova_on_port_data_changes": "true",
            "rpc_workers": 1,
            "rpc_state_report_workers": 1,
            "agent_down_time": 20,
            "bind_host": LOOPBACK,
            "state_path": layout.root / "neutron",
        },
        "agent": {"report_interval": 5},
        "database": database(layout, "neutron"),
        "keystone_authtoken": token_check(layout, "neutron"),
        "nova": account(layout, "neutron") | {"endpoint_type": "internal"},
        "oslo_concurrency": {"lock_path": layout.root / "neutron" / "locks"},
        "quotas": {"quota_port": -1, "quota_network": -1, "quota_subnet": -1, "quota_security_group": -1},
    }


def ml2() -> Sections:
    return {
        "ml2": {
            "type_drivers": "vxlan,flat",
            "tenant_network_types": "vxlan",
            "mechanism_drivers": "openvswitch",
            "extension_drivers": "port_security",
        },
        "ml2_type_vxlan": {"vni_ranges": "1:1000"},
        "securitygroup": {"enable_security_group": "true"},
    }


def nova_common(layout: Layout) -> Sections:
    return {
        "DEFAULT": messaging(layout)
        | {
            "report_interval": 3,
            "service_down_time": 15,
            "osapi_compute_workers": 1,
            "my_ip": LOOPBACK,
        },
        "api": {"auth_strategy": "keystone"},
        "keystone_authtoken": token_check(layout, "nova"),
        "service_user": account(layout, "nova") | {"send_service_user_token": "true"},
        "placement": account(layout, "nova"),
        "neutron": account(layout, "nova") | {"service_metadata_proxy": "false"},
        "cinder": account(layout, "nova")
        | {"catalog_info": "volumev3:cinderv3:internalURL", "os_region_name": REGION},
        "glance": {"api_servers": layout.direct_url(Service.IMAGE)},
        # After a live migration its source still tells the scheduler that it has it: for two minutes no other
        # member of an anti-affinity group could come (nova/compute/manager.py, _post_live_migration).
        "filter_scheduler": {"track_instance_changes": "false"},
        "vnc": {"enabled": "false"},
        "oslo_messaging_notifications": {"driver": "noop"},
    }


def nova(layout: Layout) -> Sections:
    """API, conductor and scheduler; the conductor needs the API database for the late affinity check."""
    sections = nova_common(layout)
    sections["DEFAULT"]["state_path"] = layout.root / "nova"
    sections["filter_scheduler"]["shuffle_best_same_weighed_hosts"] = "true"
    return sections | {
        "api_database": database(layout, "nova_api"),
        "database": database(layout, "nova_cell1"),
        "conductor": {"workers": 1},
        "scheduler": {"workers": 1, "discover_hosts_in_cells_interval": 5},
        "quota": {"instances": -1, "cores": -1, "ram": -1, "server_groups": -1, "server_group_members": -1},
        "oslo_concurrency": {"lock_path": layout.root / "nova" / "locks"},
    }


def nova_compute(layout: Layout, options: LabOptions) -> Sections:
    """What all simulated hosts have in common; each has a file of its own beside its guests."""
    sections = nova_common(layout)
    for name in ("log_dir", "my_ip"):
        del sections["DEFAULT"][name]
    sections["DEFAULT"] |= {
        "max_concurrent_live_migrations": options.concurrent_migrations,
        "vif_plugging_timeout": 30,
        "vif_plugging_is_fatal": "true",
        "sync_power_state_interval": 30,
        "update_resources_interval": 30,
        "heal_instance_info_cache_interval": -1,
        "resume_guests_state_on_host_boot": "false",
        "shelved_offload_time": -1,
        "cpu_allocation_ratio": 4.0,
        "ram_allocation_ratio": 1.0,
        "disk_allocation_ratio": 1.0,
        "reserved_host_memory_mb": 512,
    }
    return sections | {"compute": {"live_migration_wait_for_vif_plug": "true"}}
