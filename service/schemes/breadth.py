"""breadth: does a customer come for one product, or for the brand? Source: product against brand loyalty."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.accumulators import MISSING
from service.schemes.accumulations import Accumulation, Distinct, Variety
from service.schemes.parameters import Parameter
from service.schemes.scheme import Classified, Column, Figure, Frozen, Given, Scheme, SchemeClass, Text
from service.schemes.view import View

__all__ = ["SCHEME"]

_CLASSES = (
    SchemeClass(
        "single_purchase",
        "Single purchase",
        "单次购买",
        Text(
            "Ask how the first purchase went; suggest the natural second one.", "回访首次体验, 推荐顺理成章的第二件。"
        ),
    ),
    SchemeClass(
        "product_loyal",
        "Product-loyal",
        "产品忠诚",
        Text("Never let their product run out; let them try its neighbour.", "保证其常购商品不断货, 并试推相邻商品。"),
    ),
    SchemeClass(
        "brand_loyal",
        "Brand-loyal",
        "品牌忠诚",
        Text("Show them what is new first; ask them to recommend you.", "新品优先告知, 邀请其推荐。"),
    ),
)
_SINGLE, _PRODUCT, _BRAND = range(3)


def _accumulate(given: Given, columns: frozenset[str]) -> dict[str, Accumulation]:
    column = "category" if "category" in columns else "product_id"
    return {"variety": Distinct(column) if given["count"] else Variety(column)}


def _classify(view: View, given: Given, frozen: Frozen) -> Classified:
    assert view.orders is not None
    variety = view.of("variety")
    classes = np.full(view.n, -1, np.int64)
    classes[variety == 1] = _PRODUCT
    classes[variety > 1] = _BRAND
    classes[view.orders == 1] = _SINGLE
    if not given["count"]:
        return Classified(classes, {})
    return Classified(classes, {"distinct": np.where(view.orders > 0, variety, MISSING)})


def _summarise(view: View, found: Classified, given: Given, frozen: Frozen) -> dict[str, Any]:
    """How many of those that came more than once buy more than one thing."""
    repeated = np.count_nonzero((found.classes == _PRODUCT) | (found.classes == _BRAND))
    brand = int(np.count_nonzero(found.classes == _BRAND))
    return {"brand_loyal_share_of_repeated": brand / int(repeated) if repeated else None}


SCHEME = Scheme(
    name="breadth",
    title=Text("Breadth: product or brand", "购买广度: 产品忠诚或品牌忠诚"),
    question=Text("Do they come for one product, or for the brand?", "他们忠于单一产品, 还是忠于品牌?"),
    formula="One order: single purchase. Else the distinct categories of all purchase rows (products where there is "
    "no category column): 1 is product-loyal, 2 or more brand-loyal; none known, or no purchase: unknown. "
    "count=true adds their number, which takes memory per customer and category.",
    classes=_CLASSES,
    accumulate=_accumulate,
    classify=_classify,
    summarise=_summarise,
    columns=(
        Column(
            "category",
            "id",
            Text("The category of a row's product; better than the product.", "商品品类, 优先使用。"),
            False,
        ),
        Column("product_id", "id", Text("The product of a row.", "商品编号。"), False),
    ),
    any_of=("category", "product_id"),
    parameters=(
        Parameter("count", "flag", False, "Count the distinct ones, not only one or several.", "统计不同种类的数量。"),
    ),
    figures=(Figure("distinct", "integer", Text("Distinct categories, or products.", "不同品类(或产品)数。")),),
)
