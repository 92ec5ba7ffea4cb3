"""The instances path of a host over a real sshd, with real images; only virsh is ours."""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from nodeops.cli.disks_salvage import Copier, wanted
from nodeops.clients.instance_files import HostInstanceFiles
from nodeops.clients.on_host import OnHost
from nodeops.errors import HostTroubleError
from nodeops.model.instance_files import Entry
from tests.services.docker import install
from tests.services.guest_disk import Guest, digest, note_formats, put_virsh, run
from tests.services.sshd import Server, running

pytestmark = pytest.mark.services
ONE, TWO, THREE = (f"{number}f8e3df3-6b23-403d-b6bf-a466a5830adc" for number in (1, 2, 3))
PIECES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Place:
    files: HostInstanceFiles
    path: Path
    domains: Path

    def entry(self, name: str) -> Entry:
        return {each.name: each for each in self.files.survey(str(self.path)).entries}[name]

    def move(self, name: str) -> str:
        return self.files.quarantine(
            str(self.path), self.entry(name), "now-d-1", kind="deleted", why="it was deleted", run="d-1"
        )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    install({"qemu-img": "qemu-utils"})
    with running(tmp_path_factory.mktemp("sshd")) as found:
        put_virsh(found.folder / "bin", found.folder / "domains")
        yield found


@pytest.fixture
def place(server: Server) -> Iterator[Place]:
    shutil.rmtree(server.folder / "domains")
    (server.folder / "domains").mkdir()
    with TemporaryDirectory() as folder, server.shell() as shell:
        path = Path(folder) / "instances"
        _fill(path)
        files = HostInstanceFiles(OnHost(shell, f"{folder}/run"), older_than=0.0)
        yield Place(files, path, server.folder / "domains")


def _fill(path: Path) -> None:
    """A base file and three disks: whole, with a base that is gone, and damaged."""
    base = path / "_base"
    base.mkdir(parents=True)
    (base / "used").write_bytes(b"\1" * PIECES + b"\0" * PIECES + b"\2" * 1000)
    (base / "unused").write_bytes(b"\1" * 1000)
    (base / "empty").write_bytes(b"")
    for uuid, backing in ((ONE, base / "used"), (TWO, base / "gone"), (THREE, None)):
        (path / uuid).mkdir()
        note_formats(path / uuid, disk="qcow2")
        on = ["-u", "-b", str(backing), "-F", "raw"] if backing else []
        run("qemu-img", "create", "-q", "-f", "qcow2", *on, path / uuid / "disk", "64M")
    (path / THREE / "disk").write_bytes(b"QFI\xfb" + b"\0" * 600)


def test_a_survey_tells_chains_and_space(place: Place) -> None:
    found = place.files.survey(str(place.path))
    images = {image.file.split("/")[0]: image for image in found.images}
    assert images[ONE].chain == (str(place.path / "_base" / "used"),)
    assert (images[ONE].followed, images[ONE].checked, images[ONE].trouble) == (True, True, "")
    assert images[TWO].missing == str(place.path / "_base" / "gone")
    assert images[THREE].trouble
    assert not images[THREE].followed
    bases = {entry.name: entry for entry in found.bases}
    assert bases["_base/empty"].trouble == "is empty"
    assert bases["_base/used"].space >= PIECES
    assert {entry.name for entry in found.entries} == {ONE, TWO, THREE, "_base"}
    assert found.use.servers.keys() == {ONE, TWO, THREE}


def test_a_format_is_never_guessed_from_what_the_guest_wrote(place: Place) -> None:
    note_formats(place.path / ONE, disk="raw")
    run(
        "qemu-img",
        "create",
        "-q",
        "-f",
        "qcow2",
        "-u",
        "-b",
        "/etc/hostname",
        "-F",
        "raw",
        place.path / ONE / "disk",
        "1M",
    )
    (image,) = [each for each in place.files.survey(str(place.path)).images if each.file.startswith(ONE)]
    assert (image.format, image.chain, image.trouble) == ("raw", (), "")


def test_what_belongs_to_nobody_is_moved_and_kept(place: Place) -> None:
    before = digest(place.path / ONE / "disk")
    where = Path(place.move(ONE))
    assert where == place.path / "_nodeops-quarantine" / "now-d-1" / ONE
    assert digest(where / "disk") == before
    assert not (place.path / ONE).exists()
    assert '"why": "it was deleted"' in (where.parent / "manifest.jsonl").read_text()
    (held,) = place.files.survey(str(place.path)).quarantined
    assert held.space > 0


