"""What runs on hosts, where it needs no host: LVM, nbd devices, mount options, XML, the archive."""

import ast
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from nodeops.clients.on_host import archive
from nodeops.onhost import domains, exports, filesystems, lvm
from nodeops.onhost.folder import Folder
from nodeops.onhost.trouble import Trouble

ONHOST = Path(lvm.__file__).parent
TEXT = """
vg0 {
id = "1eJWXj-AT3J-GvCu-phFU-aPvA-ryeO-Ua3XDW"
seqno = 5
status = ["RESIZEABLE", "READ", "WRITE"]
flags = []
extent_size = 8192
physical_volumes {
pv0 {
id = "tg7tTZ-d3nT-7ESK-KDSd-xVEe-lPib-xvfMce"
pe_start = 2048
}
}
logical_volumes {
root {
status = ["READ", "VISIBLE"]
segment_count = 1
segment1 {
start_extent = 0
extent_count = 5
type = "striped"
stripe_count = 1	# linear
stripes = [
"pv0", 3
]
}
}
thin {
status = ["READ", "VISIBLE"]
segment1 {
start_extent = 0
extent_count = 5
type = "thin"
}
}
}
}
contents = "Text Format Volume Group"
"""


def test_lvm_text() -> None:
    document = lvm.parse(TEXT)
    assert document["vg0"]["seqno"] == 5
    assert document["vg0"]["flags"] == []
    assert document["contents"] == "Text Format Volume Group"
    root = document["vg0"]["logical_volumes"]["root"]
    assert root["segment1"]["stripes"] == ["pv0", 3]


@pytest.mark.parametrize("text", ["", "vg {", "a = ", "} }", "vg { a = [ 1, "])
def test_lvm_text_that_is_cut_off_is_no_crash(text: str) -> None:
    try:
        found = lvm.parse(text)
    except ValueError:
        return
    assert isinstance(found, dict)


def test_a_disk_without_lvm_has_no_volumes() -> None:
    assert lvm.volumes(BytesIO(b"\0" * 4096), 0) == []


def device(folder: Path, name: str, *, size: int = 0, pid: bool = False, holder: bool = False) -> None:
    (folder / name / "holders").mkdir(parents=True)
    (folder / name / "size").write_text(f"{size}\n")
    if pid:
        (folder / name / "pid").write_text("17\n")
    if holder:
        (folder / name / "holders" / "dm-0").touch()


def test_a_free_nbd_device_is_found_and_reserved(tmp_path: Path) -> None:
    assert exports.free_device(tmp_path) is None
    device(tmp_path, "nbd0", size=100)
    device(tmp_path, "nbd1", pid=True)
    device(tmp_path, "nbd2", holder=True)
    assert exports.free_device(tmp_path) is None
    device(tmp_path, "nbd10")
    device(tmp_path, "nbd9")
    assert exports.free_device(tmp_path) == "nbd9"
    assert exports.reserve("nbd9", tmp_path / "locks") is not None
    assert exports.reserve("nbd9", tmp_path / "locks") is None, "another look has it"


@pytest.mark.parametrize("kind", sorted({*filesystems.UNPLAYED, *filesystems.PLAIN}))
def test_a_read_only_mount_plays_no_journal(kind: str) -> None:
    options = filesystems.options_for(kind, writable=False).split(",")
    assert {"ro", "nosuid", "nodev", "noexec"} <= set(options)
    assert "rw" not in options
    played = filesystems.UNPLAYED.get(kind, "")
    assert played in ",".join(options)


def test_images_are_opened_without_locks_unless_for_writing(tmp_path: Path) -> None:
    file = tmp_path / "disk,with=signs"
    file.touch()
    node = exports.Image(str(file), "qcow2").node
    assert (node["read-only"], node["force-share"]) == (True, True)
    written = exports.Image(str(file), "qcow2", writable=True).node
    assert (written["read-only"], written["force-share"]) == (False, False)


def test_disks_of_a_domain() -> None:
    text = """<domain><devices>
    <disk type='file' device='disk'><driver type='qcow2'/><source file='/i/disk'/><target dev='vda'/></disk>
    <disk type='network' device='disk'><driver type='raw'/><source protocol='rbd' name='vms/x'/>
    <target dev='vdb'/></disk>
    <disk type='file' device='cdrom'><target dev='hda'/></disk></devices></domain>"""
    assert [(each.target, each.source, each.kind, each.format) for each in domains.disks(text)] == [
        ("vda", "/i/disk", "file", "qcow2"),
        ("vdb", "vms/x", "network", "raw"),
        ("hda", "", "file", ""),
    ]


def test_one_folder_for_a_server_at_a_time(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "s1")
    folder.make({"server": "s1"})
    with pytest.raises(Trouble, match="somebody looks"):
        Folder(tmp_path, "s1").make({"server": "s1"})
    folder.note(left=[])
    folder.close()
    assert not folder.exists
    assert folder.ended()["phase"] == "ended"


def test_a_folder_is_not_closed_over_what_is_in_it(tmp_path: Path) -> None:
    """What would be there if something were still mounted is never removed."""
    folder = Folder(tmp_path, "s1")
    folder.make({"server": "s1"})
    (folder.mounted / "p1").mkdir(parents=True)
    (folder.mounted / "p1" / "guests-file").touch()
    with pytest.raises(OSError, match="not empty"):
        folder.close()
    assert (folder.mounted / "p1" / "guests-file").exists()


def test_it_needs_nothing_but_an_old_python() -> None:
    standard = sys.stdlib_module_names
    for path in ONHOST.glob("*.py"):
        tree = ast.parse(path.read_text(), feature_version=(3, 8))
        for node in ast.walk(tree):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            for name in names:
                assert name.split(".")[0] in standard or name.startswith("nodeops.onhost"), (path.name, name)


def test_the_archive_is_the_same_every_time() -> None:
    with zipfile.ZipFile(BytesIO(archive())) as found:
        names = set(found.namelist())
    assert {"__main__.py", "nodeops/__init__.py", "nodeops/onhost/main.py"} <= names
    archive.cache_clear()
    first = archive()
    archive.cache_clear()
    assert archive() == first
