"""`nodeops watch` on a real Nova: an image through all its task states, and each way to end."""

import json

from tests.lab.aside import IMAGE_MADE, Aside


def test_an_image_is_followed_until_the_server_is_gone(aside: Aside) -> None:
    aside.boot("s-watched", metadata={"nodeops:snapshot-seconds": "4"})
    process = aside.bed.start(
        "watch", "s-watched", "--until", "gone", "--timeout", "120s", "--interval", "1s", "-o", "json"
    )
    assert process.stdout is not None
    first = json.loads(process.stdout.readline())
    assert (first["event"], first["host"], first["task_state"]) == ("seen", aside.host, None)
    with aside.bed.listening() as calls:
        aside.act("s-watched", createImage={"name": IMAGE_MADE})
        aside.bed.until(lambda: aside.server("s-watched")["OS-EXT-STS:task_state"] == "image_uploading")
        aside.bed.until(lambda: aside.server("s-watched")["OS-EXT-STS:task_state"] is None)
        aside.delete("s-watched")
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    lines = [json.loads(line) for line in out.splitlines()]
    tasks = [line["task_state"] for line in lines if line["event"] == "changed"]
    assert "image_uploading" in tasks
    assert [line["event"] for line in lines][-2:] == ["gone", "end"]
    end = lines[-1]["servers"][0]
    assert end["totals"]["image_uploading"] > 2
    looks = [call for call in calls if "changes-since" in call.path]
    watched = sum(state["seconds"] for state in end["states"])
    assert 3 <= len(looks) <= watched + 2, "more than one list call a second"


def test_each_way_to_end_has_its_exit_code(aside: Aside) -> None:
    aside.boot("s-one")
    reached = aside.run("watch", "s-one", "--until", f"host={aside.host}", "--until", "task=none")
    assert reached.code == 0, reached.err
    assert "active" in reached.out
    late = aside.run("watch", "s-one", "--until", "status=SHUTOFF", "--timeout", "2s")
    assert late.code == 31
    assert "not status=SHUTOFF" in late.err
    process = aside.bed.start("watch", "s-one", "--until", "task=migrating", "--timeout", "60s")
    assert process.stdout is not None
    process.stdout.readline()
    aside.act("s-one", **{"os-resetState": {"state": "error"}})
    process.communicate(timeout=60)
    assert process.returncode == 33
    aside.act("s-one", **{"os-resetState": {"state": "active"}})
    aside.delete("s-one")
    assert aside.run("watch", "s-one").code == 2