def test_what_is_in_use_or_changed_stays(place: Place) -> None:
    entry = place.entry(ONE)
    with (place.path / ONE / "disk").open("rb"), pytest.raises(HostTroubleError, match="in use"):
        place.move(ONE)
    Guest(ONE, place.domains / ONE, place.path / ONE / "disk").become("shut off", run="-")
    with pytest.raises(HostTroubleError, match="in use"):
        place.move(ONE)
    shutil.rmtree(place.domains / ONE)
    young = HostInstanceFiles(place.files.on_host)
    with pytest.raises(HostTroubleError, match="changed since"):
        young.quarantine(str(place.path), entry, "x", kind="deleted", why="", run="d-1")
    (place.path / ONE).rename(place.path / "aside")
    shutil.copytree(place.path / "aside", place.path / ONE)
    with pytest.raises(HostTroubleError, match="not what it was"):
        place.files.quarantine(str(place.path), entry, "x", kind="deleted", why="", run="d-1")
    odd = Entry("../x", is_directory=True, inode=0, space=0, newest=0.0)
    with pytest.raises(HostTroubleError, match="no entry"):
        place.files.quarantine(str(place.path), odd, "x", kind="deleted", why="", run="d-1")
    assert (place.path / ONE / "disk").is_file()


@pytest.mark.parametrize("same", [True, False])
def test_a_salvage_copies_with_checksums_and_goes_on(place: Place, *, same: bool, tmp_path: Path) -> None:
    names = wanted(place.files.survey(str(place.path)), {ONE}, everything=False)
    assert names == ("_base/used", ONE)
    listed = place.files.salvage_list(str(place.path), names)
    copier = Copier(place.files, place.files, str(place.path), str(tmp_path), same=same)
    begun = tmp_path / "_base" / "used.nodeops-part"
    begun.parent.mkdir()
    begun.write_bytes(b"\1" * PIECES)
    for file in listed.files:
        copier.copy(file)
    assert copier.copied == len(listed.files)
    for file in listed.files:
        assert digest(tmp_path / file.name) == digest(place.path / file.name)
        assert (tmp_path / file.name).stat().st_mtime == pytest.approx(file.modified, abs=1)
    assert (tmp_path / "_base" / "used").stat().st_blocks * 512 < 2 * PIECES, "zeros are a hole"
    checked = run("sh", "-c", f"cd {tmp_path} && sha256sum -c SHA256SUMS")
    assert checked.count("OK") == len(listed.files)
    again = Copier(place.files, place.files, str(place.path), str(tmp_path), same=same)
    for file in listed.files:
        again.copy(file)
    assert (again.copied, again.there) == (0, len(listed.files))


def test_a_salvage_overwrites_nothing_and_notices_a_wrong_copy(place: Place, tmp_path: Path) -> None:
    listed = place.files.salvage_list(str(place.path), (ONE,))
    disk = next(file for file in listed.files if file.name.endswith("/disk"))
    copier = Copier(place.files, place.files, str(place.path), str(tmp_path), same=True)
    (tmp_path / ONE).mkdir()
    (tmp_path / disk.name).write_text("another")
    with pytest.raises(HostTroubleError, match="another file"):
        copier.copy(disk)
    assert (tmp_path / disk.name).read_text() == "another"
    (tmp_path / disk.name).unlink()
    (tmp_path / f"{disk.name}.nodeops-part").write_bytes(b"\7" * PIECES)
    with pytest.raises(HostTroubleError, match="differs"):
        copier.copy(disk)
    assert not (tmp_path / disk.name).exists()
    copier.copy(disk)
    assert digest(tmp_path / disk.name) == digest(place.path / disk.name)


def test_a_use_tells_who_has_what_open(place: Place) -> None:
    Guest(TWO, place.domains / TWO, place.path / TWO / "disk").become("running", run="3")
    with (place.path / "_base" / "used").open("rb"):
        use = place.files.use(str(place.path))
    assert use.uses("_base/used") == "a process has it open"
    assert TWO in use.uses(TWO)
    assert use.uses(ONE) == ""
    assert use.inode == place.path.stat().st_ino
    assert abs(use.now - time.time()) < 60
    assert Path(use.path).samefile(place.path)
