"""What a plan can do without is noted as unseen; what it cannot do without ends the command."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from nodeops.errors import ApiError, UnsupportedError

Value = TypeVar("Value")
Question = ParamSpec("Question")


@dataclass
class Unseen:
    """Collects what could not be asked, as `<what>: <why>`."""

    words: list[str] = field(default_factory=list)

    def ask(
        self,
        what: str,
        question: Callable[Question, Value],
        *arguments: Question.args,
        **named: Question.kwargs,
    ) -> Value | None:
        """The answer, or None when the cloud has no such service, forbids it or does not answer.

        A refused login is not caught: then nothing more can be asked.
        """
        try:
            return question(*arguments, **named)
        except (ApiError, UnsupportedError) as error:
            self.words.append(f"{what}: {error.message}")
            return None
