"""The report as one HTML page that needs nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

from pgsclip.charts import COLOURS, Series, draw_bars, draw_lines, draw_radar
from pgsclip.report.paper import Paper
from pgsclip.report.runs import ReportEntry
from pgsclip.report.runs import Row as LogRow
from pgsclip.report.style import STYLE
from pgsclip.report.tables import Cell, Model, Row, Table, build_tables


class Panel(NamedTuple):
    """One picture of the mask sheet."""

    title: str
    jpeg: bytes
    note: str


def build_page(subjects: Sequence[ReportEntry], paper: Paper, sheet: Sequence[Sequence[Panel]] = ()) -> str:
    """The whole page.

    Args:
        sheet: a row for each image: itself, and what each masker keeps of it.
    """
    tables = build_tables(as_models(subjects), paper)
    title = f"pgsclip report: {', '.join(one.name for one in subjects)}"
    body = [
        f"<h1>{escape(title)}</h1>",
        *(_commands(subjects)),
        *(f'<p class="small">{escape(one.left_out)}</p>' for one in subjects if one.left_out),
        "<h2>Beside the paper</h2>",
        f"<p>{escape(paper.title)}, arXiv {escape(paper.arxiv)}. Percent; ours with a 95 % bootstrap interval over the "
        "questions of each set; a dash is a number that is not known.</p>",
        f'<p class="small">{escape(paper.incomplete)}</p>' if paper.incomplete else "",
        *(_table(table) for table in tables if any(row.kind == "paper" for row in table.rows)),
        _figures(tables, subjects, paper),
        "<h2>Other sets</h2>" if any(row.kind == "chance" for table in tables for row in table.rows) else "",
        *(_table(table) for table in tables if all(row.kind != "paper" for row in table.rows)),
        _training(subjects),
        _sheet(sheet),
        *(_gallery(subject, gallery) for subject in subjects for gallery in subject.galleries),
        _sources(paper),
    ]
    return document(title, "\n".join(part for part in body if part))


def document(title: str, body: str) -> str:
    """A page around a body."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>\n{body}\n</main></body></html>\n"
    )


def as_models(subjects: Sequence[ReportEntry]) -> list[Model]:
    """What the tables need of the subjects."""
    return [Model(one.name, one.results, one.reference) for one in subjects]


def colour_of(index: int) -> str:
    """Ours come after the six of the paper."""
    return COLOURS[6 + index % (len(COLOURS) - 6)]


def _commands(subjects: Sequence[ReportEntry]) -> list[str]:
    parts = []
    for subject in subjects:
        lines = [subject.environment.get("command", "")] if subject.environment else []
        lines += list(dict.fromkeys(result.command for result in subject.results if result.command))
        packages = subject.environment.get("packages", {})
        versions = ", ".join(f"{name} {version}" for name, version in packages.items() if version != "not installed")
        if lines:
            code = escape("\n".join(line for line in lines if line))
            parts.append(f"<p>{escape(subject.name)} was made by</p><pre>{code}</pre>")
        if versions:
            parts.append(f'<p class="small">{escape(versions)}</p>')
    return parts


def _table(table: Table) -> str:
    """Sets down, models across; on a phone each set is a block of its own, so that nothing is out of sight."""
    notes = "".join(f'<p class="small">{escape(note)}</p>' for note in dict.fromkeys(table.notes))
    if not table.columns:
        return f"<h3>{escape(table.title)}</h3>{notes}"
    head = "".join(f'<th class="{row.kind}">{escape(row.name)}</th>' for row in table.rows)
    lines = []
    for index, column in enumerate(table.columns):
        best = _best(table, index)
        cells = "".join(_cell(row.cells[index], row, row.cells[index].value == best) for row in table.rows)
        kind = ' class="average"' if column.average else ""
        lines.append(f"<tr{kind}><th>{escape(column.label)}</th>{cells}</tr>")
    return (
        f'<h3>{escape(table.title)}</h3><div class="wide"><table><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>{notes}"
    )


def _best(table: Table, index: int) -> float | None:
    values = [row.cells[index].value for row in table.rows if row.kind in ("paper", "ours")]
    known = [value for value in values if value is not None]
    return max(known) if len(known) > 1 else None


def _cell(cell: Cell, row: Row, best: bool) -> str:
    label = f'data-label="{escape(row.name, quote=True)}"'
    if cell.value is None:
        return f'<td class="{row.kind} unknown" {label}>–</td>'
    sign = "+" if row.kind == "difference" and cell.value > 0 else ""
    spread = "" if cell.low is None else f"<small>{cell.low:.1f} to {cell.high:.1f}</small>"
    note = f"<small>{escape(cell.note)}</small>" if cell.note else ""
    return f'<td class="{row.kind}{" best" if best else ""}" {label}>{sign}{cell.value:.1f}{spread}{note}</td>'


