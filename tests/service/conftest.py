"""What tests of the service share."""

from __future__ import annotations

import pytest

from tests.service.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()
