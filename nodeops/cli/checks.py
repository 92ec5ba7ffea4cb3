"""What `nodeops doctor` looks at: one question each, and the way out when the answer is bad."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from rich.text import Text

from nodeops import config
from nodeops.cli.desk import Desk
from nodeops.cli.exit_codes import exit_code
from nodeops.cli.output import Format, document, text
from nodeops.errors import ApiError, NodeopsError
from nodeops.report.console import line
from nodeops.report.figures import count
from nodeops.report.markdown_view import markdown_table
from nodeops.report.plan_view import plain_table

if TYPE_CHECKING:
    from nodeops.clients.cloud import Cloud

MOST_SKEW = 5.0
"""Seconds between the cloud's clock and ours from which times in the journal mislead."""
NOBODY = "00000000-0000-0000-0000-000000000000"


class Health(StrEnum):
    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a check found."""

    check: str
    health: Health
    words: str
    hint: str = ""
    code: int = 0
    """The exit code it stands for."""


Check = Callable[[Desk], tuple[str, str]]
"""Words, and a hint when they are a warning; raises `NodeopsError` when it is bad."""


def run_checks(desk: Desk, output: Format) -> int:
    """Ask everything, show the answers, and return the exit code of the first bad one."""
    answers = list(_answers(desk))
    bad = [answer for answer in answers if answer.health is Health.BAD]
    code = bad[0].code if bad else 0
    if output is Format.JSON:
        document({"exit_code": code, "checks": [asdict(answer) for answer in answers]})
    elif output is Format.MARKDOWN:
        rows = [(answer.check, str(answer.health), answer.words, answer.hint) for answer in answers]
        text("\n".join(markdown_table(("Check", "Health", "Found", "Hint"), rows)))
    else:
        _show(desk, answers)
    return code


def _answers(desk: Desk) -> Iterator[Answer]:
    """Without a token nothing else can be asked of the cloud."""
    yield from (_answer(desk, name, check) for name, check in LOCAL.items())
    first, *others = CLOUD.items()
    reached = _answer(desk, *first)
    yield reached
    for name, check in others:
        if reached.health is Health.BAD:
            yield Answer(name, Health.SKIPPED, "not asked")
        else:
            yield _answer(desk, name, check)


def _answer(desk: Desk, name: str, check: Check) -> Answer:
    try:
        words, hint = check(desk)
    except NodeopsError as error:
        return Answer(name, Health.BAD, error.message, error.hint, exit_code(error))
    return Answer(name, Health.WARNING if hint else Health.GOOD, words, hint)


MARK = {
    Health.GOOD: ("✓", "good"),
    Health.WARNING: ("!", "warn"),
    Health.BAD: ("✗", "bad"),
    Health.SKIPPED: ("·", "dim"),
}


def _show(desk: Desk, answers: list[Answer]) -> None:
    table = plain_table("", "check", "found")
    table.show_header = False
    table.columns[2].overflow, table.columns[2].no_wrap = "fold", False
    for answer in answers:
        mark, style = MARK[answer.health]
        words = Text(answer.words, "dim" if answer.health is Health.SKIPPED else "")
        if answer.hint:
            words.append(f"\nhint: {answer.hint}", "dim")
        table.add_row(Text(mark, style), Text(answer.check), words)
    console = desk.out()
    console.print(table)
    console.print()
    bad = sum(answer.health is Health.BAD for answer in answers)
    ending = "everything a drain needs is there" if not bad else f"{count(bad, 'check')} failed"
    console.print(line((ending, "bad" if bad else "good")))


def _inventory(desk: Desk) -> tuple[str, str]:
    known = desk.inventory()
    if not known.name:
        return "none; storage and migration rates are learnt or asked for", ""
    words = f"{known.name}: {count(len(known.places), 'host')}"
    return words, "; ".join(known.warnings)


def _journal(desk: Desk) -> tuple[str, str]:
    journal = desk.journal()
    left = [run for run in journal.runs() if run.unfinished and not run.owner_alive]
    shown = journal.engine.url.render_as_string(hide_password=True)
    if left:
        names = ", ".join(f"{run.id} ({run.runbook} {run.host})" for run in left)
        return f"{shown}: {count(len(left), 'run')} not finished: {names}", "nodeops resume RUN goes on."
    return shown, ""


def _operator(_desk: Desk) -> tuple[str, str]:
    return str(config.operator()), ""


def _identity(desk: Desk) -> tuple[str, str]:
    cloud = desk.cloud()
    cloud.connection.headers()
    found = cloud.connection.access()
    roles = ", ".join(sorted(getattr(found, "role_names", None) or ()))
    user, project = getattr(found, "username", "?"), getattr(found, "project_name", "?")
    return f"{cloud.connection.auth_url} as {user} in {project}, roles: {roles}", ""


def _compute(desk: Desk) -> tuple[str, str]:
    compute = desk.cloud().compute
    return f"microversion {compute.microversion} is used, the cloud offers {compute.highest}", ""


def _hosts(desk: Desk) -> tuple[str, str]:
    hosts = desk.cloud().hosts()
    away = [host.name for host in hosts if not host.serves]
    words = f"{count(len(hosts), 'host')}, {len(away)} not in service"
    serving = len(hosts) - len(away)
    return words, "" if serving > 1 else "A drain needs another host that is enabled and up."


def _a_host(cloud: "Cloud") -> str:
    """Any, to ask about; whether hosts can be listed is another check's question."""
    try:
        return next((host.name for host in cloud.hosts()), "none")
    except ApiError:
        return "none"


def _servers(desk: Desk) -> tuple[str, str]:
    cloud = desk.cloud()
    host = next((host.name for host in cloud.hosts()), "none")
    cloud.migrations_from(host)
    cloud.groups()
    cloud.aggregates()
    found = cloud.servers_on(host)
    seen = count(len(found), "server")
    return f"servers of all projects, migrations, groups and aggregates can be read ({host}: {seen})", ""


def _placement(desk: Desk) -> tuple[str, str]:
    providers = desk.cloud().candidates({"VCPU": 1})
    return f"{count(len(providers), 'provider')} with a free VCPU", ""


def _network(desk: Desk) -> tuple[str, str]:
    cloud = desk.cloud()
    host = _a_host(cloud)
    return f"port bindings can be read ({host}: {len(cloud.ports_bound_to(host))})", ""


def _volume(desk: Desk) -> tuple[str, str]:
    desk.cloud().attachments_of([NOBODY])
    return "attachments can be read", ""


def _image(desk: Desk) -> tuple[str, str]:
    desk.cloud().image_properties(NOBODY)
    return "images can be read", ""


def _clock(desk: Desk) -> tuple[str, str]:
    skew = desk.cloud().traffic.skew
    if skew is None:
        return "the cloud did not tell its time", ""
    words = f"the cloud's clock is {abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}"
    return words, "" if abs(skew) < MOST_SKEW else "Look at chrony or ntpd on both sides."


LOCAL: dict[str, Check] = {"operator": _operator, "inventory": _inventory, "journal": _journal}
CLOUD: dict[str, Check] = {
    "keystone": _identity,
    "nova": _compute,
    "compute hosts": _hosts,
    "permissions": _servers,
    "placement": _placement,
    "neutron": _network,
    "cinder": _volume,
    "glance": _image,
    "clock": _clock,
}
