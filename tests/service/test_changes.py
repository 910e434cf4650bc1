"""A change of a file is told from its signature."""

from __future__ import annotations

import os
from pathlib import Path

from service.changes import signature


def test_every_change_shows(tmp_path: Path) -> None:
    first, second, link = tmp_path / "first", tmp_path / "second", tmp_path / "link"
    first.write_text("1")
    second.write_text("2")
    link.symlink_to(first)
    seen = [signature(link, second)]
    assert signature(link, second) == seen[0]
    first.write_text("11")
    seen.append(signature(link, second))
    os.replace(second, first)
    seen.append(signature(link, second))
    second.write_text("2")
    seen.append(signature(link, second))
    link.unlink()
    link.symlink_to(second)
    seen.append(signature(link, second))
    assert len(set(map(str, seen))) == len(seen)
