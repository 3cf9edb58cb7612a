from __future__ import annotations

import csv
import io

from pgsclip.report.cells import Cell, TableColumn
from pgsclip.report.tables import Table, TableRow
from pgsclip.report.text_formats import to_csv, to_latex, to_markdown

TABLE = Table(
    "A title",
    "zeroshot",
    [TableColumn("pets", "acc1", "pets"), TableColumn("average", "acc1", "average", True)],
    [TableRow("CLIP", "paper", [Cell(), Cell(35.1)]), TableRow("a_b 50%", "ours", [Cell(1.25, 1.0, 1.5), Cell(2.0)])],
    ["A note.", "A note."],
)


def test_markdown_has_a_set_a_line() -> None:
    assert to_markdown([TABLE]) == (
        "## A title\n\n| | CLIP | a_b 50% |\n|---|---:|---:|\n| pets | – | 1.2 (1.0 to 1.5) |\n"
        "| **average** | 35.1 | 2.0 |\n\nA note.\n"
    )


def test_a_table_of_which_nothing_is_known_says_so() -> None:
    nothing = TABLE._replace(columns=[], rows=[TableRow("CLIP", "paper", [])], notes=["Not known for any row: pets."])
    assert to_markdown([nothing]) == "## A title\n\nNot known for any row: pets.\n"
    assert to_latex([nothing, TABLE]) == to_latex([TABLE])


def test_csv_has_a_number_a_line() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv([TABLE]))))
    assert [(row["row"], row["set"], row["percent"], row["low"]) for row in rows] == [
        ("CLIP", "average", "35.1000", ""),
        ("a_b 50%", "pets", "1.2500", "1.0000"),
        ("a_b 50%", "average", "2.0000", ""),
    ]


def test_latex_rows_can_be_pasted() -> None:
    assert to_latex([TABLE]).splitlines()[2:] == [r"CLIP & -- & 35.1 \\", r"a\_b 50\% & 1.2 & 2.0 \\"]
