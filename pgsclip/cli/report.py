"""`pgsclip report` and `pgsclip compare`: results of runs, beside the paper and beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from PIL.Image import Image

    from pgsclip.report.curves import Cost
    from pgsclip.report.galleries import SheetImage
    from pgsclip.report.runs import ReportEntry


def report(
    subjects: Annotated[
        list[Path], typer.Argument(metavar="RUN|RESULTS", help="Run folders, or folders of results of `eval`.")
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Page to write; RUN/report.html or ./report.html if not given.")
    ] = None,
    masks: Annotated[bool, typer.Option(help="Show what the masker keeps of some training images.")] = True,
) -> None:
    """Write one HTML page about runs: tables beside the paper's, curves, images that were right and wrong.

    The tables are written beside it as Markdown, CSV and LaTeX.

    **Examples**

    `pgsclip report runs/clipart-pgs-0.5`

    `pgsclip report runs/a runs/b eval --out both.html`
    """
    from pgsclip.report.page import build_page, to_models
    from pgsclip.report.paper import load_paper
    from pgsclip.report.runs import read_entries
    from pgsclip.report.tables import build_tables
    from pgsclip.report.text_formats import to_csv, to_latex, to_markdown

    found = [one for path in subjects for one in read_entries(path)]
    _tell_left_out(found)
    if out is None:
        first = subjects[0]
        out = (first if (first / "config.yaml").is_file() else Path()) / "report.html"
    paper = load_paper()
    tables = build_tables(to_models(found), paper)
    sheet = _mask_sheet(found) if masks else []
    written = {
        out: build_page(found, paper, sheet),
        out.with_suffix(".md"): to_markdown(tables),
        out.with_suffix(".csv"): to_csv(tables),
        out.with_suffix(".tex"): to_latex(tables),
    }
    _write(written)
    typer.echo("\n".join(str(path) for path in written))


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Run folders, two or more.")],
    over_seeds: Annotated[
        bool, typer.Option("--over-seeds", help="Average runs that differ only in their seed; show intervals.")
    ] = False,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="Page to write; --over-seeds writes a .md file beside it.")
    ] = Path("compare.html"),
) -> None:
    """Compare runs at equal samples, equal FLOPs and equal time, and their final metrics by paired differences."""
    from pgsclip.errors import RunError
    from pgsclip.report.cost import build_cost
    from pgsclip.report.runs import read_entries

    if len(runs) < 2:
        raise RunError(f"compare needs two or more run folders; {runs[0]} is one.")
    for path in runs:
        if not (path / "config.yaml").is_file():
            raise RunError(f"{path} is not a run folder: it has no config.yaml. Give the --out of `pgsclip train`.")
    found = [one for path in runs for one in read_entries(path)]
    _tell_left_out(found)
    costs = [build_cost(one.config) for one in found]
    show = _compare_over_seeds if over_seeds else _compare
    show(found, costs, out)
    typer.echo(str(out))


def _tell_left_out(found: list[ReportEntry]) -> None:
    for entry in found:
        if entry.left_out:
            typer.echo(entry.left_out, err=True)


def _compare(found: list[ReportEntry], costs: list[Cost], out: Path) -> None:
    from pgsclip.report.compare import build_compare_page, collect_final_lines, describe_difference

    lines = collect_final_lines(found)
    _write({out: build_compare_page(found, costs, lines)})
    rows = []
    for line in lines:
        cells = [f"{line.family} {line.dataset} {line.metric}"]
        for value, difference in zip(line.values, line.differences, strict=True):
            cells.append(
                "–"
                if value is None
                else f"{value:.1f}" + (f"  {describe_difference(difference)}" if difference else "")
            )
        rows.append(cells)
    _print_table(["", *(one.name for one in found)], rows)


def _compare_over_seeds(found: list[ReportEntry], costs: list[Cost], out: Path) -> None:
    from pgsclip.report.over_seeds import (
        NOTE,
        build_seed_tables,
        build_seeds_page,
        group_by_config,
        write_seeds_markdown,
    )

    groups = group_by_config(found)
    tables = build_seed_tables(found, groups, costs)
    _write({out: build_seeds_page(found, groups, costs, tables), out.with_suffix(".md"): write_seeds_markdown(tables)})
    for table in tables:
        typer.echo(f"\n{table.title}")
        _print_table(table.head, table.rows)
    typer.echo(f"\n{NOTE}")


def _print_table(head: list[str], rows: list[list[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*head, box=None)
    for row in rows:
        table.add_row(*row)
    Console(width=200 if not Console().is_terminal else None).print(table)


def _write(files: dict[Path, str]) -> None:
    from pgsclip.errors import RunError
    from pgsclip.files import write_atomically

    for path, content in files.items():
        try:
            write_atomically(path, content)
        except OSError as error:
            raise RunError(f"The report cannot be written to {path}: {error.strerror}. Give another --out.") from None


def _mask_sheet(subjects: list[ReportEntry]) -> list[list[SheetImage]]:
    """Draw what each run's masker keeps of the same few images, as `pgsclip viz-mask` does."""
    import io

    from pgsclip.errors import PgsclipError
    from pgsclip.masking.masker_api import masker
    from pgsclip.report.galleries import SheetImage
    from pgsclip.viz.explain import MaskerColumn, draw_row
    from pgsclip.viz.samples import read_samples

    configs = [one.config for one in subjects if one.config is not None and not one.config.masker.hides_nothing]
    if not configs:
        return []
    try:
        columns = [MaskerColumn(masker(c.masker.name, **c.masker.params), c.masker.ratio) for c in configs]
        for lack in [column.masker.lacks for column in columns if column.masker.lacks]:
            typer.echo(f"Not on the mask sheet: {lack}", err=True)
        columns = [column for column in columns if not column.masker.lacks]
        pictures = read_samples(configs[0].data)
        rows = [draw_row(picture, columns, seed=0, explain=False) for picture in pictures]
    except PgsclipError as error:  # the data may lie on another machine
        typer.echo(f"There is no mask sheet: {error}", err=True)
        return []

    def panel(title: str, image: Image, note: str) -> SheetImage:
        content = io.BytesIO()
        image.save(content, "JPEG", quality=85)
        return SheetImage(title, content.getvalue(), note)

    return [[panel(one.title, one.image, one.note) for one in row] for row in rows]
