"""The groups of entry points, and the words for what is in them."""

MASKERS = "pgsclip.maskers"
TEXT_MASKERS = "pgsclip.text_maskers"
LOSSES = "pgsclip.losses"
LOGGERS = "pgsclip.loggers"
GROUPS = (MASKERS, TEXT_MASKERS, LOSSES, LOGGERS)


def name_kind(group: str) -> str:
    """Name one thing of a group: `pgsclip.text_maskers` → `text masker`, `pgsclip.losses` → `loss`."""
    plural = name_kinds(group)
    return plural[:-2] if plural.endswith("sses") else plural[:-1]


def name_kinds(group: str) -> str:
    """Name the things of a group: `pgsclip.text_maskers` → `text maskers`."""
    return group.rpartition(".")[2].replace("_", " ")
