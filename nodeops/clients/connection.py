"""The connection to one cloud as openstackclient would make it: clouds.yaml, `OS_*`, `--os-*`.

openstacksdk's configuration does the reading; nothing is sent before the first call. Every HTTP request,
the ones for the token included, passes `Transport`, which counts it, bounds it in time and notes the
cloud's clock.
"""

import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

import requests
from keystoneauth1 import exceptions as keystone_errors
from keystoneauth1 import loading
from keystoneauth1.session import Session, TCPKeepAliveAdapter
from openstack import exceptions as sdk_errors
from openstack.config.cloud_region import CloudRegion
from openstack.config.loader import OpenStackConfig

from nodeops.clients import http_errors
from nodeops.errors import AuthenticationError, ConfigurationError, NodeopsError

CONNECT_SECONDS = 10.0
"""For the TCP and TLS handshake."""
ANSWER_SECONDS = 60.0
"""Without a byte of an answer; `api_timeout` of clouds.yaml replaces it."""
CLOUD_VARIABLES = (
    *("AUTH_TYPE", "AUTH_URL", "USERNAME", "USER_ID", "PASSWORD", "PASSCODE", "TOKEN"),
    *("USER_DOMAIN_NAME", "USER_DOMAIN_ID", "PROJECT_NAME", "PROJECT_ID"),
    *("PROJECT_DOMAIN_NAME", "PROJECT_DOMAIN_ID", "DOMAIN_NAME", "DOMAIN_ID", "DEFAULT_DOMAIN"),
    *("DEFAULT_DOMAIN_NAME", "DEFAULT_DOMAIN_ID", "SYSTEM_SCOPE", "TRUST_ID", "IDENTITY_PROVIDER"),
    *("APPLICATION_CREDENTIAL_ID", "APPLICATION_CREDENTIAL_NAME", "APPLICATION_CREDENTIAL_SECRET"),
    *("PROTOCOL", "REGION_NAME", "INTERFACE", "CACERT", "CERT", "KEY"),
)
"""`OS_*` variables that win over clouds.yaml, as they are option defaults in openstackclient
(`osc_lib/shell.py`, `osc_lib/api/auth.py`)."""

logger = logging.getLogger(__name__)


@dataclass
class Traffic:
    """What went over the wire, to whatever service."""

    requests: int = 0
    seconds: float = 0.0
    skew: float | None = None
    """Cloud's clock minus ours at the last answer, seconds; good to about one second."""


class Transport(TCPKeepAliveAdapter):
    """Counts requests, bounds each in time and reads the clock of whoever answers."""

    def __init__(self, traffic: Traffic, clock: Callable[[], float] = time.time) -> None:
        self.traffic = traffic
        self.clock = clock
        super().__init__()

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        limit = options.get("timeout") or ANSWER_SECONDS
        if not isinstance(limit, tuple):
            options["timeout"] = (min(CONNECT_SECONDS, float(limit)), float(limit))
        traffic = self.traffic
        traffic.requests += 1
        began = self.clock()
        status = "no answer"
        try:
            response: requests.Response = super().send(request, *args, **options)
            status = str(response.status_code)
        finally:
            ended = self.clock()
            traffic.seconds += ended - began
            logger.debug("%s %s: %s in %.0f ms", request.method, request.url, status, 1e3 * (ended - began))
        self._note_clock(response, (began + ended) / 2)
        return response

    def _note_clock(self, response: requests.Response, now: float) -> None:
        try:
            theirs = parsedate_to_datetime(response.headers["Date"]).timestamp()
        except (KeyError, ValueError, TypeError):
            return
        # The header has whole seconds, cut off: half a second is the fairest reading of it.
        self.traffic.skew = theirs + 0.5 - now


class Config(OpenStackConfig):
    """openstacksdk's configuration with openstackclient's defaults (`osc_lib/cli/client_config.py`)."""

    def auth_config_hook(self, config: dict[str, Any]) -> dict[str, Any]:
        if not config.get("auth_type"):
            config["auth_type"] = "token" if config["auth"].get("token") else "password"
        loader: loading.BaseLoader[Any] = loading.get_plugin_loader(config["auth_type"])
        for option in loader.get_options():
            # An option or variable stands beside `auth` and wins over what is in it.
            if config.get(option.dest):
                config["auth"][option.dest] = config.pop(option.dest)
        domain = config.get("default_domain") or "default"
        if config["auth_type"] in {"password", "v3password", "v3totp"}:
            for scope in ("project", "user"):
                if not config["auth"].keys() & {f"{scope}_domain_id", f"{scope}_domain_name"}:
                    config["auth"][f"{scope}_domain_id"] = domain
        return config


@dataclass
class Connection:
    """One cloud, one account; authenticates when first used and again when the token is refused."""

    region: CloudRegion
    session: Session
    traffic: Traffic

    @property
    def name(self) -> str:
        """The name in clouds.yaml, else the authentication URL's host."""
        name = str(self.region.name or "")
        return name if name not in {"", "envvars", "defaults"} else _host_of(self.auth_url)

    @property
    def auth_url(self) -> str:
        return str(self.region.get_auth_args().get("auth_url") or "")

    @property
    def region_name(self) -> str:
        return str(self.region.get_region_name("compute") or "")

    def headers(self) -> dict[str, str]:
        """With a valid token. Raises `AuthenticationError`, or `ApiError` when Keystone is out of reach."""
        with http_errors.authenticating(self.auth_url):
            found: Mapping[str, str] | None = self.session.get_auth_headers()
        if found is None:
            raise AuthenticationError("keystone gave no token", hint="Look at auth_type of the cloud.")
        return dict(found)

    def access(self) -> Any:
        """Who Keystone says we are, with roles and the service catalog; None for plugins without Keystone."""
        with http_errors.authenticating(self.auth_url):
            find = getattr(self.session.auth, "get_access", None)
            return find(self.session) if find else None

    def renew(self) -> bool:
        """Throw the token away; whether there is a way to a new one."""
        return bool(self.session.invalidate())

    def close(self) -> None:
        """Keep the token for the next command where clouds.yaml asks for that (`cache: auth: true`)."""
        self.region.set_auth_cache()
        self.session.session.close()


