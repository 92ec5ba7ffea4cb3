"""Options that hold for every command, and may stand anywhere on the command line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from nodeops.errors import UsageError


class Colour(StrEnum):
    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Globals:
    """What was said about the cloud, the files and the terminal."""

    cloud: Mapping[str, str | bool] = field(default_factory=dict)
    """openstacksdk's names: `cloud`, `auth_url`, `username`, …; may hold a password, never shown."""
    inventory: str | None = None
    journal: str | None = None
    colour: Colour = Colour.AUTO
    verbosity: int = 0


CLOUD_VALUES = (
    "cloud",
    "auth-type",
    "auth-url",
    "username",
    "user-id",
    "password",
    "passcode",
    "token",
    "user-domain-name",
    "user-domain-id",
    "project-name",
    "project-id",
    "project-domain-name",
    "project-domain-id",
    "domain-name",
    "domain-id",
    "default-domain",
    "system-scope",
    "trust-id",
    "application-credential-id",
    "application-credential-name",
    "application-credential-secret",
    "identity-provider",
    "protocol",
    "region-name",
    "interface",
    "cacert",
    "cert",
    "key",
    "identity-api-version",
    "compute-api-version",
    "network-api-version",
    "volume-api-version",
    "image-api-version",
)
"""`--os-NAME VALUE`, as openstackclient and keystoneauth's plugins name them."""

ALIASES = {"--os-region": "--os-region-name", "--os-endpoint-type": "--os-interface"}
VALUES = frozenset({"--inventory", "--journal", "--color"})
FLAGS = frozenset({"-v", "-vv", "-vvv", "--verbose"})


def separate(words: Sequence[str]) -> tuple[list[str], dict[str, str | bool]]:
    """Take the cloud's options out of a command line and put the other global options in front.

    Raises `UsageError` for an `--os-` option that does not exist or has no value.
    """
    front: list[str] = []
    rest: list[str] = []
    cloud: dict[str, str | bool] = {}
    queue = list(words)
    while queue:
        word = queue.pop(0)
        if word == "--":
            rest += [word, *queue]
            break
        name, equals, value = word.partition("=")
        if name.startswith("--os-"):
            key = _cloud_key(name)
            cloud[key] = value if equals else _value(name, queue)
        elif name in {"--insecure", "--verify"}:
            cloud["verify"] = name == "--verify"
        elif name in VALUES:
            front += [name, value if equals else _value(name, queue)]
        elif word in FLAGS:
            front.append(word)
        else:
            rest.append(word)
    return front + rest, cloud


def _cloud_key(name: str) -> str:
    bare = ALIASES.get(name, name).removeprefix("--os-")
    if bare not in CLOUD_VALUES:
        raise UsageError(
            f"no such option {name}",
            hint=f"The options of openstackclient are known: {', '.join('--os-' + v for v in CLOUD_VALUES)}.",
        )
    return bare.replace("-", "_")


def _value(name: str, queue: list[str]) -> str:
    if not queue:
        raise UsageError(f"{name} needs a value", hint=f"Say {name} VALUE.")
    return queue.pop(0)
