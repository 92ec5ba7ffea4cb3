"""Options that several commands share, declared once as the fields of a dataclass."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, fields
from functools import wraps
from typing import Any, TypeVar

Command = TypeVar("Command", bound=Callable[..., Any])


def bundled(command: Command) -> Command:
    """Let a command take dataclasses of options: typer sees their fields, the command gets the objects.

    Fields are declared as typer's parameters are: `Annotated[type, typer.Option(...)] = default`.
    """
    signature = inspect.signature(command)
    kinds = {name: each.annotation for name, each in signature.parameters.items() if _is_bundle(each)}

    @wraps(command)
    def with_bundles(**said: Any) -> Any:
        for name, kind in kinds.items():
            said[name] = kind(**{each.name: said.pop(each.name) for each in fields(kind)})
        return command(**said)

    shown = [part for each in signature.parameters.values() for part in _parameters(each)]
    with_bundles.__signature__ = signature.replace(parameters=shown)  # type: ignore[attr-defined]
    with_bundles.__annotations__ = {each.name: each.annotation for each in shown}
    return with_bundles  # type: ignore[return-value]


def _is_bundle(parameter: inspect.Parameter) -> bool:
    return hasattr(parameter.annotation, "__dataclass_fields__")


def _parameters(parameter: inspect.Parameter) -> Iterator[inspect.Parameter]:
    """The parameter, or those that its dataclass stands for."""
    if not _is_bundle(parameter):
        yield parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        return
    for each in fields(parameter.annotation):
        yield inspect.Parameter(
            each.name, inspect.Parameter.KEYWORD_ONLY, default=_default(each), annotation=each.type
        )


def _default(option: Field[Any]) -> Any:
    if option.default_factory is not MISSING:
        return option.default_factory()
    return inspect.Parameter.empty if option.default is MISSING else option.default
