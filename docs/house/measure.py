"""Figures of a package's files: long ones, long and branching functions, repeated lines, comments, names."""

from __future__ import annotations

import ast
import io
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from source import Sources

_DIRECTIVES = ("noqa", "type:", "fmt:", "ruff:", "pragma:", "mypy:")
_BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.IfExp, ast.ExceptHandler, ast.comprehension, ast.match_case)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Function(NamedTuple):
    """A function or method, nested ones counted on their own and as lines of the one around them."""

    place: str
    lines: int
    """From `def` to its last line, docstring included."""
    parameters: int
    """Named ones, without self and cls."""
    complexity: int
    """McCabe's number: 1, and 1 for each branch, loop, handler, condition and `and` or `or`."""


class Block(NamedTuple):
    """Lines that stand in two places."""

    lines: int
    places: tuple[str, str]


def list_functions(sources: Sources) -> list[Function]:
    """List every function, in the order of the files."""
    return [
        Function(f"{path}:{node.lineno} {node.name}", _length(node), _parameters(node), _complexity(node))
        for path, text in sources.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, _FUNCTIONS)
    ]


def count_lines(sources: Sources) -> dict[str, int]:
    """Count the lines of each file."""
    return {path: text.count("\n") for path, text in sources.items()}


def count_comments(sources: Sources) -> int:
    """Count comments, those for tools (`noqa`, `type: ignore`) left out."""
    return sum(
        token.type == tokenize.COMMENT and not token.string.lstrip("# ").startswith(_DIRECTIVES)
        for text in sources.values()
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
    )


def list_repeated_names(sources: Sources) -> tuple[list[str], list[str]]:
    """List file names, and names of public classes, that stand for two things: each with its places."""
    files: dict[str, list[str]] = {}
    classes: dict[str, list[str]] = {}
    for path, text in sources.items():
        files.setdefault(PurePosixPath(path).name, []).append(path)
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                classes.setdefault(node.name, []).append(path)
    files.pop("__init__.py", None)
    return _repeated(files), _repeated(classes)


def list_repeated_blocks(sources: Sources, least: int = 6) -> list[Block]:
    """List runs of at least so many lines of code that are the same in two places, the longest first.

    Blank lines, comments, docstrings, imports and lone brackets do not count, nor does indentation. A run that stands
    in three places is two blocks.
    """
    code = {path: list(_code_lines(text)) for path, text in sources.items()}
    first: dict[tuple[str, ...], tuple[str, int]] = {}
    blocks = []
    for path, lines in code.items():
        end = 0  # of the block that was found last
        for start in range(len(lines) - least + 1):
            key = tuple(line for _, line in lines[start : start + least])
            other, at = first.setdefault(key, (path, start))
            if start < end or (other == path and start < at + least):
                continue
            length = least
            while (
                start + length < len(lines)
                and at + length < (len(code[other]) if other != path else start)
                and lines[start + length][1] == code[other][at + length][1]
            ):
                length += 1
            end = start + length
            blocks.append(Block(length, (f"{other}:{code[other][at][0]}", f"{path}:{lines[start][0]}")))
    return sorted(blocks, key=lambda block: -block.lines)


def _code_lines(text: str) -> Iterator[tuple[int, str]]:
    """(Line number, line without indentation and comment) of the lines that count."""
    silent: set[int] = set()
    tree = ast.parse(text)
    for node in ast.walk(tree):
        is_string = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if is_string or isinstance(node, ast.Import | ast.ImportFrom):
            silent.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    for number, line in enumerate(text.splitlines(), start=1):
        plain = line.strip()
        if number not in silent and not plain.startswith(("#", "@")) and any(letter.isalnum() for letter in plain):
            yield number, plain


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return sum(argument.arg not in ("self", "cls") for argument in given)


def _complexity(node: ast.AST) -> int:
    """Nested functions have a number of their own."""
    found = 1
    open_nodes = list(ast.iter_child_nodes(node))
    while open_nodes:
        child = open_nodes.pop()
        if isinstance(child, (*_FUNCTIONS, ast.Lambda)):
            continue
        found += isinstance(child, _BRANCHES)
        if isinstance(child, ast.BoolOp):
            found += len(child.values) - 1
        if isinstance(child, ast.comprehension):
            found += len(child.ifs)
        open_nodes += ast.iter_child_nodes(child)
    return found


def _repeated(places: dict[str, list[str]]) -> list[str]:
    counts = Counter({name: len(paths) for name, paths in places.items()})
    return [f"{name}: {', '.join(places[name])}" for name, count in sorted(counts.items()) if count > 1]
