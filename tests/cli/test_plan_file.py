"""Plan files: written, read back, refused when they are not what was written."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from nodeops.cli import plan_file
from nodeops.errors import ConfigurationError, StalePlanError
from nodeops.plan import Plan
from tests.sample import PLAN


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "c01.json"
    plan_file.write(path, PLAN)
    return path


def test_what_is_written_is_read(path: Path) -> None:
    assert plan_file.read(path) == PLAN
    assert plan_file.read(path, cloud=PLAN.cloud) == PLAN
    assert json.loads(path.read_text())["digest"] == PLAN.digest


def test_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    plan_file.write(Path("-"), PLAN)
    assert plan_file.loads(capsys.readouterr().out, "stdout") == PLAN


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"target": "c02"', '"target": "c09"'),
        ('"live-migrate"', '"cold-migrate"'),
        ('"host": "c01"', '"host": "c07"'),
        ('"refusal_class": "local-disk"', '"refusal_class": "locked"'),
        ('"parallel": 2', '"parallel": 9'),
    ],
)
def test_edited_by_hand(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))
    with pytest.raises(ConfigurationError, match="was changed after it was written") as caught:
        plan_file.read(path)
    assert str(path) in caught.value.message


def test_another_cloud(path: Path) -> None:
    with pytest.raises(StalePlanError, match=r"made for http://keystone\.example") as caught:
        plan_file.read(path, cloud="https://elsewhere RegionTwo")
    assert "https://elsewhere" in caught.value.message


def test_another_version(path: Path) -> None:
    path.write_text(path.read_text().replace('"version": 1', '"version": 0'))
    with pytest.raises(StalePlanError, match="version 0"):
        plan_file.read(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        "[]",
        "{}",
        '{"format": "something else"}',
        '{"format": "nodeops plan", "version": 1}',
        '{"format": "nodeops plan", "version": 1, "steps": 7}',
    ],
)
def test_no_plan_at_all(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="is no plan"):
        plan_file.read(path)


@pytest.mark.parametrize("key", ["steps", "servers", "options", "findings", "targets"])
@pytest.mark.parametrize("value", [None, 3, "x", [1], [{}], {"a": 1}])
def test_any_damage_is_told_in_words(path: Path, key: str, value: object) -> None:
    body = json.loads(path.read_text())
    body[key] = value
    path.write_text(json.dumps(body))
    with pytest.raises(ConfigurationError):
        plan_file.read(path)


def test_not_there_and_not_writable(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        plan_file.read(tmp_path / "none.json")
    with pytest.raises(ConfigurationError, match="No such file"):
        plan_file.write(tmp_path / "none" / "c01.json", PLAN)


def test_binary(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="is no plan"):
        plan_file.read(path)


class TestDifference:
    def test_none(self) -> None:
        assert plan_file.difference(PLAN, replace(PLAN, expected_seconds=1.0)) == []

    def test_servers(self) -> None:
        web1, web2, *rest = PLAN.servers
        new = replace(PLAN, servers=(replace(web1, target="c09"), replace(web2, id="new", name="new"), *rest))
        lines = plan_file.difference(PLAN, new)
        assert "web-1: was to live-migrate to c02, is now to live-migrate to c09" in lines
        assert "web-2: is not on c01 any more" in lines
        assert "new: came to c01 since" in lines

    def test_refusals(self) -> None:
        scratch = next(server for server in PLAN.servers if server.name == "scratch")
        new = self.with_server(replace(scratch, refusals=()))
        assert plan_file.difference(PLAN, new) == [
            "scratch: was to stay (local-disk), is now to be left alone"
        ]

    def test_steps_and_options(self) -> None:
        new = replace(PLAN, steps=PLAN.steps[1:], options=dict(PLAN.options) | {"parallel": 4})
        assert plan_file.difference(PLAN, new) == [
            "option parallel: was 2, is 4",
            "c01: disable-service is not needed any more",
        ]

    def test_a_digest_that_differs_is_explained(self) -> None:
        step = PLAN.steps[1]
        for changed in (
            replace(step, params={"vm_state": "paused"}),
            replace(step, needs=()),
            replace(step, gates=("target-serves",)),
            replace(step, target="c08"),
        ):
            new = replace(PLAN, steps=(PLAN.steps[0], changed, *PLAN.steps[2:]))
            assert new.digest != PLAN.digest
            assert plan_file.difference(PLAN, new), changed

    def with_server(self, server: object) -> Plan:
        name = getattr(server, "name")  # noqa: B009 - any server
        return replace(PLAN, servers=tuple(server if s.name == name else s for s in PLAN.servers))  # type: ignore[misc]
