"""A plan and a run as values: what the views are tested on and the pictures in the docs are made of."""

from dataclasses import replace

from nodeops.events import Event, Noted, RunStarted, StepEnded, StepSent, Ticked
from nodeops.model.facts import Progress
from nodeops.outcome import Outcome, ServerResult, StepResult, StepState
from nodeops.plan import Action, Finding, Level, Plan, Refusal, Risk, ServerPlan, Step, TargetLoad, Verdict

LOCAL = Refusal(
    "local-disk",
    "its disk of 20 GiB is stored on c01 itself",
    "--allow local-disk",
    Risk.REBOOT,
)
TOO_LARGE = Refusal(
    "too-large", "it needs 64 GiB of memory; the most that is free on one host is 41 GiB (c04)"
)


def _server(number: int, name: str, status: str, action: Action, **more: object) -> ServerPlan:
    base = ServerPlan(
        id=f"{number:08d}-1111-4222-8333-{number:012d}", name=name, status=status, action=action
    )
    return replace(base, **more)  # type: ignore[arg-type]  # the fields are checked by the tests that use them


SERVERS = (
    _server(
        1,
        "web-1",
        "ACTIVE",
        Action.LIVE_MIGRATE,
        target="c02",
        risk=Risk.LIVE,
        expected_seconds=12.4,
        ram_mb=4096,
        why="runs, and its disk is shared",
    ),
    _server(
        2,
        "web-2",
        "ACTIVE",
        Action.LIVE_MIGRATE,
        target="c03",
        risk=Risk.LIVE,
        expected_seconds=12.4,
        ram_mb=4096,
    ),
    _server(
        3,
        "db-primary",
        "ACTIVE",
        Action.LIVE_MIGRATE,
        target="c04",
        risk=Risk.LIVE,
        expected_seconds=71.0,
        ram_mb=32768,
    ),
    _server(
        4,
        "batch-nightly",
        "SHUTOFF",
        Action.COLD_MIGRATE,
        target="c02",
        risk=Risk.SAFE,
        expected_seconds=9.0,
        ram_mb=2048,
        why="is off",
    ),
    _server(
        5,
        "cache-1",
        "PAUSED",
        Action.LIVE_MIGRATE,
        target="c03",
        risk=Risk.LIVE,
        expected_seconds=8.0,
        ram_mb=1024,
    ),
    _server(
        6,
        "old-report",
        "SHELVED",
        Action.SHELVE_OFFLOAD,
        risk=Risk.SAFE,
        expected_seconds=5.0,
        ram_mb=1024,
    ),
    _server(7, "scratch", "ACTIVE", Action.NONE, refusals=(LOCAL,), ram_mb=2048, disk_gb=20),
    _server(8, "analytics", "ACTIVE", Action.NONE, refusals=(TOO_LARGE,), ram_mb=65536),
)

DISABLE = Step(
    id="disable-service:c01",
    action="disable-service",
    subject_id="c01",
    subject_name="c01",
    why="nothing new is to land on it",
    risk=Risk.SAFE,
)


def _step(server: ServerPlan) -> Step:
    return Step(
        id=f"{server.action}:{server.id}",
        action=str(server.action),
        subject_id=server.id,
        subject_name=server.name,
        why=server.why,
        risk=server.risk,
        needs=(DISABLE.id,),
        source="c01",
        target=server.target,
        expected_seconds=server.expected_seconds,
    )


