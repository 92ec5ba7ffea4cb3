"""Which zone a simulated host gets."""

from nodeops.lab.furniture import share_out


def test_the_first_half_is_the_first_zone() -> None:
    assert share_out({"az1": [], "az2": []}, ["c01", "c02", "c03"]) == {
        "az1": ["c01", "c02"],
        "az2": ["c03"],
    }


def test_hosts_that_have_a_zone_keep_it_when_the_lab_grows() -> None:
    members = {"az1": ["c01", "c02"], "az2": ["c03"]}
    grown = share_out(members, ["c01", "c02", "c03", "c04", "c05", "c06"])
    assert grown == {"az1": ["c05"], "az2": ["c04", "c06"]}


def test_nothing_is_moved_when_nothing_is_new() -> None:
    members = {"az1": ["c02", "c01"], "az2": ["c03"]}
    assert share_out(members, ["c01", "c02", "c03"]) == {"az1": [], "az2": []}
