"""Evaluation while a run goes on and at its end: held-out pairs, and the classes of the generated scenes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

