"""The picture in README.md is what the demo prints."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pyarrow as pa
from rich.console import Console

from service.cli.table import print_report
from tests.data.jobs import run

README = Path(__file__).resolve().parents[2] / "README.md"


def test_the_picture_is_what_complete_journey_gives(complete_journey: pa.Table) -> None:
    blocks = re.findall(r"^```text\n(.*?)^```$", README.read_text(), re.M | re.S)
    picture = next(block for block in blocks if "of revenue" in block)
    screen = io.StringIO()
    print_report(Console(file=screen, width=80), run(complete_journey, threads=2).summary)
    printed = [line.rstrip() for line in screen.getvalue().splitlines()]
    wanted = [line.rstrip() for line in picture.splitlines()]
    first = printed.index(wanted[0])
    assert printed[first : first + len(wanted)] == wanted
