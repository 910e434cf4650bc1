"""Every option of the service is a flag, made from its declaration."""

from __future__ import annotations

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from proto.audience import AudienceOptions
from proto.options import FitOptions, ScoreOptions, SegmentOptions, parse_options
from service.cli.app import app
from service.cli.flags import flag_name, query_of
from service.settings import Settings

COMMANDS = get_command(app).commands


def flags(command):
    return {flag for param in COMMANDS[command].params for flag in (*param.opts, *param.secondary_opts)}


@pytest.mark.parametrize(
    ("command", "model"),
    [
        ("segment", SegmentOptions),
        ("fit", FitOptions),
        ("score", ScoreOptions),
        ("audience", AudienceOptions),
        ("serve", Settings),
    ],
)
def test_every_field_is_a_flag(command, model):
    missing = {flag_name(name) for name in model.model_fields} - flags(command)
    assert missing == set()


def test_help_says_what_the_declaration_says():
    for command, model in (("segment", SegmentOptions), ("serve", Settings)):
        by_name = {param.name: param for param in COMMANDS[command].params}
        for name, field in model.model_fields.items():
            if name != "init":
                assert by_name[name].help.startswith(field.description)


@pytest.mark.parametrize(
    "flags", [["--occasion", "week"], ["--k", "0"], ["--k", "many"], ["--whole-days=maybe"], ["--no-such-flag"]]
)
def test_choices_and_bounds_come_from_the_declaration(flags):
    done = CliRunner().invoke(app, ["segment", "sales.csv", *flags])
    assert done.exit_code == 2
    assert "Traceback" not in done.output


def test_query_of_flags_is_what_the_service_parses():
    given = {"k": 5, "whole_days": True, "strict_k": False, "as_of": "2026-01-31", "weights": "frequency:1"}
    query = query_of(given)
    assert query["whole_days"] == "true"
    options = parse_options(SegmentOptions, query.items())
    assert (options.k, options.whole_days, options.strict_k, options.weights) == (5, True, False, {"frequency": 1.0})
