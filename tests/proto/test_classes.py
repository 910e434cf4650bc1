"""Customer classes: the table of semantics §6, patterns for other features, and labels that are unique."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.classes import RFM, RFM_CLASSES, UNDIFFERENTIATED, ClassName, class_name, segment_labels

TABLE = {
    (1, 1, 1): ("important_value", "Core high-value", "重要价值客户"),
    (1, 0, 1): ("important_develop", "High-value, to develop", "重要发展客户"),
    (0, 1, 1): ("important_keep", "High-value, to keep", "重要保持客户"),
    (0, 0, 1): ("important_winback", "High-value, to win back", "重要挽留客户"),
    (1, 1, 0): ("general_value", "General: active, low spend", "一般价值客户"),
    (1, 0, 0): ("general_develop", "General, to develop: new or occasional", "一般发展客户"),
    (0, 1, 0): ("general_keep", "General, to keep: was frequent", "一般保持客户"),
    (0, 0, 0): ("general_winback", "General, to win back: lapsed, low value", "一般挽留客户 (无价值)"),
}


@pytest.mark.parametrize("high", TABLE)
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_classic_eight_in_any_order_of_the_features(high: tuple[int, ...], order: tuple[int, ...]) -> None:
    features = [RFM[i] for i in order]
    assert class_name(features, [bool(high[i]) for i in order]) == TABLE[high]


def test_labels_name_a_class_in_each_language() -> None:
    name = RFM_CLASSES[-1]
    assert (name.label("code"), name.label("en"), name.label("zh")) == TABLE[(1, 1, 1)]


@pytest.mark.parametrize(
    ("features", "high", "pattern"),
    [
        (["basket", "visits", "margin", "recency_days"], [True, False, True, False], "+-+-"),
        (["recency_days", "frequency"], [True, True], "++"),
        (["recency_days", "frequency", "tenure_days"], [False, False, True], "--+"),
        (["only"], [False], "-"),
    ],
)
def test_other_features_spell_their_pattern(features: list[str], high: list[bool], pattern: str) -> None:
    assert class_name(features, high) == (pattern, pattern, pattern)


def test_features_and_flags_must_be_as_many() -> None:
    with pytest.raises(ValueError, match="zip"):
        class_name(RFM, [True, False])


def test_shared_classes_are_numbered_by_value() -> None:
    names = [RFM_CLASSES[7], RFM_CLASSES[5], RFM_CLASSES[7], RFM_CLASSES[7]]
    assert segment_labels(names, "code") == [
        "important_value_1",
        "important_develop",
        "important_value_2",
        "important_value_3",
    ]
    assert segment_labels(names, "en")[0] == "Core high-value 1"
    assert segment_labels(names, "zh")[2] == "重要价值客户 2"
    assert segment_labels([], "code") == []


@given(
    st.lists(
        st.sampled_from([*RFM_CLASSES, UNDIFFERENTIATED, ClassName("+-", "+-", "+-"), ClassName("++", "++", "++")])
    ),
    st.sampled_from(["code", "en", "zh"]),
)
def test_labels_are_unique(names: list[ClassName], lang: str) -> None:
    labels = segment_labels(names, lang)  # type: ignore[arg-type]
    assert len(set(labels)) == len(names)
    assert all(label.startswith(name.label(lang)) for label, name in zip(labels, names, strict=True))  # type: ignore[arg-type]
