"""Whatever happens, in whatever order: nothing is sent twice, and a drain comes to its end.

It is begun, killed, stopped by signals, loses its link and is gone on with, while other people stop, delete
and move servers and Nova fails some of the migrations.
"""

import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from nodeops.engine.signals import Stop
from nodeops.events import Event, StepSent
from nodeops.outcome import StepState
from nodeops.runbooks.options import MoveOptions
from tests.fake_world import Behaviour, Crash, FakeNova, FakeWorld, FaultKind
from tests.faults.scenario import planned
from tests.unit.engine.runs import Run, any_other_target

SERVERS = [f"s{number}" for number in range(1, 7)]
STATES = ["active", "active", "active", "stopped", "suspended", "active"]
servers = st.sampled_from(SERVERS)


class Drain(RuleBasedStateMachine):
    """One host, one journal, and parts of one run after another."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.nova = FakeNova()
        self.touched: set[str] = set()
        """Servers that somebody else has done something to."""
        self.stuck: set[str] = set()
        """Servers of which a migration may still hang in Nova: it is aborted, and not tried again."""
        self.given_up: set[str] = set()
        """Servers that the last part told as left where they are, with all their tries used up."""

    @initialize(at_once=st.sampled_from([1, 3]))
    def world(self, at_once: int) -> None:
        for name in ("c01", "c02", "c03"):
            self.nova.add_host(name)
        for server_id, vm_state in zip(SERVERS, STATES, strict=True):
            self.nova.add_server(server_id, "c01", vm_state=vm_state)
        self.nova.max_concurrent = at_once

    # -- nova and other people

    @rule(server_id=servers, behaviour=st.sampled_from([Behaviour.FAIL, Behaviour.NEVER, Behaviour.NORMAL]))
    def nova_misbehaves(self, server_id: str, behaviour: Behaviour) -> None:
        self.nova.behaviour[server_id] = behaviour
        if behaviour is Behaviour.NEVER:
            self.stuck.add(server_id)

    @rule(host=st.sampled_from(["c02", "c03"]), server_id=servers)
    def a_host_refuses(self, host: str, server_id: str) -> None:
        self.nova.refusals.add((host, server_id))

    @rule(server_id=servers, seconds=st.floats(0, 20))
    def somebody_deletes(self, server_id: str, seconds: float) -> None:
        self.touched.add(server_id)
        self.nova.at(seconds, lambda: self.nova.delete(server_id))

    @rule(server_id=servers, seconds=st.floats(0, 20))
    def somebody_stops(self, server_id: str, seconds: float) -> None:
        def stop() -> None:
            server = self.nova.servers.get(server_id)
            if server is not None and server.vm_state == "active" and server.task_state is None:
                self.nova.task("stop", server_id)

        self.touched.add(server_id)
        self.nova.at(seconds, stop)

    @rule(server_id=servers, seconds=st.floats(0, 20))
    def somebody_migrates(self, server_id: str, seconds: float) -> None:
        def migrate() -> None:
            server = self.nova.servers.get(server_id)
            if server is not None and server.vm_state == "active" and server.task_state is None:
                self.nova.live_migrate(server_id, "c03" if server.host == "c01" else "c01", "req-theirs")

        self.touched.add(server_id)
        self.nova.at(seconds, migrate)

    @rule(seconds=st.floats(0.1, 200))
    def time_passes(self, seconds: float) -> None:
        self.nova.clock.sleep(seconds)

    # -- parts of the run

    @rule(call=st.integers(1, 60), kind=st.sampled_from(list(FaultKind)))
    def a_part_with_a_fault(self, call: int, kind: FaultKind) -> None:
        world = FakeWorld(self.nova)
        world.faults[call] = kind
        self.part(world)

    @rule(after=st.integers(1, 5))
    def a_part_that_is_stopped(self, after: int) -> None:
        sent = 0
        run = self.run_of(FakeWorld(self.nova))

        def on_event(event: Event) -> None:
            nonlocal sent
            sent += isinstance(event, StepSent)
            if sent >= after and not run.stop.asked:
                run.stop.ask(15)

        run.on_event = on_event
        self.go(run)

    @rule(seconds=st.floats(1, 60), down_for=st.floats(1, 900))
    def a_part_with_the_link_down(self, seconds: float, down_for: float) -> None:
        world, begin = FakeWorld(self.nova), self.nova.clock.now() + seconds
        world.down = lambda now: begin < now < begin + down_for
        self.part(world)

    @rule()
    def a_part_to_the_end(self) -> None:
        self.nova.behaviour.clear()
        self.nova.refusals.clear()
        self.part(FakeWorld(self.nova))
        for server_id in set(SERVERS) - self.touched:
            server = self.nova.servers[server_id]
            left = server_id in self.stuck | self.given_up
            assert server.host in {"c02", "c03"} or left, server
            assert server.vm_state == STATES[SERVERS.index(server_id)], server
            assert server.task_state is None, server

    # -- what always holds

    @invariant()
    def every_change_was_wanted_once(self) -> None:
        taken = Counter(self.nova.arrived)
        for (operation, subject), times in taken.items():
            if subject in self.touched or operation in {"live_migrate", "cold_migrate", "abort_migration"}:
                continue
            limit = 1 + taken["live_migrate", subject] + taken["abort_migration", subject]
            assert times <= limit, (operation, subject, times)

    @invariant()
    def nothing_else_was_touched(self) -> None:
        allowed = {
            "disable", "live_migrate", "cold_migrate", "confirm_resize", "resume", "suspend",
            "abort_migration", "stop",
        }  # fmt: skip
        assert {operation for operation, _ in self.nova.arrived} <= allowed

    # -- inside

    def part(self, world: FakeWorld) -> None:
        self.go(self.run_of(world))

    def run_of(self, world: FakeWorld) -> Run:
        run = Run(world, Path(self.directory.name), MoveOptions(canary=False, max_failures=None))
        run.retarget = any_other_target("c02", "c03")
        return run

    def go(self, run: Run) -> None:
        started = self.nova.clock.now()
        run.stop = Stop() if not run.stop.asked else run.stop
        try:
            execution = run.go(planned(self.nova))
        except Crash:
            return
        finally:
            run.journal.close()
        assert self.nova.clock.now() - started < 7200, "it comes to an end"
        self.given_up = {
            each.subject_id
            for each in execution.step_results
            if each.state is StepState.FAILED and each.attempts > run.options.retries
        }
        if execution.interrupted_by is None and not execution.lost:
            open_states = {StepState.SENT}
            assert not [each for each in execution.step_results if each.state in open_states]

    def teardown(self) -> None:
        self.directory.cleanup()


Drain.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestDrain = Drain.TestCase
