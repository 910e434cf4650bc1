"""One request from the command line, from files to files: against a server, or in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.text import Text

from proto.audience import AudienceOptions
from proto.bundle import AnyModel, dump_any, load_any, shared_of
from proto.classes import Lang
from proto.options import FitOptions, ScoreOptions, SegmentOptions, parse_options
from proto.roles import Options
from service.cli.failures import UserError
from service.cli.figures import size
from service.cli.inputs import Source, latest, open_mapping, open_source
from service.cli.outputs import MODEL_SUFFIXES, check_output, write_model, write_result
from service.cli.progress import Progress
from service.cli.remote import fetch_model, run_remote
from service.cli.result import Kind, Result
from service.cli.schemes import (
    ALL,
    need_as_of,
    only_columns,
    possible,
    print_left_out,
    without_schemes,
)
from service.cli.table import print_report

__all__ = ["find_model", "run"]

SCORES = ("score", "audience")
OPTIONS: dict[Kind, type[SegmentOptions | FitOptions | ScoreOptions]] = {
    "segment": SegmentOptions,
    "fit": FitOptions,
    "score": ScoreOptions,
    "audience": AudienceOptions,
}


def run(
    kind: Kind,
    paths: Sequence[Path],
    query: dict[str, str],
    *,
    out: Path | None,
    model_out: Path | None = None,
    url: str | None = None,
    api_key: str | None = None,
    model: str | None = None,
    threads: int = 0,
    mapping: Sequence[Path] = (),
) -> None:
    """Reads, sends or computes, writes, and prints the segment table.

    `model` is what scores, or what a fit starts from: a file, or with `url` also the name of a model on the server.
    `mapping`: files that say which household each customer is in.
    """
    for path, suffixes in ((out, None), (model_out, MODEL_SUFFIXES)):
        if path is not None:
            check_output(path, suffixes) if suffixes else check_output(path)
    known = None if model is None else find_model(model, url, api_key)
    if known is not None and kind not in SCORES:
        query = query | {"init": "inline"}
    homes = None
    if mapping:
        homes, query = _mapped(kind, mapping, query, known)
    missing: dict[str, str] = {}
    if query.get("schemes") == ALL:
        query, missing = _all_schemes(kind, paths, query, known, mapped=homes is not None)
    with Progress() as progress:
        progress.step("Reading the schema")
        options, source, query = _prepare(kind, paths, query, known, mapped=homes is not None)

        def sent() -> Iterator[pa.RecordBatch]:
            progress.step("Sending" if url else "Reading", source.n_bytes)
            yield from source.batches(lambda done: progress.at(done, size(done)))
            progress.step("Scoring" if kind in SCORES else "Segmenting")

        if url is None:
            progress.step("Getting the kernels ready")
        with _answer(kind, source, sent(), options, query, known, url, api_key, threads, homes) as result:
            if out is not None:
                write_result(result, out, lambda rows: progress.rows(rows, "Writing", result.customers_out))
            else:
                for _ in result.batches:  # to the closing marker: a reply that was cut is no reply
                    pass
            if model_out is not None and result.model is not None:
                write_model(result.model, model_out)
    lang: Lang = getattr(options, "lang", "en") if "lang" in query else "en"
    console = Console()
    print_report(console, result.summary, lang=lang)
    print_left_out(console, missing)
    for what, path in (("Rows", out), ("Model", model_out)):
        if path is not None:
            console.print(Text(f" {what}: {path}"), soft_wrap=True)


def _all_schemes(
    kind: Kind, paths: Sequence[Path], query: dict[str, str], known: AnyModel | None, *, mapped: bool
) -> tuple[dict[str, str], dict[str, str]]:
    """The query with every scheme that the files allow, or the model has, for `all`; and why others are not there."""
    plain, missing = without_schemes(query), dict[str, str]()
    if kind in SCORES:
        inside = list(getattr(shared_of(known), "schemes", None) or {})
    else:
        source = open_source(paths, parse_options(OPTIONS[kind], plain.items()), None, mapped=mapped)
        inside, missing = possible(source.files[0].schema.names, query)
    if not inside:
        return plain, missing
    own = {name: value for name, value in query.items() if name.partition(".")[0] in inside}
    return {**only_columns(plain, inside, query.get("columns", "")), **own, "schemes": ",".join(inside)}, missing


def _mapped(
    kind: Kind, paths: Sequence[Path], query: dict[str, str], known: AnyModel | None
) -> tuple[Source, dict[str, str]]:
    """The mapping, and the query with the column of households, which the server has to know ahead of it."""
    column = query.get("rollup")
    if column is None and kind in SCORES:
        aggregation = getattr(shared_of(known), "aggregation", None)
        column = getattr(aggregation, "rollup", None)
    if column is None:
        raise UserError(
            "Nothing asks for households",
            "--mapping says which household each customer is in. Say --rollup household_id too, with the name that "
            "the column of households has there, or score with a model that was fitted so.",
        )
    return open_mapping(paths, column), query | {"rollup": column}


def _prepare(
    kind: Kind, paths: Sequence[Path], query: dict[str, str], known: AnyModel | None, *, mapped: bool
) -> tuple[Options, Source, dict[str, str]]:
    """Options checked, files opened, and the query as it is sent.

    A window needs to know as_of before the first row, some schemes too. Here the files can be read twice, so `max` is
    looked up.
    """
    looks_back = "window" in query or ("schemes" in query and need_as_of(query["schemes"].split(",")))
    wants_max = kind not in SCORES and looks_back and query.get("as_of", "max") == "max"
    kept = {name: value for name, value in query.items() if not (wants_max and name == "window")}
    options = parse_options(OPTIONS[kind], kept.items())
    source = open_source(paths, options, known if kind in SCORES else None, mapped=mapped)
    sent = {column for column in options.columns.values() if column in source.roles.sources}
    if set(options.columns.values()) - sent:
        pairs = [f"{name}:{column}" for name, column in options.columns.items() if column in sent]
        kept["columns"] = ",".join(pairs)
    if wants_max:
        top = latest(source, source.roles.timestamp) if source.roles.timestamp else None
        kept |= {name: query[name] for name in ("window",) if name in query} | {"as_of": top or "now"}
    if not kept.get("columns", "x"):
        del kept["columns"]
    return parse_options(OPTIONS[kind], kept.items()), source, kept


@contextmanager
def _answer(
    kind: Kind,
    source: Source,
    batches: Iterator[pa.RecordBatch],
    options: Any,
    query: dict[str, str],
    known: AnyModel | None,
    url: str | None,
    api_key: str | None,
    threads: int,
    homes: Source | None,
) -> Iterator[Result]:
    if url is not None:
        inline = None if known is None else dump_any(known)
        with run_remote(url, kind, source.schema, batches, query, inline, api_key, homes) as result:
            yield result
        return
    from service.cli.local import run_here

    yield run_here(kind, source.schema, batches, options, known, threads, homes)


def find_model(name: str, url: str | None, api_key: str | None = None) -> AnyModel:
    """A model file; else, with a server, the model it knows by that name."""
    path = Path(name)
    if path.is_file():
        return load_any(path.read_bytes())
    if url is not None:
        return fetch_model(url, name, api_key)
    raise UserError("No such model", f"There is no model file {path}.", "Make one with `segserve fit`.")
