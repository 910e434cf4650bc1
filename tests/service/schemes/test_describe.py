"""The README's section on schemes is what the catalogue says."""

import pytest

from service.schemes.catalogue import catalogue
from service.schemes.describe import README, described


def test_the_readme_is_made_from_the_catalogue() -> None:
    text = README.read_text()
    assert described(text) == text, "run `make contract`"
    for name in catalogue():
        assert f"#### {name}\n" in text


def test_a_readme_without_markers_is_told() -> None:
    with pytest.raises(ValueError, match="no markers"):
        described("# nothing")
