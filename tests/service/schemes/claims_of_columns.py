"""Numbers in the docs of season and of schemes that read further columns: written anew from what is answered."""

from __future__ import annotations

from fractions import Fraction
from functools import partial

from tests.service.schemes.answers import Claim, base, classes, customers, figures, of_whole, parameter
from tests.service.schemes.shop import purchases, request, told

FRACTIONS = {Fraction(1, 3): "⅓", Fraction(2, 3): "⅔"}


def risk_levels() -> dict[str, list[Fraction]]:
    """The risks of each level, of those between −1/12 and 13/12."""
    twelfths = range(-1, 14)
    table = purchases(*((f"c{i}", "2024-01-01", 1.0) for i in twelfths), risk=[i / 12 for i in twelfths])
    found: dict[str, list[Fraction]] = {}
    for i, level in zip(twelfths, figures(table, "acquisition", "acquisition", "risk"), strict=True):
        found.setdefault(level, []).append(Fraction(i, 12))
    assert found["unknown"] == [Fraction(-1, 12), Fraction(13, 12)]
    return found


def acquisition_ends(written: str) -> str:
    levels = risk_levels()
    return written.format(levels["low"][0], levels["high"][-1])


def acquisition_risk() -> str:
    middle, high = (FRACTIONS[risk_levels()[level][0]] for level in ("middle", "high"))
    return acquisition_ends(f"risk: < {middle} low, < {high} middle, else high; outside {{}} … {{}} unknown")


def acquisition_no_discount() -> str:
    table = purchases(("a", "2024-01-01", 1.0), ("b", "2024-01-01", 1.0), ("c", "2024-01-01", 1.0), discount=[0, 1, -1])
    assert figures(table, "acquisition", "acquisition", "discounted_share") == [0.0, 1.0, 1.0]
    return f"{0} without, either sign"


def breadth_counts() -> str:
    """Each customer comes three times, for one, two or three products."""
    bought = [(n, visit) for n in (1, 2, 3) for visit in range(3)]
    table = purchases(
        *((f"c{n}", f"2024-01-{visit + 1:02}", 1.0) for n, visit in bought),
        product_id=[visit % n for n, visit in bought],
    )
    found = classes(table, "breadth", "breadth")
    assert found == ["product_loyal", "brand_loyal", "brand_loyal"]
    return "{} is product-loyal, {} or more brand-loyal".format(*(1 + found.index(name) for name in found[:2]))


def efficiency_loss() -> str:
    found = classes(base(3, monetary=[64.0, 64.0, 64.0], cost=[1.0, 64.0, 65.0]), "efficiency", "efficiency")
    assert found == ["high_value", "low_value", "low_value"]
    return f"Revenue − cost ≤ {0} is always low value"


def efficiency_no_ratio() -> str:
    table = base(3, monetary=[-1.0, 0.0, 64.0], cost=[1.0, 1.0, 1.0])
    ratios = figures(table, "efficiency", "efficiency", "ratio")
    assert [value is None for value in ratios] == [True, True, False]
    assert classes(table, "efficiency", "efficiency")[:2] == ["low_value"] * 2
    return f"revenue ≤ {0} leaves no ratio"


def funnel_conversion() -> str:
    table = purchases(*((f"c{i}", "2024-01-01", 1.0) for i in range(3)), stage=["aware", "buying", "buying"])
    stages = of_whole(request(table, "funnel"), "funnel")["stages"]
    step = 1
    for one, later in zip(stages, stages[step:], strict=False):
        assert one["conversion"] == (later["reach"] / one["reach"] if one["reach"] else None)
    return f"conversion(i) = reach(i + {step}) ÷ reach(i)"


def profile_lift() -> str:
    """Where all customers share a label, it is as frequent in each segment as among all."""
    table = customers(visits=[1, 2, 90, 91], region=["north"] * 4)
    lifts = set(of_whole(request(table, "profile", features="visits"), "profile")["region"][0]["lift"])
    return f"{lifts.pop():g} is as often as among all" if len(lifts) == 1 else str(lifts)


def relationship_levels() -> str:
    known = {"c0": [("x", "d")], "c1": [("x", "d"), ("y", "d")], "c2": [("x", "d"), ("y", "e")]}
    rows = [(who, contact, department) for who, pairs in known.items() for contact, department in pairs]
    table = purchases(
        *((who, "2024-01-01", 1.0) for who, _, _ in rows),
        contact_id=[contact for _, contact, _ in rows],
        department=[department for _, _, department in rows],
    )
    found = {row["class"]: row for row in told(request(table, "relationship"), "relationship").values()}
    return (
        f"{found['company']['departments']} departments or more: company; {found['departmental']['contacts']} contacts "
        f"or more in one: departmental; {found['personal']['contacts']} contact: personal"
    )


def season_index() -> str:
    return f"Peak months: index ≥ {parameter('season', 'index').default:g}"


def season_no_spend() -> str:
    bought = [(who, f"{year}-{month:02}-01", 1.0) for year in (2023, 2024) for month in range(1, 7) for who in "ab"]
    rows = [*bought, ("b", "2023-09-01", 1.0), ("b", "2023-11-01", -13.0), ("a", "2023-12-01", 99.0)]
    found = dict(zip("ab", classes(purchases(*rows), "season", "season"), strict=True))
    assert found["a"] != "unknown"
    assert found["b"] == "unknown"
    return f"a spend ≤ {0}: unknown"


