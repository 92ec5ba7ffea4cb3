import pytest
from sqlalchemy import create_engine, text

pytestmark = [pytest.mark.services, pytest.mark.xdist_group("services")]


def test_a_real_mariadb_answers(mariadb: str) -> None:
    engine = create_engine(mariadb)
    with engine.connect() as connection:
        version = connection.execute(text("SELECT VERSION()")).scalar_one()
    engine.dispose()
    assert "MariaDB" in version
