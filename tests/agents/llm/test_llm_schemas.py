"""The schemas that an endpoint is sent: plain ones that all take, strict ones, and what a pass^k is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args

import numpy as np
import pytest

from agents.evaluation.intervals import bootstrap
from agents.llm.schemas import Mode, schemas_for, without_nulls
from agents.llm.summary import pass_hat
from metric_tracker_env import GeneratorConfig
from metric_tracker_env.session import call_schemas

FULL = call_schemas(GeneratorConfig())


def nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """A schema and all schemas in it."""
    yield schema
    for part in [*schema.get("properties", {}).values(), *schema.get("anyOf", ())]:
        yield from nodes(part)
    if "items" in schema:
        yield from nodes(schema["items"])


def parameters(mode: Mode) -> list[dict[str, Any]]:
    """Schemas of the arguments."""
    return [tool["function"]["parameters"] for tool in schemas_for(mode, FULL)]


def test_full_schemas_are_those_of_the_session() -> None:
    """Full is what the tools check, and nothing that is handed in is changed by any mode."""
    before = json.dumps(FULL)
    for mode in get_args(Mode):
        schemas_for(mode, FULL)
    assert json.dumps(FULL) == before
    assert schemas_for("full", FULL) == FULL


def test_plain_schemas_have_nothing_that_some_endpoints_refuse() -> None:
    """Types, names, descriptions, requirements, bounds and defaults stay; the rest and all nulls are gone."""
    allowed = {"type", "description", "enum", "properties", "required", "items", "default", "minimum", "maximum"}
    for plain, full in zip(parameters("plain"), parameters("full"), strict=True):
        for node in nodes(plain):
            assert set(node) <= allowed
            assert node["type"] in {"object", "array", "string", "number", "integer"}
            assert node.get("default", 0) is not None
        assert plain["required"] == full["required"]
        assert list(plain["properties"]) == list(full["properties"])
        for name, part in plain["properties"].items():
            assert part["description"] == full["properties"][name]["description"]
    rows = next(tool for tool in schemas_for("plain", FULL) if tool["function"]["name"] == "submit")
    row = rows["function"]["parameters"]["properties"]["rows"]["items"]
    assert len(row["required"]) == len(row["properties"]) == 9


def test_strict_schemas_are_closed_and_ask_for_all() -> None:
    """Every object is closed and requires all it has; what may be left out may be null, and says what null is."""
    for tool in schemas_for("strict", FULL):
        assert tool["function"]["strict"] is True
    for strict, full in zip(parameters("strict"), parameters("full"), strict=True):
        for node in nodes(strict):
            assert not set(node) & {"default", "uniqueItems", "exclusiveMinimum", "format"}
            if node.get("type") == "object":
                assert node["additionalProperties"] is False
                assert node["required"] == list(node["properties"])
        for name, part in strict["properties"].items():
            nullable = {"type": "null"} in part.get("anyOf", ())
            assert nullable == (name not in full["required"])
            if nullable and full["properties"][name]["default"] is not None:
                assert part["description"].endswith(f"Null is {full['properties'][name]['default']}.")


def test_nulls_of_strict_calls_are_left_out() -> None:
    """A null in a strict call is an argument that is left out; other modes, and what is no object, stay as they are."""
    given = {"limit": None, "date": "x", "rows": []}
    assert without_nulls("strict", given) == {"date": "x", "rows": []}
    assert without_nulls("plain", given) == given
    assert without_nulls("strict", "x") == "x"


def test_pass_hat_counts_trials_without_bias() -> None:
    """Of 4 trials with 4, 2 and 0 solved: pass^1 is the mean share, pass^2 the chance of drawing two solved ones."""
    solved = [[True] * 4, [True, True, False, False], [False] * 4]
    assert [pass_hat(solved, k).mean for k in (1, 2, 3, 4)] == pytest.approx([0.5, (1 + 1 / 6) / 3, 1 / 3, 1 / 3])
    assert pass_hat(solved, 1) == bootstrap(np.array([1.0, 0.5, 0.0]), bounds=(0.0, 1.0))