def size_match_bounds() -> str:
    own = {"schemes": "size_match", "size_match.own_size": "12", "size_match.factor": "4"}
    found = classes(customers(size=[2.9, 3.0, 48.0, 48.1], visits=[1, 2, 3, 4]), own, "size_match", features="visits")
    assert found == ["mismatched", "equal", "equal", "mismatched"]
    return f"{3 * 4 // 12} ÷ factor ≤ ratio ≤ factor"


def size_match_none() -> str:
    own = {"schemes": "size_match", "size_match.own_size": "12"}
    found = classes(customers(size=[-1.0, 0.0, 0.1], visits=[1, 2, 3]), own, "size_match", features="visits")
    assert [name == "unknown" for name in found] == [True, True, False]
    return f"size missing or ≤ {0}: unknown"


def willingness() -> list[float | None]:
    table = base(4, monetary=[64.0, 48.0, 0.0, -1.0], discount=[0.0, 16.0, 0.0, 0.5])
    return figures(table, "three_high", "three_high", "willingness")


def willingness_formula() -> str:
    whole = 1
    assert willingness()[1] == whole - 16 / (48 + 16)
    return f"willingness = {whole} − d ÷ (revenue + d)"


def willingness_full_price() -> str:
    table = base(3, monetary=[48.0] * 3, discount=[0.0, 16.0, -16.0])
    assert figures(table, "three_high", "three_high", "willingness") == [1.0, 0.75, 0.75]
    return f"{0} without, either sign"


def willingness_short() -> str:
    full, *_ = willingness()
    assert full is not None
    return f"{full:g} − discount share: {full:g} pays full prices"


def willingness_none() -> str:
    assert [value is None for value in willingness()] == [False, False, True, True]
    return f"Revenue + d ≤ {0}"


def tiers_range() -> str:
    table = purchases(*((f"c{i}", "2024-01-01", float(2**i)) for i in range(9)))
    found = figures(table, "tiers", "tiers", "percentile")
    assert 0 <= min(found) < max(found) <= 100
    bounds = parameter("tiers", "ideal")
    return f"Value percentile, {bounds.least} … {bounds.most}"


def value_type_none() -> str:
    table = base(3, monetary=[-9.0, 0.0, 1.0], service_amount=[1.0, 1.0, 1.0])
    shares = figures(table, "value_type", "value_type", "service_share")
    assert [value is None for value in shares] == [True, True, False]
    return f"a denominator ≤ {0}, does not hold"


def wallet_shares() -> list[float | None]:
    table = base(5, monetary=[-64.0, 64.0, 16.0, 1.0, 1.0], category_spend=[64.0, 32.0, 64.0, 0.0, -1.0])
    return figures(table, "wallet", "wallet", "share")


def wallet_range() -> str:
    low, high, inside, *_ = wallet_shares()
    assert inside == 0.25
    return f"between {low:g} and {high:g}"


def wallet_none() -> str:
    assert wallet_shares()[3:] == [None, None]
    return f"category_spend missing or ≤ {0}: unknown"


CLAIMS: tuple[Claim, ...] = (
    ("acquisition", "risk: < ⅓ low, < ⅔ middle, else high; outside 0 … 1 unknown", acquisition_risk),
    ("acquisition", "Risk of a partnership, 0 … 1", partial(acquisition_ends, "Risk of a partnership, {} … {}")),
    ("acquisition", "0 without, either sign", acquisition_no_discount),
    ("breadth", "1 is product-loyal, 2 or more brand-loyal", breadth_counts),
    ("efficiency", "Revenue − cost ≤ 0 is always low value", efficiency_loss),
    ("efficiency", "revenue ≤ 0 leaves no ratio", efficiency_no_ratio),
    ("funnel", "conversion(i) = reach(i + 1) ÷ reach(i)", funnel_conversion),
    ("profile", "1 is as often as among all", profile_lift),
    (
        "relationship",
        "2 departments or more: company; 2 contacts or more in one: departmental; 1 contact: personal",
        relationship_levels,
    ),
    ("season", "Peak months: index ≥ 1.2", season_index),
    ("season", "a spend ≤ 0: unknown", season_no_spend),
    ("size_match", "1 ÷ factor ≤ ratio ≤ factor", size_match_bounds),
    ("size_match", "size missing or ≤ 0: unknown", size_match_none),
    ("three_high", "willingness = 1 − d ÷ (revenue + d)", willingness_formula),
    ("three_high", "Revenue + d ≤ 0", willingness_none),
    ("three_high", "0 without, either sign", willingness_full_price),
    ("three_high", "1 − discount share: 1 pays full prices", willingness_short),
    ("tiers", "Value percentile, 0 … 100", tiers_range),
    ("value_type", "a denominator ≤ 0, does not hold", value_type_none),
    ("wallet", "between 0 and 1", wallet_range),
    ("wallet", "category_spend missing or ≤ 0: unknown", wallet_none),
)
