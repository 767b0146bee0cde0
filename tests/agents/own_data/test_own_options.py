"""The one description of how a history is read and fitted: it is that of the reader, and a form can be filled by it."""

from __future__ import annotations

import inspect

import pytest
from pydantic import ValidationError

from agents.own_data.options import FitOptions, Reading, fields_of
from metric_tracker_env.history import read_history


def test_the_options_are_those_of_the_reader() -> None:
    """Each argument of ``read_history`` but the source, with its default."""
    taken = {name: item.default for name, item in inspect.signature(read_history).parameters.items()}
    del taken["source"]
    given = {name: FitOptions.model_fields[name].default for name in (*Reading.model_fields, "since", "until")}
    assert given == taken


def test_every_option_is_a_field_of_the_form() -> None:
    """With its choices, its default and words; columns and days are told apart."""
    fields = {field.name: field for field in fields_of(FitOptions)}
    assert list(fields) == list(FitOptions.model_fields)
    assert all(field.help for field in fields.values())
    assert fields["missing"].choices == ("refuse", "fill", "zero")
    assert (fields["missing"].kind, fields["missing"].default) == ("choice", "refuse")
    kinds = {name: fields[name].kind for name in ("steps", "time", "visit_gap", "until", "ignore", "timezone", "weeks")}
    assert kinds == {
        "steps": "columns",
        "time": "column",
        "visit_gap": "number",
        "until": "day",
        "ignore": "days",
        "timezone": "text",
        "weeks": "number",
    }


def test_texts_become_options() -> None:
    """What is empty was not given; names are parted by commas."""
    told = {"steps": "visits, carts ,orders", "weeks": "6", "visit_gap": " 0.5 ", "missing": "zero", "time": ""}
    options = FitOptions.of_texts({**told, "ignore": "2026-03-14"})
    assert options.steps == ("visits", "carts", "orders")
    assert (options.weeks, options.visit_gap, options.missing, options.time) == (6, 0.5, "zero", None)
    assert options.ignore == ("2026-03-14",)
    assert options.reading == Reading(steps=("visits", "carts", "orders"), visit_gap=0.5, missing="zero")


@pytest.mark.parametrize("given", [{"weeks": "many"}, {"missing": "guess"}, {"seed": "3"}])
def test_bad_texts_are_refused(given: dict[str, str]) -> None:
    """By the option's name."""
    with pytest.raises(ValidationError, match=next(iter(given))):
        FitOptions.of_texts(given)
