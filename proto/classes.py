"""The 2×2×2 customer classes of recency, frequency and monetary value, with their names.

A class says of each feature whether it is at least as good as the average (semantics §6). The classic eight apply
when the features are recency, frequency and monetary; other features spell their pattern (`+-+-`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

__all__ = ["RFM", "RFM_CLASSES", "UNDIFFERENTIATED", "ClassName", "Lang", "class_name", "segment_labels"]

Lang = Literal["code", "en", "zh"]

RFM = ("recency_days", "frequency", "monetary")


class ClassName(NamedTuple):
    """One class in the three ways a reply can name it."""

    code: str
    en: str
    zh: str

    def label(self, lang: Lang) -> str:
        return self.code if lang == "code" else self.en if lang == "en" else self.zh


UNDIFFERENTIATED = ClassName("undifferentiated", "All alike", "无差异客户")

# Index: bit 2 recency, bit 1 frequency, bit 0 monetary is high.
RFM_CLASSES = (
    ClassName("general_winback", "General, to win back: lapsed, low value", "一般挽留客户 (无价值)"),
    ClassName("important_winback", "High-value, to win back", "重要挽留客户"),
    ClassName("general_keep", "General, to keep: was frequent", "一般保持客户"),
    ClassName("important_keep", "High-value, to keep", "重要保持客户"),
    ClassName("general_develop", "General, to develop: new or occasional", "一般发展客户"),
    ClassName("important_develop", "High-value, to develop", "重要发展客户"),
    ClassName("general_value", "General: active, low spend", "一般价值客户"),
    ClassName("important_value", "Core high-value", "重要价值客户"),
)


def class_name(features: Sequence[str], high: Sequence[bool]) -> ClassName:
    """The class of a segment whose means are at least as good as the average where `high` says so.

    Recency, frequency and monetary in any order take the classic names; any other list spells its pattern in
    the order of the features, one `+` or `-` each.
    """
    if sorted(features) == sorted(RFM):
        by_name = dict(zip(features, high, strict=True))
        return RFM_CLASSES[sum(4 >> i for i, name in enumerate(RFM) if by_name[name])]
    pattern = "".join("+" if h else "-" for h in high)
    return ClassName(pattern, pattern, pattern)


def segment_labels(names: list[ClassName], lang: Lang) -> list[str]:
    """Labels that are unique per segment: the class, numbered by value where several segments share it.

    `names` is in the order of segment ids (most valuable first). A code gets `_1`, `_2`; a name ` 1`, ` 2`.
    """
    codes = [name.code for name in names]
    joiner = "_" if lang == "code" else " "
    seen: dict[str, int] = {}
    labels = []
    for name in names:
        if codes.count(name.code) == 1:
            labels.append(name.label(lang))
            continue
        seen[name.code] = seen.get(name.code, 0) + 1
        labels.append(f"{name.label(lang)}{joiner}{seen[name.code]}")
    return labels
