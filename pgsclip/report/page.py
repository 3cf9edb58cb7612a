"""The report as one HTML page that needs nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from pgsclip.report.cells import Cell
from pgsclip.report.curves import draw_training
from pgsclip.report.galleries import SheetImage, show_gallery, show_mask_sheet
from pgsclip.report.html import wrap_page, write_note
from pgsclip.report.paper import Paper
from pgsclip.report.runs import ReportEntry
from pgsclip.report.table_charts import draw_tables
from pgsclip.report.tables import Model, Table, TableRow, build_tables


def build_page(entries: Sequence[ReportEntry], paper: Paper, sheet: Sequence[Sequence[SheetImage]] = ()) -> str:
    """Build the whole page.

    Args:
        sheet: a row for each image: itself, and what each masker keeps of it.
    """
    tables = build_tables(to_models(entries), paper)
    names = [one.name for one in entries]
    title = f"pgsclip report: {', '.join(names)}"
    others = [table for table in tables if not table.is_of_paper]
    body = [
        f"<h1>{escape(title)}</h1>",
        *(_show_commands(one) for one in entries),
        *(write_note(one.left_out) for one in entries),
        "<h2>Beside the paper</h2>",
        f"<p>{escape(paper.title)}, arXiv {escape(paper.arxiv)}. Percent; ours with a 95 % bootstrap interval over the "
        "questions of each set; a dash is a number that is not known.</p>",
        write_note(paper.incomplete),
        *(_show_table(table) for table in tables if table.is_of_paper),
        draw_tables(tables, names, paper),
        "<h2>Other sets</h2>" if others else "",
        *(_show_table(table) for table in others),
        draw_training(entries),
        show_mask_sheet(sheet),
        *(show_gallery(one, gallery) for one in entries for gallery in one.galleries),
        _show_sources(paper),
    ]
    return wrap_page(title, "\n".join(part for part in body if part))


def to_models(entries: Sequence[ReportEntry]) -> list[Model]:
    """Take from the entries what the tables need."""
    return [Model(one.name, one.results, one.reference) for one in entries]


def _show_commands(entry: ReportEntry) -> str:
    """The commands that trained and evaluated an entry, and the packages that they ran with."""
    lines = [entry.environment.get("command", "")] if entry.environment else []
    lines += list(dict.fromkeys(result.command for result in entry.results if result.command))
    packages = entry.environment.get("packages", {})
    versions = ", ".join(f"{name} {version}" for name, version in packages.items() if version != "not installed")
    code = escape("\n".join(line for line in lines if line))
    commands = f"<p>{escape(entry.name)} was made by</p><pre>{code}</pre>" if lines else ""
    return commands + write_note(versions)


def _show_table(table: Table) -> str:
    """Sets down, models across; on a phone each set is a block of its own, so that nothing is out of sight."""
    notes = "".join(write_note(note) for note in dict.fromkeys(table.notes))
    if not table.columns:
        return f"<h3>{escape(table.title)}</h3>{notes}"
    head = "".join(f'<th class="{row.kind}">{escape(row.name)}</th>' for row in table.rows)
    lines = []
    for index, column in enumerate(table.columns):
        best = _find_best(table, index)
        cells = "".join(_show_cell(row.cells[index], row, row.cells[index].value == best) for row in table.rows)
        kind = ' class="average"' if column.average else ""
        lines.append(f"<tr{kind}><th>{escape(column.label)}</th>{cells}</tr>")
    return (
        f'<h3>{escape(table.title)}</h3><div class="wide"><table><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>{notes}"
    )


def _find_best(table: Table, index: int) -> float | None:
    values = [row.cells[index].value for row in table.rows if row.kind in ("paper", "ours")]
    known = [value for value in values if value is not None]
    return max(known) if len(known) > 1 else None


def _show_cell(cell: Cell, row: TableRow, best: bool) -> str:
    label = f'data-label="{escape(row.name, quote=True)}"'
    if cell.value is None:
        return f'<td class="{row.kind} unknown" {label}>–</td>'
    sign = "+" if row.kind == "difference" and cell.value > 0 else ""
    spread = "" if cell.low is None else f"<small>{cell.low:.1f} to {cell.high:.1f}</small>"
    note = f"<small>{escape(cell.note)}</small>" if cell.note else ""
    return f'<td class="{row.kind}{" best" if best else ""}" {label}>{sign}{cell.value:.1f}{spread}{note}</td>'


def _show_sources(paper: Paper) -> str:
    items = "".join(f"<li>{escape(text)}</li>" for text in paper.sources.values())
    return f'<h2>Sources of the paper\'s figures</h2><ul class="small">{items}</ul>'
