from __future__ import annotations

import csv
import io

from pgsclip.report.formats import as_csv, latex, markdown
from pgsclip.report.tables import Cell, Column, Row, Table

TABLE = Table(
    "A title",
    "zeroshot",
    [Column("pets", "acc1", "pets"), Column("average", "acc1", "average", True)],
    [Row("CLIP", "paper", [Cell(), Cell(35.1)]), Row("a_b 50%", "ours", [Cell(1.25, 1.0, 1.5), Cell(2.0)])],
    ["A note.", "A note."],
)


def test_markdown_has_a_set_a_line() -> None:
    assert markdown([TABLE]) == (
        "## A title\n\n| | CLIP | a_b 50% |\n|---|---:|---:|\n| pets | – | 1.2 (1.0 to 1.5) |\n"
        "| **average** | 35.1 | 2.0 |\n\nA note.\n"
    )


def test_a_table_of_which_nothing_is_known_says_so() -> None:
    nothing = TABLE._replace(columns=[], rows=[Row("CLIP", "paper", [])], notes=["Not known for any row: pets."])
    assert markdown([nothing]) == "## A title\n\nNot known for any row: pets.\n"
    assert latex([nothing, TABLE]) == latex([TABLE])


def test_csv_has_a_number_a_line() -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv([TABLE]))))
    assert [(row["row"], row["set"], row["percent"], row["low"]) for row in rows] == [
        ("CLIP", "average", "35.1000", ""),
        ("a_b 50%", "pets", "1.2500", "1.0000"),
        ("a_b 50%", "average", "2.0000", ""),
    ]


def test_latex_rows_can_be_pasted() -> None:
    assert latex([TABLE]).splitlines()[2:] == [r"CLIP & -- & 35.1 \\", r"a\_b 50\% & 1.2 & 2.0 \\"]
