"""Names that nothing defines: what a linter cannot look for here, as shapes stand in annotations as plain words."""

from __future__ import annotations

import ast
import builtins
import symtable
from collections.abc import Iterator

from source import Sources

_OF_MODULES = {"__file__", "__name__", "__doc__", "__path__", "__spec__"}


def list_undefined(sources: Sources) -> list[str]:
    """List names that are read but never defined in their file, in code and in annotations: a typo or a lost import."""
    return [f"{path} {name}" for path, text in sources.items() for name in sorted(set(_undefined(path, text)))]


def _undefined(path: str, text: str) -> Iterator[str]:
    tree = ast.parse(text)
    annotations = [part for part in map(_annotation, ast.walk(tree)) if part is not None]
    in_annotations = {node.id for part in annotations for node in ast.walk(part) if isinstance(node, ast.Name)}
    table = symtable.symtable(ast.unparse(ast.fix_missing_locations(_Bare().visit(tree))), path, "exec")
    tables = [table, *_inside(table)]
    top = (
        {symbol.get_name() for symbol in table.get_symbols() if _is_defined(symbol)} | set(dir(builtins)) | _OF_MODULES
    )
    anywhere = top | {symbol.get_name() for one in tables for symbol in one.get_symbols() if _is_defined(symbol)}
    for one in tables:
        for symbol in one.get_symbols():
            if symbol.is_referenced() and (symbol.is_global() or one is table) and symbol.get_name() not in top:
                yield symbol.get_name()
    yield from in_annotations - anywhere


def _inside(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    for child in table.get_children():
        yield child
        yield from _inside(child)


def _is_defined(symbol: symtable.Symbol) -> bool:
    return symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace() or symbol.is_parameter()


def _annotation(node: ast.AST) -> ast.expr | None:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return node.returns
    return node.annotation if isinstance(node, ast.arg | ast.AnnAssign) else None


class _Bare(ast.NodeTransformer):
    """Takes the annotations out of a tree."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        node.returns = None
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        self.generic_visit(node)
        node.returns = None
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self.generic_visit(node)
        node.annotation = ast.Constant(None)
        return node
