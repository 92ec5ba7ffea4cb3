"""`nodeops audit` after somebody has moved a dead host's servers by the plain SQL of an old guide."""

from collections.abc import Sequence

from sqlalchemy import bindparam, create_engine, text

from tests.lab.bed import Bed, Result
from tests.lab.dead_host import come_back, lose

FOUND = 30
LEFT = {"moved-without-record", "allocation-elsewhere", "node-disagrees"}
"""What three UPDATEs forget of every server."""
SERVERS = "UPDATE instances SET host = :to WHERE deleted = 0 AND uuid IN :ids"
BINDINGS = (
    "UPDATE ml2_port_bindings SET host = :to WHERE port_id IN (SELECT id FROM ports WHERE device_id IN :ids)"
)
LEVELS = (
    "UPDATE ml2_port_binding_levels SET host = :to "
    "WHERE port_id IN (SELECT id FROM ports WHERE device_id IN :ids)"
)


def by_hand(bed: Bed, ids: Sequence[str], target: str) -> None:
    """The guide's three statements, for these servers alone."""
    for database, statements in (("nova", [SERVERS]), ("neutron", [BINDINGS, LEVELS])):
        engine = create_engine((bed.root / "etc" / f"{database}-database.url").read_text().strip())
        with engine.begin() as connection:
            for statement in statements:
                query = text(statement).bindparams(bindparam("ids", expanding=True))
                assert connection.execute(query, {"to": target, "ids": list(ids)}).rowcount
        engine.dispose()


def audit(bed: Bed) -> Result:
    return bed.run("audit", "-o", "json", **bed.reached)


def test_what_the_plain_sql_of_a_guide_breaks_is_found_and_told(bed: Bed) -> None:
    names = bed.boot("c01", 2)
    ids = [bed.servers()[name]["id"] for name in names]
    lose(bed, "c01")
    by_hand(bed, ids, "c02")
    assert set(bed.hosts_of(names).values()) == {"c02"}
    result = audit(bed)
    assert result.code == FOUND, result.err
    found = {(each["name"], each["class"]) for each in result.json["findings"]}
    assert {(name, kind) for name in names for kind in LEFT} <= found
    assert all(each["cause"] and each["repair"] for each in result.json["findings"])
    by_hand(bed, ids, "c01")
    come_back(bed, "c01")
    bed.until(lambda: bed.service("c01")["state"] == "up")
    clean = {each["class"] for each in audit(bed).json["findings"] if each["serious"]}
    assert not clean & LEFT
