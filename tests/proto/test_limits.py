"""Limits: refused by name, with the figure found and the figure allowed."""

from proto.errors import ErrorCode
from proto.limits import Limits, over


def test_a_refusal_names_the_limit_and_both_figures() -> None:
    error = over("max_rows", 2_000_000, 1_000_000, "Send fewer rows.")
    assert error.code is ErrorCode.LIMIT_EXCEEDED
    assert error.status == 413
    assert error.facts == {"limit": "max_rows", "found": 2_000_000, "wanted": 1_000_000}
    assert "max_rows: found 2,000,000, allowed 1,000,000. Send fewer rows." in error.detail


def test_every_limit_is_above_zero() -> None:
    assert all(limit > 0 for limit in Limits())


def test_a_message_fits_into_a_body() -> None:
    limits = Limits()
    assert limits.max_metadata_bytes <= limits.max_message_bytes <= limits.max_body_bytes
    assert limits.max_document_bytes <= limits.max_body_bytes


def test_a_limit_that_can_be_set_names_its_variable_once() -> None:
    told = over("max_body_bytes", 2, 1, "Send less.").detail
    assert told.endswith("Send less. The limit is SEGSERVE_MAX_BODY_BYTES.")
    assert over("max_pairs", 2, 1, "Raise SEGSERVE_MAX_PAIRS.").detail.count("SEGSERVE_") == 1
    assert "SEGSERVE" not in over("max_rows", 2, 1, "Send fewer rows.").detail