def _figures(tables: Sequence[Table], subjects: Sequence[ReportEntry], paper: Paper) -> str:
    """The paper's figures 1-b and 1-c, of what is known."""
    colours = {name: COLOURS[index] for index, name in enumerate(paper.methods)}
    colours |= {subject.name: colour_of(index) for index, subject in enumerate(subjects)}
    parts = []
    for table in tables:
        if all(row.kind != "paper" for row in table.rows):
            continue
        rows = [row for row in table.rows if row.kind in ("paper", "ours")]
        for index, column in enumerate(table.columns):
            values = [(r.name, r.cells[index].value, colours[r.name]) for r in rows]
            known = [(name, value, colour) for name, value, colour in values if value is not None]
            wanted = column.average or column.dataset == "imagenet1k" or column.metric.endswith("recall@1")
            if wanted and len(known) > 1:
                what = {"average": "average"}.get(column.label, column.label)
                parts.append(draw_bars(known, f"{table.family}: {what}"))
        plain = [i for i, column in enumerate(table.columns) if not column.average]
        if table.family == "retrieval":
            plain = [i for i in plain if table.columns[i].metric.endswith("@1")]
        full = [row for row in rows if sum(row.cells[i].value is not None for i in plain) >= 3]
        seen = [i for i in plain if any(row.cells[i].value is not None for row in full)]
        outlines = [(row.name, [row.cells[i].value for i in seen], colours[row.name]) for row in full]
        parts.append(
            draw_radar([table.columns[i].label.replace("mscoco_captions", "coco") for i in seen], outlines, table.title)
        )
    time = [(name, value, colours[name]) for name, value in paper.relative_training_time.values.items()]
    parts.append(draw_bars(time, "training time, relative to CLIP (paper)", "×"))
    return _grid("Figures", parts)


def _training(subjects: Sequence[ReportEntry]) -> str:
    runs = [(index, one) for index, one in enumerate(subjects) if one.training]
    if not runs:
        return ""

    def line(key: str, scale: float = 1.0) -> list[Series]:
        return [
            Series(
                one.name,
                [(float(row["step"]), scale * row[key]) for row in one.training if key in row],
                colour_of(index),
            )
            for index, one in runs
        ]

    parts = [
        draw_lines(line("loss"), "step", "loss"),
        draw_lines(line("samples_per_s"), "step", "samples per second"),
        draw_lines(line("kept", 100.0), "step", "patches kept, %"),
    ]
    for key in evaluation_keys([one for _, one in runs]):
        series = [Series(o.name, evaluation_points(o.evaluations, key, "step"), colour_of(i)) for i, o in runs]
        parts.append(draw_lines(series, "step", f"{key}, %"))
    return _grid("Training", parts)


def evaluation_keys(subjects: Sequence[ReportEntry]) -> list[str]:
    """The main metrics that were taken at least twice while a run went on, without `eval/`."""
    counts: dict[str, int] = {}
    for subject in subjects:
        for row in subject.evaluations:
            for key in row:
                if key.startswith("eval/") and key.endswith(("acc1", "recall@1", "text_acc")):
                    counts[key] = counts.get(key, 0) + 1
    return [key.removeprefix("eval/") for key, count in counts.items() if count > 1]


def evaluation_points(rows: Sequence[LogRow], key: str, x: str) -> list[tuple[float, float]]:
    """(x, percent) of one metric over a run."""
    return [(float(row[x]), 100.0 * row[f"eval/{key}"]) for row in rows if f"eval/{key}" in row and x in row]


def _sheet(sheet: Sequence[Sequence[Panel]]) -> str:
    rows = []
    for panels in sheet:
        cells = "".join(
            f'<figure><figcaption>{escape(one.title)}</figcaption><img alt="" '
            f'src="data:image/jpeg;base64,{base64.b64encode(one.jpeg).decode("ascii")}">'
            f"<small>{escape(one.note)}</small></figure>"
            for one in panels
        )
        rows.append(f'<div class="masks">{cells}</div>')
    return f"<h2>What the masker keeps</h2>{''.join(rows)}" if rows else ""


def _gallery(subject: ReportEntry, gallery: dict[str, Any]) -> str:
    images = gallery["images"]

    def picture(number: object, right: bool | None) -> str:
        mark = "" if right is None else (" right" if right else " wrong")
        return f'<img class="thumb{mark}" alt="" src="data:image/jpeg;base64,{images.get(str(number), "")}">'

    to_image = "".join(
        f'<figure><figcaption>{escape(entry["query"])}</figcaption><div class="row">'
        f"{''.join(picture(answer['image'], answer['right']) for answer in entry['answers'])}</div></figure>"
        for entry in gallery["text_to_image"]
    )
    to_text = "".join(
        f'<figure class="side">{picture(entry["image"], None)}<ol>'
        f"{''.join(_caption(answer) for answer in entry['answers'])}</ol></figure>"
        for entry in gallery["image_to_text"]
    )
    return (
        f"<h2>Retrieval on {escape(gallery['dataset'])} by {escape(subject.name)}</h2>"
        "<p>Best answers first; green frames and bold captions are right.</p>"
        f'<h3>Text to image</h3><div class="grid">{to_image}</div>'
        f'<h3>Image to text</h3><div class="grid">{to_text}</div>'
    )


def _caption(answer: dict[str, Any]) -> str:
    text = escape(answer["text"])
    return f"<li><b>{text}</b></li>" if answer["right"] else f"<li>{text}</li>"


def _sources(paper: Paper) -> str:
    items = "".join(f"<li>{escape(text)}</li>" for text in paper.sources.values())
    return f'<h2>Sources of the paper\'s figures</h2><ul class="small">{items}</ul>'


def _grid(title: str, parts: Sequence[str]) -> str:
    cards = "".join(f'<div class="card">{part}</div>' for part in parts if part)
    return f'<h2>{title}</h2><div class="grid">{cards}</div>' if cards else ""
