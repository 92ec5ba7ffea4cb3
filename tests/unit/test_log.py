import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from nodeops.log import conceal, debug_log, redact

TOKEN = "gAAAAABmQ2hhbmdlIHRoaXMgdG9rZW4gYmVmb3JlIHVzZQ=="
SECRET = "hunter2-hunter2"
LINES = [
    f'REQ: curl -H "X-Auth-Token: {TOKEN}" -H "Accept: application/json"',
    f"x-subject-token: {TOKEN}",
    "X-Service-Token: plain-old-uuid-" + SECRET,
    f"Authorization: Basic {SECRET}",
    f"{{'Set-Cookie': 'session={SECRET}; path=/'}}",
    f'{{"auth": {{"identity": {{"password": {{"user": {{"name": "a", "password": "{SECRET}"}}}}}}}}}}',
    f'{{"server": {{"adminPass": "{SECRET}", "id": "1"}}}}',
    f'{{"password": "with \\" quote {SECRET}"}}',
    f"{{'password': '{SECRET}', 'user': 'nova'}}",
    f"{{'secret': b'{SECRET}'}}",
    f"OS_PASSWORD={SECRET} nodeops drain c01",
    f"application_credential_secret: {SECRET}",
    f"['nodeops', '--os-password', '{SECRET}', 'drain']",
    f"nodeops --os-password {SECRET} drain c01",
    f"--os-application-credential-secret={SECRET}",
    f"connecting to mysql+pymysql://nova:{SECRET}@db.example.org/nova?charset=utf8",
    f"mysql://nova:p@ss/{SECRET}@db/nova",
    f"http://console.example.org:6080/vnc_auto.html?path=%3Ftoken%3D1&token={SECRET}",
    f"a token in the middle {TOKEN} of words",
    "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0." + SECRET,
]


@pytest.mark.parametrize("line", LINES)
def test_a_secret_is_hidden_and_the_rest_stays(line: str) -> None:
    shown = redact(line)
    assert SECRET not in shown
    assert TOKEN not in shown
    assert "***" in shown


@pytest.mark.parametrize(
    "line",
    [
        "GET http://127.0.0.1:8774/v2.1/servers/detail?host=c01&all_tenants=1 200 0.12 s",
        "server web-1 (5f1b): live-migrate to c02, request req-0c4e",
        '{"server": {"id": "1", "key_name": "mine", "status": "ACTIVE"}}',
        "mysql+pymysql://nodeops@db/nodeops?read_default_file=/etc/nodeops/mysql.cnf",
        "token expired, asking for another",
    ],
)
def test_what_is_no_secret_stays_as_it_is(line: str) -> None:
    assert redact(line) == line


def test_a_concealed_text_never_appears_whatever_stands_around_it() -> None:
    conceal("correct horse battery")
    conceal("abc")
    assert redact("said correct horse battery aloud, abc") == "said *** aloud, abc"


def write_all(logger: logging.Logger) -> None:
    for line in LINES:
        logger.debug("%s", line)
    try:
        int(f"password={SECRET}")
    except ValueError:
        logger.exception("it failed with token=%s", SECRET)


@pytest.mark.parametrize("name", ["nodeops.engine", "keystoneauth.session", "openstack.compute"])
def test_no_secret_reaches_the_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / "state" / "nodeops.log"
    with debug_log(path, wire=True) as trouble:
        write_all(logging.getLogger(name))
    written = path.read_text()
    assert trouble == ""
    assert len(written.splitlines()) > len(LINES)
    assert "Traceback" in written
    assert SECRET not in written
    assert TOKEN not in written
    assert path.stat().st_mode & 0o777 == 0o600


def test_calls_to_the_cloud_are_written_only_when_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "nodeops.log"
    with debug_log(path):
        logging.getLogger("keystoneauth.session").debug("REQ: GET /servers")
        logging.getLogger("nodeops.engine").debug("tick")
    assert "tick" in path.read_text()
    assert "REQ" not in path.read_text()


def test_everything_is_as_before_afterwards(tmp_path: Path) -> None:
    logger = logging.getLogger("nodeops")
    before = (logger.level, list(logger.handlers))
    with debug_log(tmp_path / "nodeops.log"):
        pass
    assert (logger.level, list(logger.handlers)) == before


def occupied(path: Path) -> Path:
    path.write_text("a file where a directory should be")
    return path / "nodeops.log"


def a_directory(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.mark.parametrize("obstacle", [occupied, a_directory])
def test_a_log_that_cannot_be_written_is_words_not_an_error(
    tmp_path: Path, obstacle: Callable[[Path], Path]
) -> None:
    with debug_log(obstacle(tmp_path / "state")) as trouble:
        logging.getLogger("nodeops").debug("nobody reads this")
    assert trouble.startswith("debug log ")


def test_a_full_disk_does_not_write_tracebacks_over_the_progress(capsys: pytest.CaptureFixture[str]) -> None:
    with debug_log(Path("/dev/full")) as trouble:
        logging.getLogger("nodeops").debug("no room for this")
    assert trouble == ""
    assert capsys.readouterr().err == ""
