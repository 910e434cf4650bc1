"""Every number that the docs tell of value schemes is computed: the phrase as it stands there, and as a run gives it.

A claim is a phrase of the docs and a function that writes it anew from what the service answers. What no claim covers
must hold no number; tables of parameters and classes are made from the catalogue (tests/service/schemes/test_describe).
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from proto.options import SegmentOptions, parse_options
from service.schemes.catalogue import catalogue
from service.schemes.decoding import MAX_LABELS
from service.schemes.describe import README
from service.schemes.scheme import Scheme
from tests.service.schemes import claims_of_columns, claims_of_purchases

CLAIMS = (*claims_of_purchases.CLAIMS, *claims_of_columns.CLAIMS)
NUMBER = re.compile(r"[0-9⅓⅔½¼](?:[0-9,.]*[0-9])?")


def written(scheme: Scheme) -> list[tuple[str, str]]:
    """All that the docs say of a scheme beside its table of defaults, in both languages."""
    figures = scheme.figures
    texts = [scheme.title, scheme.question, *(one.what for one in scheme.columns), *(one.what for one in figures)]
    classes = [*scheme.classes, *(one for figure in figures for one in figure.classes)]
    pairs = [(text.en, text.zh) for text in [*texts, *(one.action for one in classes)]]
    pairs += [(one.en, one.zh) for one in classes] + [(one.en, one.zh) for one in scheme.parameters]
    return [(scheme.formula, ""), *pairs]


@pytest.mark.parametrize(
    ("scheme", "phrase", "compute"), CLAIMS, ids=[f"{name}: {phrase}" for name, phrase, _ in CLAIMS]
)
def test_what_the_docs_say_is_what_the_service_does(scheme: str, phrase: str, compute: Callable[[], str]) -> None:
    assert any(phrase in en for en, _ in written(catalogue()[scheme])), "the claim is no longer in the docs"
    assert phrase in README.read_text().replace("\\|", "|"), "run `make contract`"
    assert compute() == phrase


@pytest.mark.parametrize("name", catalogue())
def test_no_number_is_told_that_nobody_computes(name: str) -> None:
    phrases = sorted((phrase for scheme, phrase, _ in CLAIMS if scheme == name), key=len, reverse=True)
    for en, zh in written(catalogue()[name]):
        left = en
        for phrase in phrases:
            left = left.replace(phrase, "")
        assert not NUMBER.findall(left), left
        assert set(NUMBER.findall(zh)) <= set(NUMBER.findall(en)), f"the Chinese text has other numbers: {zh}"


def test_the_numbers_around_the_catalogue() -> None:
    """Those of the prose before the tables of proto/README.md."""
    prose = README.read_text().partition("## Value schemes")[2].partition("<!-- made by")[0]
    asked = re.search(r"`(growth\.window)=([^`]*)`", prose)
    assert asked is not None
    options = parse_options(SegmentOptions, [("schemes", "growth"), (asked[1], asked[2]), ("as_of", "2024-01-01")])
    assert options.schemes == {"growth": {"window": asked[2]}}
    told = [asked[0], "integers 0 and 1 (CSV: true, false, 1, 0)", f"{MAX_LABELS:,} distinct", "not above 0"]
    for phrase in told:
        assert phrase in prose
        prose = prose.replace(phrase, "")
    assert not NUMBER.findall(prose)
