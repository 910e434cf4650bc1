"""Flags made from pydantic models: each option is declared, documented and checked in one place, `proto/options.py`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from service.cli.failures import UserError

__all__ = ["flag_name", "query_of", "with_flags"]

Command = Callable[..., None]


def with_flags(
    model: type[BaseModel], *, panel: str, skip: Iterable[str] = (), panels: dict[str, str] | None = None
) -> Callable[[Command], Command]:
    """A command whose `**given` keywords become one flag per field of `model`.

    The command gets those that the caller wrote, as they were written (text, numbers, booleans); the model checks
    them. `skip` names fields that the command declares itself, `panels` maps a field's description to another panel
    of the help page.
    """
    left_out = set(skip)
    flags = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=_annotation(name, field, (panels or {}).get(field.description or "", panel)),
        )
        for name, field in model.model_fields.items()
        if name not in left_out
    ]
    names = {flag.name for flag in flags}

    def decorate(command: Command) -> Command:
        own = inspect.signature(command, eval_str=True)
        kept = [p for p in own.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]

        @functools.wraps(command)
        def wrapper(**values: Any) -> None:
            given = {name: value for name in names if (value := values.pop(name)) is not None}
            command(**values, **{name: given[name] for name in model.model_fields if name in given})

        wrapper.__signature__ = own.replace(parameters=[*kept, *flags])  # type: ignore[attr-defined]
        wrapper.__annotations__ = {}
        return wrapper

    return decorate


def flag_name(field: str) -> str:
    return "--" + field.replace("_", "-")


def query_of(given: dict[str, Any], parameters: Iterable[str] | None = None) -> dict[str, str]:
    """The flags as the query parameters they stand for; `parameters` are those of schemes, `growth.window=60d`."""
    query = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in given.items()}
    for text in parameters or ():
        name, equals, value = text.partition("=")
        if not equals or "." not in name:
            raise UserError("A parameter cannot be used", f"--set {text}: write --set growth.window=60d.")
        query[name] = value
    return query


def _annotation(name: str, field: FieldInfo, panel: str) -> Any:
    kind = _bare(field.annotation)
    flag = flag_name(name)
    limits = {
        word: getattr(bound, word)
        for bound in field.metadata
        for word in ("ge", "le")
        if isinstance(getattr(bound, word, None), int)
    }
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    default = field.get_default()
    words = field.description or ""
    if "efault" not in words and isinstance(default, str | int) and not isinstance(default, bool):
        words += f" Default: {default}."
    common: dict[str, Any] = {"help": words, "rich_help_panel": panel, "show_default": False}
    if kind is bool:
        return Annotated[bool | None, typer.Option(f"{flag}/--no-{flag[2:]}", **common)]
    if kind is int:
        return Annotated[int | None, typer.Option(flag, min=limits.get("ge"), max=limits.get("le"), **common)]
    if get_origin(kind) is Literal:
        return Annotated[kind | None, typer.Option(flag, **common)]
    return Annotated[str | None, typer.Option(flag, metavar=str(extra.get("format", "text")), **common)]


def _bare(annotation: Any) -> Any:
    """The type without Optional; lists and other compounds are text on a command line."""
    if get_origin(annotation) in (Union, UnionType):
        parts = [part for part in get_args(annotation) if part is not NoneType]
        return _bare(parts[0]) if len(parts) == 1 else str
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    return annotation
