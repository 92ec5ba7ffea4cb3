"""The image `mariadb:10.11`: the official one where it can be pulled, else one made of Debian's packages."""

import hashlib
import platform
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from docker import DockerClient
from docker.errors import DockerException, ImageNotFound
from requests import RequestException

IMAGE, SUITE = "mariadb:10.11", "bookworm"
"""Debian's bookworm has MariaDB 10.11."""
PULL_SILENCE_SECONDS = 20
"""A registry that says nothing for this long is not there."""
LABEL = "nodeops.tests.entrypoint"
ENTRYPOINT = Path(__file__).with_name("entrypoint.sh")
LEFT_OUT = (
    "var/cache/apt",
    "var/lib/apt/lists",
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/info",
    "dev",
    "proc",
    "sys",
)


def ensure(client: DockerClient) -> None:
    """See to it that the daemon has the image."""
    if not _current(client) and not pull(client):
        build(client)


def _current(client: DockerClient) -> bool:
    """Whether it is there: the official one, or ours with the entry point as it is today."""
    try:
        labels = client.images.get(IMAGE).labels
    except ImageNotFound:
        return False
    return bool(labels.get(LABEL, _entrypoint_digest()) == _entrypoint_digest())


def _entrypoint_digest() -> str:
    return hashlib.sha256(ENTRYPOINT.read_bytes()).hexdigest()


def pull(client: DockerClient) -> bool:
    """Whether the official image could be had."""
    repository, _, tag = IMAGE.partition(":")
    api = client.api
    before, api.timeout = api.timeout, PULL_SILENCE_SECONDS
    try:
        for line in api.pull(repository, tag=tag, stream=True, decode=True):
            if "error" in line:
                return False
        client.images.get(IMAGE)
    except (DockerException, RequestException):
        return False
    finally:
        api.timeout = before
    return True


def build(client: DockerClient) -> None:
    """Import a Debian with MariaDB in it under the official image's name; needs root, about a minute."""
    with TemporaryDirectory(prefix="nodeops-image-") as folder:
        root, archive = Path(folder) / "root", Path(folder) / "root.tar"
        _run(
            "debootstrap",
            "--variant=minbase",
            "--include=mariadb-server-core,mariadb-client-core",
            SUITE,
            str(root),
            mirror(),
        )
        shutil.copy(ENTRYPOINT, root / "entrypoint.sh")
        (root / "entrypoint.sh").chmod(0o755)
        left_out = [f"--exclude=./{name}/*" for name in LEFT_OUT]
        _run("tar", "--create", "--file", str(archive), "--directory", str(root), *left_out, ".")
        repository, _, tag = IMAGE.partition(":")
        changes = ['ENTRYPOINT ["/entrypoint.sh"]', "EXPOSE 3306", f"LABEL {LABEL}={_entrypoint_digest()}"]
        client.api.import_image_from_file(str(archive), repository=repository, tag=tag, changes=changes)


def mirror() -> str:
    """The archive that this machine's own apt uses, where that is Debian's."""
    if not Path("/etc/debian_version").exists():
        raise RuntimeError(
            f"{IMAGE} can neither be pulled nor made on {platform.platform()}; run: docker pull {IMAGE}"
        )
    listed = subprocess.run(
        [
            "apt-get",
            "indextargets",
            "--format",
            "$(SITE) $(CODENAME)",
            "Origin: Debian",
            "Created-By: Packages",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    sites = [site for site, codename in zip(listed[::2], listed[1::2], strict=True) if codename == SUITE]
    return sites[0] if sites else ""


def _run(*command: str) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{(ran.stdout + ran.stderr)[-3000:]}")
