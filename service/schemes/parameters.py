"""The parameters of schemes: how their text is read, with the bounds and the default of each."""

from __future__ import annotations

import math
import re
from typing import Any, Literal, NamedTuple

__all__ = ["Parameter", "ParameterKind"]

ParameterKind = Literal["number", "integer", "days", "flag", "choice", "numbers", "names", "text"]

_DAYS = re.compile(r"([0-9]{1,6}(?:\.[0-9]+)?)d")
_SWITCH = {"true": True, "false": False}
_FORMS: dict[str, str] = {
    "number": "a number",
    "integer": "a whole number",
    "days": "a number of days followed by d, such as 90d",
    "flag": "true or false",
    "numbers": "numbers with ; between them",
    "names": "names with ; between them",
    "text": "text",
}


class Parameter(NamedTuple):
    """One parameter, written `<scheme>.<name>=<value>`. `default` None: not given."""

    name: str
    kind: ParameterKind
    default: Any
    en: str
    zh: str
    least: float = -math.inf
    most: float = math.inf
    choices: tuple[str, ...] = ()
    example: str = ""
    """A value as it is written; needed where there is no default and the scheme cannot do without."""

    @property
    def form(self) -> str:
        """How a value is written, in words."""
        if self.kind == "choice":
            return " or ".join(self.choices)
        bounds = ""
        if self.kind in ("number", "integer", "days", "numbers"):
            bounds += f", at least {self.least:g}" if math.isfinite(self.least) else ""
            bounds += f", at most {self.most:g}" if math.isfinite(self.most) else ""
        return _FORMS[self.kind] + bounds

    def read(self, text: str) -> Any:
        """The value; ValueError where it is none."""
        match self.kind:
            case "flag":
                if text not in _SWITCH:
                    raise ValueError
                return _SWITCH[text]
            case "choice":
                if text not in self.choices:
                    raise ValueError
                return text
            case "days":
                match = _DAYS.fullmatch(text)
                if match is None:
                    raise ValueError
                return self._bounded(float(match[1]))
            case "number":
                return self._bounded(float(text))
            case "integer":
                return int(self._bounded(int(text)))
            case "numbers":
                return [self._bounded(float(part)) for part in text.split(";")]
            case "names":
                names = [part.strip() for part in text.split(";")]
                if not all(names) or len(set(names)) < len(names):
                    raise ValueError
                return names
        if not text:
            raise ValueError
        return text

    def _bounded(self, value: float) -> float:
        if not (math.isfinite(value) and self.least <= value <= self.most):
            raise ValueError
        return value

    def written(self, value: Any) -> str:
        """The value as it stands in a query."""
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, list):
            return ";".join(map(str, value))
        if isinstance(value, float):
            short = f"{value:g}" if float(f"{value:g}") == value else repr(value)
            return f"{short}d" if self.kind == "days" else short
        return str(value)
