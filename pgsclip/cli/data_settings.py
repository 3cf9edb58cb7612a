"""`--set data.KEY=VALUE` of the commands that read training data: the same settings as in a recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pgsclip.config.schema import DataConfig

Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="data.KEY=VALUE", help="Setting of the section `data`, as for `train`; repeatable."),
]


def read_data_settings(settings: list[str] | None, **named: object) -> DataConfig:
    """Check `--set` and options of their own, by the name of their key.

    Raises:
        ConfigError: a key of another section, an unknown key, or a value that is not allowed.
    """
    from pgsclip.config.resolve import resolve
    from pgsclip.errors import ConfigError

    for setting in settings or ():
        if not setting.strip().startswith("data."):
            raise ConfigError(
                f"--set {setting!r} is not a setting of the data. This command takes only data.KEY=VALUE."
            )
    return resolve(None, {f"data.{key}": value for key, value in named.items()}, settings or ()).data
