"""What is no longer used is given back, also where it refers to itself."""

import gc
import weakref

from service.memory import give_back, keep_for_good


class _Table:
    """Something large."""


def test_what_an_error_leaves_behind_goes() -> None:
    table = _Table()
    seen = weakref.ref(table)
    table.itself = table  # type: ignore[attr-defined]
    gc.disable()
    try:
        del table
        assert seen() is not None
        give_back()
        assert seen() is None
    finally:
        gc.enable()


def test_what_is_kept_for_good_is_not_looked_at_again() -> None:
    try:
        keep_for_good()
        assert gc.get_freeze_count() > 1_000
    finally:
        gc.unfreeze()
