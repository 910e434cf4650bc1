"""The commands. Every option of the service is a flag, made from its declaration in `proto/options.py`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console

from proto.audience import AudienceOptions
from proto.classes import Lang
from proto.options import FitOptions, ScoreOptions, SegmentOptions
from service.api_keys import KeysError, new_key
from service.cli.failures import UserError, reported
from service.cli.flags import flag_name, query_of, with_flags
from service.settings import Settings, unknown_variables

__all__ = ["app"]

OPTIONS = "Options of the service"
FIXED = {"Fixed by the model.": "Fixed by the model: may be repeated, but not contradicted"}

app = typer.Typer(
    name="segserve",
    help="Customer segmentation: transactions in, segments and value scores out.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
models = typer.Typer(name="model", help="Look at fitted models.", no_args_is_help=True, rich_markup_mode="rich")
app.add_typer(models)

Files = Annotated[
    list[Path],
    typer.Argument(metavar="FILES...", help="Parquet, CSV or Arrow files, or folders of them.", show_default=False),
]
Url = Annotated[
    str | None,
    typer.Option("--url", envvar="SEGSERVE_URL", help="A running server; without it everything runs in this process."),
]
ApiKey = Annotated[
    str | None,
    typer.Option("--api-key", envvar="SEGSERVE_API_KEY", help="Your key at that server.", show_default=False),
]
Threads = Annotated[
    int, typer.Option("--threads", min=0, max=256, help="Compute threads without a server; 0: all cores.")
]
Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="SCHEME.PARAMETER=VALUE",
        help="A parameter of a scheme, such as growth.window=60d; once for each. `segserve schemes` lists them.",
    ),
]
Mapping = Annotated[
    list[Path] | None,
    typer.Option(
        "--mapping",
        metavar="FILE",
        help="Who is in which household, where FILES do not say: a file with customer_id and the column of --rollup; "
        "once for each file.",
    ),
]
ScoringModel = Annotated[
    str, typer.Option("--model", "-m", help="The model: a file, or its name on the server.", show_default=False)
]
OUT_HELP = "Where the rows go: .parquet, .csv, .arrow or .json."


@app.command()
@reported
@with_flags(Settings, panel="Settings")
def serve(**given: Any) -> None:
    """Start the service. Every flag is also an environment variable: SEGSERVE_ and its name in capitals."""
    for complaint in unknown_variables(os.environ):
        raise UserError("A setting is not known", f"{complaint}.")
    try:
        settings = Settings(**given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        name = str(first["loc"][0]) if first["loc"] else "settings"
        where = f"{flag_name(name)} or SEGSERVE_{name.upper()}"
        raise UserError("A setting cannot be used", f"{where}={first['input']}: {first['msg']}") from None
    from service.__main__ import serve as run_server

    raise typer.Exit(run_server(settings))


@app.command()
@reported
@with_flags(SegmentOptions, panel=OPTIONS, skip=["init"])
def segment(
    files: Files,
    out: Annotated[Path | None, typer.Option("--out", "-o", help=OUT_HELP)] = None,
    model_out: Annotated[Path | None, typer.Option("--model-out", help="Keep the fitted model here (.json).")] = None,
    init: Annotated[
        str | None,
        typer.Option("--init", help="Model to start from, a file or its name on the server: keeps its segment ids."),
    ] = None,
    url: Url = None,
    api_key: ApiKey = None,
    threads: Threads = 0,
    parameters: Parameters = None,
    mapping: Mapping = None,
    **given: Any,
) -> None:
    """Fit segments to FILES, write one row per customer, and show where the money is."""
    from service.cli.run import run

    run(
        "segment",
        files,
        query_of(given, parameters),
        out=out,
        model_out=model_out,
        url=url,
        api_key=api_key,
        model=init,
        threads=threads,
        mapping=mapping or (),
    )


@app.command()
@reported
@with_flags(FitOptions, panel=OPTIONS, skip=["init"])
def fit(
    files: Files,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the model goes (.json).", show_default=False)],
    init: Annotated[
        str | None,
        typer.Option("--init", help="Model to start from, a file or its name on the server: keeps its segment ids."),
    ] = None,
    url: Url = None,
    api_key: ApiKey = None,
    threads: Threads = 0,
    parameters: Parameters = None,
    mapping: Mapping = None,
    **given: Any,
) -> None:
    """Fit segments to FILES and keep the model, to score with later."""
    from service.cli.run import run

    run(
        "fit",
        files,
        query_of(given, parameters),
        out=None,
        model_out=out,
        url=url,
        api_key=api_key,
        model=init,
        threads=threads,
        mapping=mapping or (),
    )


@app.command()
@reported
@with_flags(ScoreOptions, panel=OPTIONS, skip=["model"], panels=FIXED)
def score(
    files: Files,
    model: ScoringModel,
    out: Annotated[Path | None, typer.Option("--out", "-o", help=OUT_HELP)] = None,
    url: Url = None,
    api_key: ApiKey = None,
    threads: Threads = 0,
    parameters: Parameters = None,
    mapping: Mapping = None,
    **given: Any,
) -> None:
    """Put the customers of FILES into the segments of a model."""
    from service.cli.run import run

    run(
        "score",
        files,
        query_of(given, parameters),
        out=out,
        url=url,
        api_key=api_key,
        model=model,
        threads=threads,
        mapping=mapping or (),
    )


@app.command()
@reported
def key(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What logs and metrics call it.", show_default=False)],
    rate: Annotated[float | None, typer.Option("--rate", help="Requests a second. Default: any number.")] = None,
) -> None:
    """Make a new key: shown once, and never stored. The service needs only the line with its hash."""
    try:
        secret, line = new_key(name, rate)
    except KeysError as error:
        raise UserError("No such key", f"{error}.") from None
    typer.echo(f"Key, for the caller:\n  {secret}\nLine, for SEGSERVE_API_KEYS_FILE:\n  {line}")


@app.command()
@reported
def schemes(
    lang: Annotated[Lang, typer.Option("--lang", help="In which language: en or zh.")] = "en",
) -> None:
    """List the value schemes: what each asks and needs, its classes and what to do about them."""
    from service.cli.schemes import print_catalogue

    print_catalogue(Console(), lang)


@app.command()
@reported
@with_flags(AudienceOptions, panel=OPTIONS, skip=["model"], panels=FIXED)
def audience(
    files: Files,
    model: ScoringModel,
    out: Annotated[Path | None, typer.Option("--out", "-o", help=OUT_HELP)] = None,
    url: Url = None,
    api_key: ApiKey = None,
    threads: Threads = 0,
    parameters: Parameters = None,
    mapping: Mapping = None,
    **given: Any,
) -> None:
    """Choose the customers of FILES worth spending on: best first, with rank and cost, within a budget."""
    from service.cli.run import run

    run(
        "audience",
        files,
        query_of(given, parameters),
        out=out,
        url=url,
        api_key=api_key,
        model=model,
        threads=threads,
        mapping=mapping or (),
    )


@models.command()
@reported
def show(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model file, or its name on the server.")],
    url: Url = None,
    api_key: ApiKey = None,
    lang: Annotated[Lang, typer.Option("--lang", help="How segments are named.")] = "en",
) -> None:
    """Show what a model knows: its segments, its features, and what it was fitted on."""
    from service.cli.model import print_model
    from service.cli.run import find_model

    print_model(Console(), find_model(model, url, api_key), lang)
