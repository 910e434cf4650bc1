"""What is remembered stays within its budget, and what is used stays longest."""

from service.quick.remembered import Remembered


def test_what_was_used_longest_ago_goes_first() -> None:
    kept: Remembered[str] = Remembered(30)
    for key in "abc":
        kept.put(key, key.upper(), 10)
    assert kept.get("a") == "A"
    kept.put("d", "D", 10)
    assert [kept.get(key) for key in "abcd"] == ["A", None, "C", "D"]
    assert len(kept) == 3


def test_a_value_can_be_replaced() -> None:
    kept: Remembered[int] = Remembered(30)
    kept.put("a", 1, 20)
    kept.put("a", 2, 10)
    kept.put("b", 3, 20)
    assert (kept.get("a"), kept.get("b")) == (2, 3)


def test_what_is_larger_than_the_budget_is_not_kept() -> None:
    kept: Remembered[int] = Remembered(30)
    kept.put("a", 1, 31)
    assert kept.get("a") is None
    assert len(kept) == 0
