from pathlib import Path

import pytest

from nodeops.errors import ConfigurationError
from nodeops.inventory import EMPTY, DatabaseUrl, Inventory, Place, ServiceManager, load, parse
from nodeops.inventory.variables import VARIABLES
from nodeops.model.facts import HostSettings, Storage

EXAMPLE = Path(__file__).parents[3] / "inventory.example.ini"


def read(text: str) -> Inventory:
    return parse(text.encode(), "inv.ini")


def refused(text: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        read(text)
    assert caught.value.exit_code == 4
    return caught.value


def test_a_host_with_everything() -> None:
    inventory = read(
        """
        [compute]
        c01 ansible_host=192.0.2.11 ansible_port=2222 nodeops_nova_host=c01.example.org

        [compute:vars]
        ansible_user = ubuntu
        nodeops_ssh_user = nodeops
        nodeops_storage = local
        nodeops_migration_rate = 1.5G
        nodeops_instances_path = /srv/instances
        nodeops_service_manager = podman
        nodeops_fence_command = fence {host} {address}
        nodeops_nova_database = mysql+pymysql://nodeops@db/nova?read_default_file=/etc/nodeops/db.cnf
        """
    )
    assert inventory.place("c01.example.org") == Place(
        name="c01",
        nova_host="c01.example.org",
        address="192.0.2.11",
        port=2222,
        user="nodeops",
        storage=Storage.LOCAL,
        rate_mib=1536.0,
        instances_path="/srv/instances",
        service_manager=ServiceManager.PODMAN,
        nova_compute_unit="nova_compute",
        said_services=frozenset({"manager"}),
        fence_command="fence {host} {address}",
        databases={
            "nova": DatabaseUrl("mysql+pymysql://nodeops@db/nova?read_default_file=/etc/nodeops/db.cnf")
        },
    )
    assert inventory.settings("c01.example.org") == HostSettings(Storage.LOCAL, 1536.0)
    assert inventory.groups["compute"] == ("c01.example.org",)


def test_a_bare_host_has_the_defaults() -> None:
    assert read("c01").place("c01") == Place(name="c01", nova_host="c01", address="c01")


def test_a_host_that_is_not_listed_has_default_settings() -> None:
    inventory = read("[all:vars]\nnodeops_storage=shared\n[compute]\nc01\n")
    assert inventory.settings("c01").storage is Storage.SHARED
    assert inventory.settings("c011") == HostSettings()
    assert inventory.place("c0") is None
    assert EMPTY.settings("c01") == HostSettings()


def test_other_peoples_variables_are_ignored() -> None:
    inventory = read("c01 http_port=1 ansible_become=yes storage=42\n[all:vars]\nfoo={{ bar }}\n")
    assert inventory.place("c01") == Place(name="c01", nova_host="c01", address="c01")
    assert inventory.warnings == ()


def test_an_unknown_variable_of_nodeops_is_warned_of_once() -> None:
    inventory = read("[compute]\nc01\nc02\n[compute:vars]\nnodeops_storrage = shared\n")
    where, what = "inventory inv.ini, line 5: ", "nodeops_storrage is no variable of nodeops"
    assert inventory.warnings == (f"{where}{what}; did you mean nodeops_storage?",)


def test_a_template_in_ansibles_variable_is_ignored_with_a_warning() -> None:
    inventory = read("c01 ansible_host='{{ address }}'\n")
    place = inventory.place("c01")
    assert place is not None
    assert place.address == "c01"
    assert "line 1: ansible_host is a template" in inventory.warnings[0]


def test_two_places_of_one_nova_host() -> None:
    error = refused("a nodeops_nova_host=c01\nc01\n")
    assert error.message == "inventory inv.ini: a and c01 are both Nova's c01"


@pytest.mark.parametrize(
    ("setting", "words", "hint"),
    [
        ("nodeops_storage=nfs", "nodeops_storage of c01 'nfs' is none of shared, local", "Ceph"),
        ("nodeops_storage=unknown", "is none of shared, local", "Ceph"),
        ("nodeops_migration_rate=400", "nodeops_migration_rate of c01 400 is no rate", "unit"),
        ("nodeops_migration_rate=0M", "is no rate", "unit"),
        ("nodeops_instances_path=instances", "is no absolute path", ""),
        ("nodeops_service_manager=upstart", "is none of systemd, docker, podman", ""),
        ("nodeops_nova_compute_unit='a; reboot'", "is no name of a unit or container", ""),
        (
            "nodeops_fence_command='fence {node}'",
            "has a place holder other than {host}, {address} and {action}",
            "",
        ),
        (
            "nodeops_power_status_command='ask {action}'",
            "has a place holder other than {host} and {address}",
            "",
        ),
        ("nodeops_ssh_jump='a b'", "is no [USER@]HOST[:PORT]", ""),
        ("nodeops_ssh_jump=-oProxyCommand=x", "is no [USER@]HOST[:PORT]", ""),
        ("nodeops_ssh_sudo=perhaps", "is neither yes nor no", "Write yes or no."),
        ("nodeops_ssh_key=id_rsa", "is no absolute path", "~/"),
        ('nodeops_fence_command="fence \'x"', "is no command line (no closing quotation)", ""),
        ("nodeops_nova_host='{{ x }}'", "is a template, and only Ansible can evaluate it", ""),
        ("ansible_port=ssh", "ansible_port of c01 'ssh' is no port", ""),
        ("ansible_port=70000", "is no port", ""),
        ("ansible_user=True", "ansible_user of c01 True is no text", ""),
        ("nodeops_nova_database=oracle://db/nova", "is no database URL", "NODEOPS_NOVA_DATABASE"),
        ("nodeops_nova_database=file:database.url", "is no absolute path", "read_default_file"),
    ],
)
def test_a_bad_value_is_named_with_file_line_and_reason(setting: str, words: str, hint: str) -> None:
    error = refused(f"# first line\nc01 {setting}\n")
    assert error.message.startswith("inventory inv.ini, line 2: ")
    assert words in error.message
    assert hint in error.hint


@pytest.mark.parametrize(
    "setting",
    [
        "nodeops_nova_database=mysql+pymysql://nova:hunter2@db/nova",
        "nodeops_nova_database=oracle://nova:hunter2@db/nova",
        "nodeops_neutron_database=mysql://db/neutron?user=x&password=hunter2",
        "nodeops_nova_api_database=postgresql://nova:hunter2@/nova",
        "nodeops_fence_command='ipmitool -U admin -P hunter2 power off'",
        "nodeops_fence_command='fence --password=hunter2'",
        "nodeops_fence_command='fence_ipmilan -p hunter2 -o {action}'",
        "nodeops_fence_command='curl -u admin:hunter2 https://{host}-bmc/'",
        "nodeops_fence_command='curl https://admin:hunter2@{host}-bmc/'",
        "ansible_password = hunter2",
    ],
)
def test_a_secret_is_refused_and_never_repeated(setting: str) -> None:
    error = refused(f"c01 {setting}\n")
    assert "hunter2" not in error.message + error.hint
    assert error.hint


def test_the_way_out_for_a_password_is_told() -> None:
    error = refused("c01 nodeops_nova_database=mysql://nova:hunter2@db/nova\n")
    assert error.message == "inventory inv.ini, line 1: nodeops_nova_database of c01 has a password in it"
    for way in ("read_default_file", "file:/etc/nodeops/database.url", "NODEOPS_NOVA_DATABASE"):
        assert way in error.hint


def test_the_journal_is_of_the_whole_inventory() -> None:
    assert read("[all:vars]\nnodeops_journal=sqlite:////srv/j.db\n").journal == DatabaseUrl(
        "sqlite:////srv/j.db"
    )
    assert read("c01").journal is None
    assert "Move it to [all:vars]" in refused("c01 nodeops_journal=sqlite:///j.db\n").hint


def test_a_bad_journal_without_any_host_is_an_error_too() -> None:
    assert "has a password in it" in refused("[all:vars]\nnodeops_journal=mysql://a:hunter2@b/c\n").message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"---\nall:\n", "is YAML"),
        (b'\n{"all": {}}', "is JSON"),
        (b"#!/usr/bin/python3\n", "is a program"),
        (b"$ANSIBLE_VAULT;1.1;AES256\n", "is encrypted"),
        (b"c01\nc02 x=\xff\n", "line 2: is not UTF-8"),
    ],
)
def test_what_is_no_ini(content: bytes, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        parse(content, "inv.ini")


def test_a_comment_in_another_encoding_and_a_byte_order_mark() -> None:
    assert list(parse(b"# caf\xe9\nc01\n", "inv.ini").places) == ["c01"]
    assert list(parse(b"\xef\xbb\xbf[compute]\nc01\n", "inv.ini").places) == ["c01"]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"inventory .*/none\.ini: no such file or directory"):
        load(tmp_path / "none.ini")
    with pytest.raises(ConfigurationError, match="is a directory"):
        load(tmp_path)


def test_the_example_can_be_used_as_it_is() -> None:
    inventory = load(EXAMPLE)
    assert inventory.warnings == ()
    assert len(inventory.groups["compute"]) == 12
    assert inventory.settings("c01.example.org").storage is Storage.SHARED


def test_the_example_shows_every_variable() -> None:
    text = EXAMPLE.read_text()
    assert [variable.name for variable in VARIABLES if variable.name not in text] == []


def test_every_documented_example_is_accepted() -> None:
    assert [variable.name for variable in VARIABLES if variable.read(variable.example) is None] == []
