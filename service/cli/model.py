"""`segserve model show`: a fitted model as a person reads it."""

from __future__ import annotations

from rich import box
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from proto.bundle import AnyModel, Bundle
from proto.classes import Lang
from proto.model import Feature, Model
from service.cli.figures import column, percent
from service.cli.table import print_report, summary_of

__all__ = ["print_model"]


def print_model(console: Console, model: AnyModel, lang: Lang) -> None:
    """The segment table of the fit, then features and settings."""
    print_report(console, summary_of(model), lang=lang, title=f"model {model.id[:12]}")
    if isinstance(model, Bundle):  # features and settings are those of each group
        return
    console.print(_features(model))
    console.print()
    console.print(Padding(Group(*_settings(model)), (0, 1), expand=False))
    console.print()


def _features(model: Model) -> Table:
    table = Table(box=box.SIMPLE, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), border_style="dim")
    for head in (" Feature", "Better", "Weight", "Log", "Mean", "Median", "Least", "Most"):
        table.add_column(head, justify="left" if head in (" Feature", "Better", "Log") else "right")
    for feature in model.features:
        figures = column([feature.mean, feature.median, feature.minimum, feature.maximum])
        better = "smaller" if feature.sign < 0 else "larger"
        table.add_row(f" {feature.name}", better, percent(feature.weight), _log(feature), *figures)
    return table


def _log(feature: Feature) -> str:
    return f"of x/{feature.log_unit / 100:,.4g}" if feature.log else "–"


def _settings(model: Model) -> list[Text]:
    fitted, how = model.fitted_on, model.aggregation
    lines = [
        ("id", model.id),
        ("input", model.input),
        ("scaler", model.scaler),
        (
            "fit",
            f"inertia {fitted.inertia:,.6g}, best of {fitted.starts} starts (seed {fitted.seed}), "
            f"{fitted.steps} mini-batches, {fitted.passes} full passes",
        ),
    ]
    if how is not None:
        window = "all rows" if how.window_days is None else f"the last {how.window_days:g} days"
        lines.append(("frequency", f"counts by {how.occasion}, {window}, days of {how.tz}"))
        lines.append(("monetary", f"{how.monetary}, refunds: {how.refunds}"))
    borderline = [str(segment.id) for segment in model.segments if segment.borderline]
    if borderline:
        lines.append(("borderline", f"segment {', '.join(borderline)}: a mean lies close to the cut of its class"))
    return [Text.assemble((f"{name:<11}", "bold"), text) for name, text in lines]
