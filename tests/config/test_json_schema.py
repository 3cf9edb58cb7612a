from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from pgsclip.config.json_schema import build_recipe_schema
from pgsclip.config.recipes import list_recipe_names, read_recipe_text
from pgsclip.config.schema import PhaseConfig, ProbeConfig, RunConfig


def fields(schema: dict[str, Any], key: str) -> dict[str, Any]:
    """The schema behind a dotted key."""
    found = schema
    for part in key.split("."):
        found = found["properties"][part]
        if "$ref" in found:
            found = schema["$defs"][found["$ref"].rpartition("/")[2]]
    return found


def test_keys_have_their_help_and_unknown_ones_are_mistakes() -> None:
    schema = build_recipe_schema()
    assert fields(schema, "data.batch_size")["description"].startswith("Pairs per optimiser step")
    assert fields(schema, "optim.lr")["exclusiveMinimum"] == 0
    assert fields(schema, "engine.name")["enum"] == ["auto", "torch", "deepspeed"]
    assert schema["additionalProperties"] is False
    assert all(one.get("additionalProperties", "anyOf" in one) in (False, True) for one in schema["$defs"].values())
    assert "extends" in schema["properties"]


@pytest.mark.parametrize("name", list_recipe_names())
def test_every_recipe_is_valid(name: str) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(build_recipe_schema())
    assert [error.message for error in validator.iter_errors(yaml.safe_load(read_recipe_text(name)))] == []


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("masker: {name: pgs, ratio: '0.3:0.5'}", True),
        ("masker: {name: pgs, ratio: 1.5}", False),
        ("log: {loggers: [tensorboard, {name: wandb, params: {project: x}}]}", True),
        ("optim: {learning_rate: 1}", False),
        ("data: {batch_size: many}", False),
        ("phases: [{steps: 3}]", True),
        ("phases: [{steps: 3, lr: -1}]", False),
    ],
)
def test_an_editor_sees_what_is_right(text: str, valid: bool) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    assert jsonschema.Draft202012Validator(build_recipe_schema()).is_valid(yaml.safe_load(text)) == valid


def test_every_setting_says_what_it_is() -> None:
    """A section is described by its class; everything else by the sentence under it."""

    def settings(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str | None]]:
        for name, field in model.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                yield f"{prefix}{name}", field.description or field.annotation.__doc__
                yield from settings(field.annotation, f"{prefix}{name}.")
            else:
                yield f"{prefix}{name}", field.description

    found = dict([*settings(RunConfig), *settings(PhaseConfig, "phases."), *settings(ProbeConfig, "probe.")])
    assert "optim.betas" in found
    for key, text in found.items():
        assert text, f"{key} has no help"
        first = " ".join(text.split("\n\n")[0].split())
        assert not re.match(r"(Of|Where|What|Which|Whether|As|Also|For|How)\b", first), f"{key}: {first!r}"
        assert first.endswith("."), f"{key}: {first!r}"
