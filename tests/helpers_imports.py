"""What modules import, read from their source."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from pathlib import Path


def parsed(folder: Path) -> dict[str, ast.Module]:
    """The modules under a folder, by their dotted name inside of it."""
    paths = sorted(folder.rglob("*.py"))
    return {
        ".".join(path.relative_to(folder).with_suffix("").parts): ast.parse(path.read_text("utf-8")) for path in paths
    }


def imports_of(tree: ast.AST, package: str = "") -> Iterator[tuple[str, str | None]]:
    """(module, name) of every import; the name is None for a plain ``import``.

    Args:
        tree: Of a module.
        package: Dotted name of its package, which relative imports start from.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: package.count(".") + 2 - node.level] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((source, alias.name) for alias in node.names)


def own_modules(tree: ast.AST, modules: Collection[str], name: str, package: str = "") -> set[str]:
    """Those of a package's modules that a tree imports, by their dotted names inside of it.

    Args:
        tree: Of one of the modules.
        modules: All of them.
        name: Of the package.
        package: See ``imports_of``.
    """
    found: set[str] = set()
    for source, imported in imports_of(tree, package):
        if source.split(".")[0] == name:
            inner = source.split(".")[1:]
            last = imported or ""
            candidates = [[*inner, last], [*inner, last, "__init__"], inner, [*inner, "__init__"]]
            found.add(next(".".join(parts) for parts in candidates if ".".join(parts) in modules))
    return found


def reached_into(tree: ast.Module) -> set[str]:
    """Private attributes that a module takes from what it has not made itself."""
    reached = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and not (isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"})
    }
    own = {
        name.id if isinstance(name, ast.Name) else name.attr
        for name in ast.walk(tree)
        if isinstance(name, ast.Name | ast.Attribute) and isinstance(name.ctx, ast.Store)
    }
    defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    # Gymnasium and pydantic have documented names that begin with an underscore; a class may use its own.
    return reached - own - defined - {"_asdict", "_replace", "_fields", "_make"}
