"""The processes of OpenStack's services in a lab."""

from pathlib import Path

from nodeops.lab.api_faults import Service
from nodeops.lab.layout import Layout
from nodeops.lab.options import read_options
from nodeops.lab.processes import Program

THREADS = 12
MODULES = {
    Service.IDENTITY: "keystone.wsgi.api",
    Service.PLACEMENT: "placement.wsgi.api",
    Service.IMAGE: "glance.wsgi.api",
    Service.NETWORK: "neutron.wsgi.api",
    Service.VOLUME: "cinder.wsgi.api",
    Service.COMPUTE: "nova.wsgi.osapi_compute",
}

REAL_NETWORK = "nodeops.lab.real.network_api"


def api_name(service: Service) -> str:
    return f"{service.value}-api"


def apis(layout: Layout) -> list[Program]:
    """Return the six APIs, Keystone first."""
    return [_api(layout, service) for service in MODULES]


def workers(layout: Layout) -> list[Program]:
    """Return what works behind the APIs."""
    nova = layout.etc / "nova" / "nova.conf"
    cinder = layout.etc / "cinder" / "cinder.conf"
    neutron, ml2 = layout.etc / "neutron" / "neutron.conf", layout.etc / "neutron" / "ml2.ini"

    def worker(name: str, *files: object) -> Program:
        arguments = [argument for file in files for argument in ("--config-file", str(file))]
        return Program(name, [layout.program(name), *arguments], files=_paths(files))

    return [
        worker("nova-conductor", nova),
        worker("nova-scheduler", nova),
        worker("neutron-rpc-server", neutron, ml2),
        worker("cinder-scheduler", cinder),
        worker("cinder-volume", cinder),
    ]


def proxy(layout: Layout) -> Program:
    return _own(layout, "api-proxy", "nodeops.lab.proxy", layout.public_port(Service.IMAGE))


def hosts(layout: Layout) -> list[Program]:
    """Return the parent of all nova-computes and the network agents."""
    computes = _own(layout, "computes", "nodeops.lab.hypervisor.launch", None)
    agents = _own(layout, "network-agents", "nodeops.lab.agent.main", None)
    return [computes, agents]


def _own(layout: Layout, name: str, module: str, port: int | None) -> Program:
    command = [str(layout.python), "-m", module, "--state-dir", str(layout.root)]
    compute = layout.etc / "nova" / "nova-compute.conf"
    return Program(name, command, port=port, files=(compute,) if name == "computes" else ())


def _api(layout: Layout, service: Service) -> Program:
    etc, paste = layout.etc, layout.environment / "etc"
    port = layout.direct_port(service)
    environment = {
        Service.IDENTITY: {"OS_KEYSTONE_CONFIG_FILES": str(etc / "keystone" / "keystone.conf")},
        Service.PLACEMENT: {"OS_PLACEMENT_CONFIG_DIR": str(etc / "placement")},
        Service.IMAGE: {"OS_GLANCE_CONFIG_DIR": str(etc / "glance")},
        Service.NETWORK: {
            "OS_NEUTRON_CONFIG_DIR": str(etc / "neutron"),
            "OS_NEUTRON_CONFIG_FILES": "neutron.conf;ml2.ini",
        },
        Service.VOLUME: {},
        Service.COMPUTE: {
            "OS_NOVA_CONFIG_DIR": str(etc / "nova"),
            "OS_NOVA_CONFIG_FILES": f"{paste / 'nova' / 'api-paste.ini'};nova.conf",
        },
    }[service]
    module = MODULES[service]
    if service is Service.NETWORK and read_options(layout).real_hosts:
        module = REAL_NETWORK
    command = [
        *(str(layout.python), "-m", "nodeops.lab.wsgi", module, str(port), str(THREADS)),
        *(("--config-file", str(etc / "cinder" / "cinder.conf")) if service is Service.VOLUME else ()),
    ]
    name = {
        Service.IDENTITY: "keystone",
        Service.PLACEMENT: "placement",
        Service.IMAGE: "glance",
        Service.NETWORK: "neutron",
        Service.VOLUME: "cinder",
        Service.COMPUTE: "nova",
    }[service]
    files = tuple(path for path in sorted((etc / name).glob("*")) if path.suffix in {".conf", ".ini"})
    compute = etc / "nova" / "nova-compute.conf"
    return Program(
        api_name(service),
        command,
        # Else oslo.log names the file after the launcher, the same for all.
        environment | {"OS_DEFAULT__LOG_FILE": str(layout.logs / f"{api_name(service)}.log")},
        port,
        files=tuple(path for path in files if path != compute),
    )


def _paths(files: tuple[object, ...]) -> tuple[Path, ...]:
    return tuple(Path(str(file)) for file in files)
