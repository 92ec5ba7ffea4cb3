"""What a lab's Keystone has to know: services, endpoints, accounts; and the clouds.yaml that names them."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nodeops.errors import FailedError
from nodeops.lab.api_faults import Service
from nodeops.lab.config_files import REGION, SERVICE_USERS, write
from nodeops.lab.layout import Layout

NAMES = {
    Service.IDENTITY: "keystone",
    Service.PLACEMENT: "placement",
    Service.COMPUTE: "nova",
    Service.NETWORK: "neutron",
    Service.VOLUME: "cinderv3",
    Service.IMAGE: "glance",
}
PATHS = {Service.COMPUTE: "/v2.1", Service.VOLUME: "/v3", Service.IDENTITY: "/v3"}
MEMBER, MEMBER_PROJECT = "member", "demo"


def register(layout: Layout) -> None:
    """Make the services, endpoints, projects and users that are missing."""
    mark = layout.done / "catalogue"
    if mark.exists():
        return
    cloud = connect(layout, direct=True)
    _endpoints(layout, cloud)
    identity = cloud.identity
    service = identity.find_project("service") or identity.create_project(name="service", domain_id="default")
    demo = identity.find_project(MEMBER_PROJECT) or identity.create_project(
        name=MEMBER_PROJECT, domain_id="default"
    )
    for user in SERVICE_USERS:
        _user(layout, cloud, user, service, ("admin", "service"))
    _user(layout, cloud, MEMBER, demo, ("member", "reader"))
    mark.touch()


def connect(layout: Layout, *, direct: bool = False) -> Any:
    """Return an openstacksdk connection of the lab's administrator; direct: past the fault proxy."""
    import openstack  # noqa: PLC0415 - a second of import, only to make a lab

    interface = "internal" if direct else "public"
    url = layout.direct_url(Service.IDENTITY) if direct else layout.public_url(Service.IDENTITY)
    return openstack.connect(
        auth=_auth(layout, f"{url}/v3", "admin", "admin"),
        interface=interface,
        identity_interface=interface,
        region_name=REGION,
        load_yaml_config=False,
        load_envvars=False,
        app_name="nodeops-lab",
    )


@contextmanager
def refusals_told(layout: Layout) -> Iterator[None]:
    """Tell what the lab's own APIs refused in words.

    Raises:
        FailedError: an API refused a call or did not answer.

    """
    from keystoneauth1.exceptions import ClientException  # noqa: PLC0415 - with openstacksdk
    from openstack.exceptions import SDKException  # noqa: PLC0415 - likewise
    from requests import HTTPError  # noqa: PLC0415 - likewise

    try:
        yield
    except (ClientException, SDKException, HTTPError) as error:
        raise FailedError(
            f"an API of lab {layout.name} refused: {error}",
            hint=f"`nodeops lab up` goes on from here; the services' logs are in {layout.logs}.",
        ) from error


def write_clouds_yaml(layout: Layout) -> None:
    """Write the lab's clouds.yaml: NAME for the administrator, NAME-member for a user without rights."""
    url = f"{layout.public_url(Service.IDENTITY)}/v3"

    def entry(user: str, project: str) -> dict[str, object]:
        return {
            "auth": _auth(layout, url, user, project),
            "region_name": REGION,
            "interface": "public",
            "identity_api_version": 3,
        }

    clouds = {layout.name: entry("admin", "admin"), f"{layout.name}-member": entry(MEMBER, MEMBER_PROJECT)}
    # JSON is YAML, and every reader of clouds.yaml reads YAML.
    write(layout.clouds_yaml, json.dumps({"clouds": clouds}, indent=2) + "\n")
    layout.clouds_yaml.chmod(0o600)


def environment_lines(layout: Layout, *, classic: bool) -> Iterable[str]:
    """Return shell lines for other OpenStack clients."""
    if not classic:
        yield f"export OS_CLIENT_CONFIG_FILE={_quoted(layout.clouds_yaml)}"
        yield f"export OS_CLOUD={layout.name}"
        return
    auth = _auth(layout, f"{layout.public_url(Service.IDENTITY)}/v3", "admin", "admin")
    for name, value in (auth | {"region_name": REGION, "identity_api_version": "3"}).items():
        yield f"export OS_{name.upper()}={_quoted(value)}"


def _auth(layout: Layout, url: str, user: str, project: str) -> dict[str, str]:
    return {
        "auth_url": url,
        "username": user,
        "password": layout.password,
        "project_name": project,
        "user_domain_name": "Default",
        "project_domain_name": "Default",
    }


def _endpoints(layout: Layout, cloud: Any) -> None:
    identity = cloud.identity
    for service, name in NAMES.items():
        made = next(iter(identity.services(type=service.value)), None) or identity.create_service(
            name=name, type=service.value
        )
        known = {endpoint.interface for endpoint in identity.endpoints(service_id=made.id)}
        path = PATHS.get(service, "")
        urls = {
            "public": layout.public_url(service) + path,
            "internal": layout.direct_url(service) + path,
            "admin": layout.direct_url(service) + path,
        }
        for interface in urls.keys() - known:
            identity.create_endpoint(
                service_id=made.id, interface=interface, region_id=REGION, url=urls[interface]
            )


def _user(layout: Layout, cloud: Any, name: str, project: Any, roles: Iterable[str]) -> None:
    identity = cloud.identity
    user = identity.find_user(name) or identity.create_user(
        name=name, password=layout.password, domain_id="default", default_project_id=project.id
    )
    for wanted in roles:
        role = identity.find_role(wanted) or identity.create_role(name=wanted)
        identity.assign_project_role_to_user(project, user, role)


def _quoted(value: str | Path) -> str:
    return "'" + str(value).replace("'", "'\\''") + "'"