PLAN = Plan(
    runbook="drain",
    host="c01",
    cloud="http://keystone.example:5000/v3 RegionOne",
    options={"parallel": 2, "rate_mib": 500.0, "risk": "live"},
    steps=(DISABLE, *(_step(server) for server in SERVERS if not server.refused)),
    servers=SERVERS,
    findings=(
        Finding(
            Level.WARNING,
            "storage-unknown",
            "where c01 keeps its disks is not known",
            "Set its nodeops_storage to shared or local in the inventory.",
            "c01",
        ),
    ),
    targets=(
        TargetLoad(
            "c02",
            "az1",
            2,
            {"VCPU": (8, 64), "MEMORY_MB": (16384, 122880), "DISK_GB": (80, 1000)},
            {"VCPU": (14, 64), "MEMORY_MB": (22528, 122880), "DISK_GB": (100, 1000)},
        ),
        TargetLoad(
            "c03",
            "az1",
            2,
            {"VCPU": (30, 64), "MEMORY_MB": (61440, 122880)},
            {"VCPU": (34, 64), "MEMORY_MB": (66560, 122880)},
        ),
        TargetLoad(
            "c04",
            "az2",
            1,
            {"VCPU": (4, 64), "MEMORY_MB": (80896, 122880)},
            {"VCPU": (20, 64), "MEMORY_MB": (113664, 122880)},
        ),
    ),
    fits=False,
    expected_seconds=95.0,
)

RUN_ID = "d-20260714-033320-7fa"
BEGAN = 1_784_000_000.0


def _result(server: ServerPlan) -> ServerResult:
    if server.refused:
        return ServerResult(server.id, server.name, "none", Verdict.LEFT, "c01", server.refusals[0].reason)
    if server.name == "cache-1":
        return ServerResult(
            server.id,
            server.name,
            str(server.action),
            Verdict.ROLLED_BACK,
            "c01",
            "Live migration aborted after 40 s: memory is dirtied faster than it is copied",
            "req-5f0cbd1c-9b0e-4c2a-8a35-0a2f8d2b4d11",
            seconds=44.0,
            attempts=2,
        )
    return ServerResult(
        server.id,
        server.name,
        str(server.action),
        Verdict.MOVED,
        server.target,
        seconds=server.expected_seconds + 1,
        attempts=1,
    )


OUTCOME = Outcome(
    run_id=RUN_ID,
    plan=PLAN,
    servers=tuple(_result(server) for server in SERVERS),
    findings=(
        Finding(Level.WARNING, "servers-left", "c01 still holds 3 servers", "See the reasons above.", "c01"),
    ),
    started=BEGAN,
    ended=BEGAN + 104,
)

STEPS = {step.subject_name: step for step in PLAN.steps}


def _ended(name: str, after: float, state: StepState = StepState.DONE, words: str = "") -> StepEnded:
    step = STEPS[name]
    return StepEnded(
        step,
        StepResult(step.id, step.subject_id, step.action, state, words, "req-1", step.target, 1, 12.0),
        BEGAN + after,
    )


def _progress(number: int, total_mib: int, remaining_mib: int) -> Progress:
    mebi = 1024 * 1024
    return Progress(
        number, "running", total_mib * mebi, (total_mib - remaining_mib) * mebi, remaining_mib * mebi
    )


EVENTS: tuple[Event, ...] = (
    RunStarted(RUN_ID, len(PLAN.steps), BEGAN),
    StepSent(STEPS["c01"], "req-0", 1, BEGAN + 0.4),
    _ended("c01", 1.0),
    Noted("canary: web-1 goes first, alone", BEGAN + 1.0),
    StepSent(STEPS["web-1"], "req-1", 1, BEGAN + 1.2),
    _ended("web-1", 14.0),
    Noted("canary passed", BEGAN + 14.0),
    StepSent(STEPS["db-primary"], "req-2", 1, BEGAN + 14.2),
    StepSent(STEPS["cache-1"], "req-3", 1, BEGAN + 14.4),
    Ticked(
        BEGAN + 16.0,
        {STEPS["db-primary"].id: 2.0, STEPS["cache-1"].id: 2.0},
        {
            STEPS["db-primary"].subject_id: _progress(1, 32768, 31000),
            STEPS["cache-1"].subject_id: _progress(2, 1024, 300),
        },
        pending=3,
        done=2,
    ),
    Ticked(
        BEGAN + 20.0,
        {STEPS["db-primary"].id: 6.0, STEPS["cache-1"].id: 6.0},
        {
            STEPS["db-primary"].subject_id: _progress(1, 32768, 29000),
            STEPS["cache-1"].subject_id: _progress(2, 1024, 100),
        },
        pending=3,
        done=2,
        waits_for="2 of 2 migrations out of c01 are under way",
    ),
)