def open_connection(
    options: Mapping[str, str | bool],
    *,
    environment: Mapping[str, str] | None = None,
    ask: Callable[[str], str] | None = None,
) -> Connection:
    """Choose the cloud and the account; sends nothing.

    `options` are the `--os-*` options by openstacksdk's names (`cloud`, `auth_url`, …); they win over `OS_*`,
    which win over clouds.yaml. `ask` is used for a password that is missing.

    Raises `ConfigurationError` for an unknown cloud or an unreadable clouds.yaml, `AuthenticationError` when
    there are no credentials.
    """
    variables = os.environ if environment is None else environment
    given = _from_environment(variables) | {k: v for k, v in options.items() if v != ""}
    traffic = Traffic()
    with _configuration(given):
        config = Config(
            pw_func=_prompt(ask),
            app_name="nodeops",
            app_version=version("nodeops"),
            override_defaults={"interface": "public", "auth_type": None},
        )
        with warnings.catch_warnings():
            # openstacksdk 4.22 warns of its own InfluxDB support, whoever asks for a cloud.
            warnings.simplefilter("ignore", PendingDeprecationWarning)
            region = _choose(config, given)
        region.config.setdefault("api_timeout", ANSWER_SECONDS)
        region.config["api_timeout"] = region.config["api_timeout"] or ANSWER_SECONDS
        session = region.get_session()
    for scheme in list(session.session.adapters):
        session.session.mount(scheme, Transport(traffic))
    return Connection(region, session, traffic)


def _prompt(ask: Callable[[str], str] | None) -> Callable[..., str] | None:
    return ask and (lambda prompt=None: ask(prompt or "Password: "))


def _from_environment(variables: Mapping[str, str]) -> dict[str, str | bool]:
    found: dict[str, str | bool] = {
        name.lower(): variables[f"OS_{name}"] for name in CLOUD_VARIABLES if variables.get(f"OS_{name}")
    }
    for name in ("NAME", "ID"):
        old = variables.get(f"OS_TENANT_{name}")
        if old:
            found.setdefault(f"project_{name.lower()}", old)
    if variables.get("OS_CLOUD"):
        found["cloud"] = variables["OS_CLOUD"]
    return found


def _choose(config: OpenStackConfig, given: Mapping[str, str | bool]) -> CloudRegion:
    cloud = str(given["cloud"]) if "cloud" in given else None
    names = [str(name) for name in config.get_cloud_names()]
    if cloud is not None and cloud not in names:
        near = get_close_matches(cloud, names) or sorted(set(names) - {"defaults"})
        file = config.config_filename
        if near:
            known = f"{file} has: {', '.join(near)}."
        else:
            known = f"{file} names no cloud." if file else "There is no clouds.yaml."
        raise ConfigurationError(f"cloud {cloud} is not configured", hint=known)
    if cloud is None and not config.config_filename and "auth_url" not in given and "endpoint" not in given:
        raise AuthenticationError(
            "no cloud is configured",
            hint="Choose one with --os-cloud NAME or OS_CLOUD, or source an openrc file.",
        )
    others: dict[str, Any] = {name: value for name, value in given.items() if name != "cloud"}
    return config.get_one(cloud, **others)


class _Skipped(logging.Handler):
    """Catches openstacksdk's "Skipping config file": a broken clouds.yaml is no reason to use another."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.files: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if str(record.msg).startswith("Skipping config file"):
            self.files.append(" ".join(record.getMessage().removeprefix("Skipping config file ").split()))


@contextmanager
def _configuration(given: Mapping[str, str | bool]) -> Iterator[None]:
    handler = _Skipped()
    sdk_logger = logging.getLogger("openstack.config")
    sdk_logger.addHandler(handler)
    try:
        yield
    except NodeopsError as error:
        raise _broken_file(handler) or error from None
    except keystone_errors.MissingRequiredOptions as error:
        missing = ", ".join(str(option.dest) for option in error.options)
        raise _broken_file(handler) or AuthenticationError(
            f"no credentials: {missing} is missing",
            hint="Choose a cloud with --os-cloud NAME or OS_CLOUD, or source an openrc file.",
        ) from None
    except (sdk_errors.SDKException, keystone_errors.ClientException, OSError, TypeError) as error:
        name = given.get("cloud", "of the environment")
        raise _broken_file(handler) or ConfigurationError(
            f"cloud {name} cannot be used: {http_errors.one_line(str(error))}",
            hint="Look at clouds.yaml and the OS_* variables.",
        ) from None
    finally:
        sdk_logger.removeHandler(handler)
    if broken := _broken_file(handler):
        raise broken


def _broken_file(handler: _Skipped) -> ConfigurationError | None:
    if not handler.files:
        return None
    return ConfigurationError(f"configuration file {handler.files[0]}", hint="Mend it, or move it away.")


def _host_of(url: str) -> str:
    return urlsplit(url).hostname or url
