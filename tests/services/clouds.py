"""Databases of a cloud as a release made them, filled with hosts, servers and their ports."""

import gzip
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

from sqlalchemy import (
    Boolean,
    DateTime,
    Engine,
    MetaData,
    Table,
    create_engine,
    insert,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import Enum, Float, Integer, String

from nodeops.clients.databases import DatabaseRecords
from nodeops.model.records import (
    AttachmentRewrite,
    BindingRewrite,
    HostRecords,
    ServerRecord,
    ServerRewrite,
)

SCHEMAS = Path(__file__).parent / "schemas"
RELEASES = ("zed", "2024.1", "2026.2")
DATABASES = ("nova_api", "nova", "neutron")
CELL, OTHER_CELL = "11111111-0000-4000-8000-000000000001", "11111111-0000-4000-8000-000000000002"
THEN = datetime(2026, 11, 20, 12, 30, 15)  # noqa: DTZ001 - as the columns hold it
SECRET = "chap-secret"


def uuid(name: str) -> str:
    return str(uuid5(NAMESPACE_DNS, name))


@dataclass
class Cloud:
    """Its databases, by name."""

    engine_name: str
    urls: Mapping[str, str]
    engines: dict[str, Engine] = field(default_factory=dict)
    tables: dict[tuple[str, str], Table] = field(default_factory=dict)
    records: DatabaseRecords = field(init=False)

    def __post_init__(self) -> None:
        self.engines = {name: create_engine(url) for name, url in self.urls.items()}
        self.records = DatabaseRecords(lambda name, _host: self.urls.get(name))

    def close(self) -> None:
        self.records.close()
        for engine in self.engines.values():
            engine.dispose()

    def table(self, database: str, name: str) -> Table:
        if (database, name) not in self.tables:
            engine = self.engines[database]
            self.tables[database, name] = Table(name, MetaData(), autoload_with=engine, resolve_fks=False)
        return self.tables[database, name]

    def add(self, database: str, into: str, /, **values: Any) -> int:
        """A row; what must be said and is not gets something that fits. Returns its id, where it has one."""
        table = self.table(database, into)
        with self.engines[database].begin() as connection:
            made = connection.execute(insert(table).values(**self.complete(table, values)))
            keys = made.inserted_primary_key
        return int(keys[0]) if keys and isinstance(keys[0], int) else 0

    def complete(self, table: Table, values: Mapping[str, Any]) -> dict[str, Any]:
        """A whole row, as far as the table has these columns."""
        row = {key: value for key, value in values.items() if key in table.c}
        for column in table.c:
            needed = (
                not column.nullable and column.server_default is None and column.autoincrement is not True
            )
            key = column.primary_key and isinstance(column.type, Integer) and len(table.primary_key) == 1
            if column.name not in row and needed and not key:
                row[column.name] = _something(column.type)
        return row

    def rows(self, database: str, name: str, /, **where: Any) -> list[dict[str, Any]]:
        """In the order of the primary key."""
        table = self.table(database, name)
        conditions = [table.c[key] == value for key, value in where.items()]
        query = select(table).where(*conditions).order_by(*table.primary_key.columns)
        with self.engines[database].connect() as connection:
            return [dict(row._mapping) for row in connection.execute(query)]

    def change(self, database: str, statement: str, **values: Any) -> None:
        with self.engines[database].begin() as connection:
            connection.execute(text(statement), values)

    def everything(self) -> dict[str, list[dict[str, Any]]]:
        """Every row that a rewrite might touch, but tombstones, which an undo leaves as `failed`."""
        places = (
            ("nova", "instances"),
            ("nova", "block_device_mapping"),
            ("nova", "console_auth_tokens"),
            ("neutron", "ports"),
            ("neutron", "ml2_port_bindings"),
            ("neutron", "ml2_port_binding_levels"),
            ("neutron", "ml2_distributed_port_bindings"),
        )
        return {name: self.rows(database, name) for database, name in places}

    # -- furniture

    def furnish(self, hosts: tuple[str, ...] = ("c01", "c02")) -> None:
        self.cell_ids = {
            cell: self.add(
                "nova_api", "cell_mappings", uuid=cell, name=cell[-1], transport_url="", disabled=False
            )
            for cell in (CELL, OTHER_CELL)
        }
        self.segment = self._segment()
        for host in hosts:
            self.add_host(host)

    def _segment(self) -> str:
        attribute = self.add("neutron", "standardattributes", resource_type="networks", revision_number=1)
        self.add("neutron", "networks", id=uuid("net"), standard_attr_id=attribute, project_id="p")
        attribute = self.add("neutron", "standardattributes", resource_type="networksegments")
        segment = uuid("segment")
        self.add(
            "neutron",
            "networksegments",
            id=segment,
            network_id=uuid("net"),
            network_type="flat",
            standard_attr_id=attribute,
        )
        return segment

    def add_host(self, host: str, cell: str = CELL) -> int:
        self.add("nova_api", "host_mappings", host=host, cell_id=self.cell_ids[cell])
        self.add(
            "nova",
            "services",
            host=host,
            binary="nova-compute",
            topic="compute",
            report_count=0,
            deleted=0,
            disabled=False,
            forced_down=False,
            uuid=uuid(f"service {host}"),
            version=66,
        )
        return self.add(
            "nova",
            "compute_nodes",
            host=host,
            hypervisor_hostname=f"{host}.example",
            host_ip="192.0.2.1",
            hypervisor_type="QEMU",
            uuid=uuid(f"node {host}"),
            deleted=0,
        )

    def add_server(self, name: str, host: str = "c01", **more: Any) -> str:
        """With a volume on iSCSI, a console token, and a port bound where it is."""
        server_id = uuid(name)
        node = f"{host}.example"
        found = self.rows("nova", "compute_nodes", hypervisor_hostname=node)
        row: dict[str, Any] = {
            "uuid": server_id,
            "display_name": name,
            "hostname": name,
            "host": host,
            "node": node,
            "launched_on": host,
            "availability_zone": "az1",
            "vm_state": "active",
            "task_state": None,
            "power_state": 1,
            "deleted": 0,
            "created_at": THEN,
            "updated_at": THEN,
            "launched_at": THEN,
            "compute_id": found[0]["id"] if found else None,
            "project_id": "p",
            "user_id": "u",
        }
        self.add("nova", "instances", **row | more)
        self.add("nova", "instance_extra", instance_uuid=server_id, deleted=0, pci_requests="[]")
        self._map(server_id)
        self._add_volume(name, server_id)
        self._add_console(server_id, host)
        self.add_port(name, server_id, host)
        return server_id

    def _map(self, server_id: str) -> None:
        """What the API's own database has of a server."""
        self.add(
            "nova_api",
            "instance_mappings",
            instance_uuid=server_id,
            cell_id=self.cell_ids[CELL],
            project_id="p",
        )
        spec = json.dumps({"nova_object.data": {"availability_zone": None}})
        self.add("nova_api", "request_specs", instance_uuid=server_id, spec=spec)

    def _add_volume(self, name: str, server_id: str) -> None:
        info = {
            "driver_volume_type": "iscsi",
            "data": {"auth_password": SECRET},
            "serial": uuid(f"volume {name}"),
        }
        self.add(
            "nova",
            "block_device_mapping",
            instance_uuid=server_id,
            source_type="volume",
            deleted=0,
            destination_type="volume",
            volume_id=uuid(f"volume {name}"),
            attachment_id=uuid(f"old {name}"),
            device_name="/dev/vdb",
            boot_index=-1,
            connection_info=json.dumps(info),
            updated_at=THEN,
            uuid=uuid(f"mapping {name}"),
        )

    def _add_console(self, server_id: str, host: str) -> None:
        self.add(
            "nova",
            "console_auth_tokens",
            instance_uuid=server_id,
            token_hash=server_id,
            host=host,
            port=1,
            console_type="novnc",
            expires=1,
            internal_access_path=None,
            access_url_base=None,
        )

    def add_port(self, name: str, device_id: str, host: str, owner: str = "compute:az1") -> str:
        port_id = uuid(f"port {name}")
        attribute = self.add("neutron", "standardattributes", resource_type="ports", revision_number=14)
        self.add(
            "neutron",
            "ports",
            id=port_id,
            network_id=uuid("net"),
            device_id=device_id,
            device_owner=owner,
            status="ACTIVE",
            admin_state_up=True,
            mac_address=_mac(name),
            standard_attr_id=attribute,
            project_id="p",
        )
        self.bind(port_id, host)
        return port_id

    def bind(self, port_id: str, host: str, status: str = "ACTIVE") -> None:
        self.add(
            "neutron",
            "ml2_port_bindings",
            port_id=port_id,
            host=host,
            status=status,
            vif_type="ovs",
            vnic_type="normal",
            profile="{}",
            vif_details=json.dumps({"bridge_name": f"br-{host}"}),
        )
        for level in (0, 1):
            self.add(
                "neutron",
                "ml2_port_binding_levels",
                port_id=port_id,
                host=host,
                level=level,
                driver="openvswitch",
                segment_id=self.segment,
            )

    # -- what a rewrite asks

    def host_records(self, source: str = "c01", target: str | None = "c02") -> HostRecords:
        return self.records.host_records(source, target)

    def server(self, server_id: str) -> ServerRecord:
        return self.records.server_records([server_id], "c01")[server_id]

    def rewrite_of(self, server_id: str) -> ServerRewrite:
        records, record = self.host_records(), self.server(server_id)
        assert records.target is not None
        changed: dict[str, Any] = {
            "host": "c02",
            "node": "c02.example",
            "launched_on": "c02",
            "availability_zone": "az2",
            "task_state": None,
            "power_state": 0,
        }
        tombstone: dict[str, Any] = {
            "uuid": uuid(f"tombstone {server_id} {record.updated_at}"),
            "instance_uuid": server_id,
            "migration_type": "evacuation",
            "status": "done",
            "source_compute": "c01",
            "source_node": "c01.example",
            "dest_compute": "c02",
            "dest_node": "c02.example",
            "dest_host": "192.0.2.1",
            "hidden": False,
            "cross_cell_move": False,
        }
        if records.schema.has_compute_id:
            changed["compute_id"] = tombstone["dest_compute_id"] = records.target.compute_id
        expected = {
            "host": record.host,
            "node": record.node,
            "vm_state": record.vm_state,
            "task_state": record.task_state,
            "updated_at": record.updated_at,
        }
        return ServerRewrite(server_id, expected, changed, tombstone)

    def bindings_of(self, server_id: str, *, unbind: bool = False) -> BindingRewrite:
        ports = tuple(each.port_id for each in self.server(server_id).bindings if each.status == "ACTIVE")
        return BindingRewrite(server_id, ports, "c01", "c02", unbind=unbind)

    def attachment_of(self, server_id: str) -> AttachmentRewrite:
        volume = self.server(server_id).volumes[0]
        info = {"driver_volume_type": "iscsi", "data": {"target": "new"}, "serial": volume.volume_id}
        return AttachmentRewrite(volume.mapping_id, str(volume.attachment_id), uuid("new"), info)


def _something(kind: Any) -> Any:
    if isinstance(kind, Boolean):
        return False
    if isinstance(kind, Enum):
        return kind.enums[0]
    if isinstance(kind, Integer | Float):
        return 0
    if isinstance(kind, DateTime):
        return THEN
    if isinstance(kind, String):
        return ""
    return 0


def _mac(name: str) -> str:
    digits = uuid(name).replace("-", "")
    return "02:" + ":".join(digits[at : at + 2] for at in range(0, 10, 2))


def load(engine_name: str, server_url: str, release: str, prefix: str) -> dict[str, str]:
    """Make that release's databases, empty; their URLs by name."""
    urls = {}
    for database in DATABASES:
        name = f"{prefix}_{database}"
        admin = create_engine(server_url, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            made = " CHARACTER SET utf8mb3" if engine_name == "mariadb" else ""
            connection.execute(text(f"CREATE DATABASE {name}{made}"))
        admin.dispose()
        urls[database] = make_url(server_url).set(database=name).render_as_string(hide_password=False)
        dump = gzip.decompress((SCHEMAS / f"{release}-{database}.{engine_name}.sql.gz").read_bytes()).decode()
        _execute(urls[database], engine_name, dump)
    return urls


def _execute(url: str, engine_name: str, dump: str) -> None:
    """Tables refer to others that were left out: such references are not checked."""
    engine = create_engine(url)
    with engine.connect() as connection:
        if engine_name == "mariadb":
            connection.exec_driver_sql("SET foreign_key_checks = 0")
        for statement in _statements(dump):
            try:
                connection.exec_driver_sql(statement)
            except DBAPIError as error:
                connection.rollback()
                # PostgreSQL refuses a reference to a table that was left out.
                if "FOREIGN KEY" not in statement or "does not exist" not in str(error):
                    raise
            connection.commit()
    engine.dispose()


def _statements(dump: str) -> Iterator[str]:
    """One by one; comments and psql's own commands are left out."""
    lines = [line for line in dump.splitlines() if not line.startswith(("--", "\\"))]
    for statement in "\n".join(lines).split(";\n"):
        if statement.strip().strip(";"):
            yield statement.strip()


@contextmanager
def cloud(engine_name: str, server_url: str, release: str, prefix: str) -> Iterator[Cloud]:
    """A furnished one."""
    found = Cloud(engine_name, load(engine_name, server_url, release, prefix))
    found.furnish()
    try:
        yield found
    finally:
        found.close()
