"""The question before anything is changed."""

import sys

from nodeops.errors import DeclinedError
from nodeops.plan import Plan, Risk


def confirm(plan: Plan, words: str, *, yes: bool) -> None:
    """Ask on the terminal; what can cost more than a short pause is confirmed by the host's name.

    Raises `DeclinedError`, also when there is no terminal to ask on.
    """
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise DeclinedError(
            f"{plan.host}: there is no terminal to ask on",
            hint="Say --yes to go ahead, or --dry-run to only look.",
        )
    worst = max((step.risk for step in plan.steps), default=Risk.SAFE)
    if worst <= Risk.LIVE:
        if _answer(f"{words} [y/N] ").lower() in {"y", "yes"}:
            return
    else:
        question = f"{words} The risk is {worst.name.lower()}. Type the host's name to go ahead: "
        if _answer(question) == plan.host:
            return
    raise DeclinedError(f"{plan.host}: not confirmed")


def confirm_by_name(plan: Plan, words: str, *, confirmed: str, why: str, also: str = "") -> None:
    """Ask for the host's name, which `--yes` never answers; `confirmed` is `HOST@DIGEST` of this very plan.

    `also` is a second word that has to be given: `HOST WORD` when typed, `HOST@DIGEST+WORD` in `confirmed`.
    Raises `DeclinedError`, also when there is no terminal to ask on.
    """
    wanted = f"{plan.host}@{plan.digest}" + (f"+{also}" if also else "")
    typed, asked = (f"{plan.host} {also}", f" and {also}") if also else (plan.host, "")
    if confirmed:
        if confirmed == wanted:
            return
        raise DeclinedError(
            f"{plan.host}: --confirm {confirmed} is not of this plan, which is {wanted}",
            hint="Look at the plan again with --dry-run, then confirm its digest.",
        )
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise DeclinedError(
            f"{plan.host}: there is no terminal to ask on; {why}",
            hint=f"Look at the plan with --dry-run, then say --confirm {wanted} to run exactly that.",
        )
    if _answer(f"{words} Type the host's name{asked} to go ahead: ") != typed:
        raise DeclinedError(f"{plan.host}: not confirmed")


def words(question: str) -> str:
    """What somebody types as an answer."""
    return _answer(question)


def _answer(question: str) -> str:
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip()
