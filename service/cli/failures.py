"""What goes wrong, as a panel a person can read: never a traceback for what the caller can change."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import typer
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.text import Text

from proto.errors import TITLES, RequestError

__all__ = ["EXIT_FAILED", "UserError", "reported"]

EXIT_FAILED = 2


class UserError(Exception):
    """Something the caller can change; `hints` are short lines below the sentence."""

    def __init__(self, title: str, detail: str, *hints: str) -> None:
        super().__init__(detail)
        self.title = title
        self.detail = detail
        self.hints = hints


def reported(command: Callable[..., None]) -> Callable[..., None]:
    """The command with its failures shown on stderr and exit code 2."""

    @functools.wraps(command)
    def wrapper(*args: Any, **values: Any) -> None:
        try:
            command(*args, **values)
        except BrokenPipeError:
            # The reader of a pipe has left, as `head` does; stdout must not be flushed into it again.
            sys.stderr.close()
            raise typer.Exit(EXIT_FAILED) from None
        except (RequestError, UserError, OSError, pa.ArrowException, MemoryError) as error:
            _show(_readable(error))
            raise typer.Exit(EXIT_FAILED) from None

    return wrapper


def _readable(error: BaseException) -> UserError:
    if isinstance(error, UserError):
        return error
    if isinstance(error, RequestError):
        return UserError(TITLES[error.code], error.detail, f"code: {error.code}")
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return UserError("A file or an address cannot be used", f"{where}{error.strerror or error}.")
    if isinstance(error, MemoryError):
        return UserError("Not enough memory", str(error) or "The machine has no more memory to give.")
    return UserError("The data cannot be read", str(error))


def _show(failure: UserError) -> None:
    body = Text(failure.detail)
    for hint in failure.hints:
        body.append(f"\n{hint}", style="dim")
    title = f"[bold]{escape(failure.title)}[/bold]"
    Console(stderr=True).print(Panel(body, title=title, title_align="left", border_style="red", padding=(0, 1)))
