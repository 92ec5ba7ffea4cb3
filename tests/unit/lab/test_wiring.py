"""What the network agent still has to tell Neutron."""

from nodeops.lab.agent.wiring import MOST_TRIES, HostWiring, Todo
from nodeops.lab.hypervisor.vifs import Stamp

ONE, AGAIN, TWO = Stamp(1, 1), Stamp(2, 2), Stamp(3, 3)


def wired(**ports: Stamp) -> HostWiring:
    wiring = HostWiring()
    wiring.done(ports, wiring.todo(ports, 0.0), set(), 0.0)
    return wiring


def test_a_port_is_wired_once_for_each_plugging() -> None:
    wiring = HostWiring()
    assert wiring.todo({"p": ONE}, 0.0) == Todo(wire=("p",))
    wiring.done({"p": ONE}, Todo(wire=("p",)), set(), 0.0)
    assert not wiring.todo({"p": ONE}, 1.0)
    assert wiring.todo({"p": AGAIN}, 1.0) == Todo(wire=("p",))


def test_a_port_that_is_gone_is_unwired_once() -> None:
    wiring = wired(p=ONE, q=TWO)
    todo = wiring.todo({"q": TWO}, 1.0)
    assert todo == Todo(unwire=("p",))
    wiring.done({"q": TWO}, todo, set(), 1.0)
    assert not wiring.todo({"q": TWO}, 2.0)


def test_activation_refreshes_what_is_plugged_here_only() -> None:
    wiring = wired(p=ONE)
    wiring.changed("p")
    wiring.changed("elsewhere")
    assert wiring.todo({"p": ONE}, 1.0) == Todo(refresh=("p",))
    assert not wiring.todo({"p": ONE}, 2.0)


def test_a_change_of_a_port_just_plugged_is_one_wiring() -> None:
    wiring = HostWiring()
    wiring.changed("p")
    assert wiring.todo({"p": ONE}, 0.0) == Todo(wire=("p",))


def test_what_failed_is_tried_again_a_second_later() -> None:
    wiring = wired(q=TWO)
    plugged = {"p": ONE, "q": TWO}
    wiring.changed("q")
    todo = wiring.todo(plugged, 0.0)
    wiring.done(plugged, todo, {"p", "q"}, 0.0)
    assert wiring.todo(plugged, 0.5) == Todo(refresh=("q",))
    assert wiring.todo(plugged, 1.0) == Todo(wire=("p",))


def test_a_port_nobody_knows_is_given_up_in_the_end() -> None:
    wiring, plugged = HostWiring(), {"p": ONE}
    for second in range(MOST_TRIES):
        todo = wiring.todo(plugged, float(second))
        assert todo == Todo(wire=("p",))
        wiring.done(plugged, todo, {"p"}, float(second))
    assert not wiring.todo(plugged, 1000.0)


def test_an_agent_that_stopped_starts_from_nothing() -> None:
    wiring = wired(p=ONE)
    wiring.forget()
    assert wiring.todo({"p": ONE}, 1.0) == Todo(wire=("p",))
    assert wiring.todo({}, 1.0) == Todo()
