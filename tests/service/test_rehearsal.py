"""The rehearsal runs the real thing, so a service that cannot answer does not call itself ready."""

from __future__ import annotations

import pytest

from service import rehearsal
from service.models import ModelStore
from service.threads import ThreadTeam


def test_it_segments_and_scores_in_every_format(monkeypatch: pytest.MonkeyPatch) -> None:
    replies = []
    run = rehearsal._run

    def listen(*arguments: object) -> bytes:
        replies.append(run(*arguments))  # type: ignore[arg-type]
        return replies[-1]

    monkeypatch.setattr(rehearsal, "_run", listen)
    rehearsal.rehearse(ModelStore({}), ThreadTeam(1))
    arrow, segmented, scored, csv = replies
    assert arrow.startswith(b"\xff\xff\xff\xff")
    assert b'"model":' in segmented
    assert b'"status":"complete"' in scored
    assert csv.startswith(b"customer_id,")
