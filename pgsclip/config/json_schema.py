"""The recipe format as a JSON schema, so that an editor completes keys, shows their help and marks mistakes."""

from __future__ import annotations

from typing import Any

from pgsclip.config.schema import RunConfig


def build_recipe_schema() -> dict[str, Any]:
    """Build the JSON Schema (draft 2020-12) of a recipe or of a run's `config.yaml`."""
    schema = RunConfig.model_json_schema()
    plugin = schema["$defs"]["PluginConfig"]
    schema["$defs"]["PluginConfig"] = {"anyOf": [{"type": "string", "minLength": 1}, plugin]}  # the bare name will do
    extends = {"type": "string", "description": "A recipe, shipped or a file beside this one, that this one changes."}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "pgsclip recipe",
        "properties": {"extends": extends, **schema["properties"]},
    }
