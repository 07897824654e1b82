"""The meaning of a source file as text: its syntax tree without comments, docstrings and places."""

import ast
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

# Fields that carry no meaning: `u` before a string, and comments to type checkers.
_SILENT = {"kind", "type_comment", "type_ignores"}
_SCOPES = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
Scope = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@lru_cache(maxsize=2048)
def parsed(text: str) -> ast.Module:
    """Parse a module and drop its docstrings.

    Args:
        text: Source of a module.

    Returns:
        The tree; not to be changed, for it is shared.

    Raises:
        SyntaxError: If it is no Python.
    """
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, _SCOPES) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return tree


def meaning(node: Any) -> str:
    """Write a tree so that equal code gives equal text, on every Python that can run it.

    `ast.dump` is not used, because its text differs between versions: empty fields, which newer
    versions add, are left out here.

    Args:
        node: A node, a list of nodes or a plain value.

    Returns:
        The text.
    """
    if isinstance(node, ast.AST):
        fields = [
            f"{name}={meaning(value)}"
            for name, value in ast.iter_fields(node)
            if name not in _SILENT and value is not None and value != []
        ]
        # Python 3.12 puts empty texts between the parts of a nested format; others do not.
        if isinstance(node, ast.JoinedStr):
            fields = [f"values={meaning([part for part in node.values if not _empty(part)])}"]
        # The one plain value that may be None is that of a constant.
        if isinstance(node, ast.Constant) and node.value is None:
            fields = ["value=None"]
        return f"{type(node).__name__}({', '.join(fields)})"
    if isinstance(node, list):
        return f"[{', '.join(map(meaning, node))}]"
    return repr(node)


def _empty(part: ast.expr) -> bool:
    return isinstance(part, ast.Constant) and part.value == ""


@lru_cache(maxsize=2048)
def module_meaning(text: str) -> str:
    """Write a whole module; see `meaning`.

    Args:
        text: Source of a module.

    Returns:
        The text.
    """
    return meaning(parsed(text))


def parts(text: str) -> dict[str, str]:
    """Cut a module into its functions, methods, and what lies outside of them.

    Args:
        text: Source of a module.

    Returns:
        Meaning by qualified name, such as `Family.build`; statements outside of functions stand
        under the class that holds them, or under `module level`.
    """
    found: dict[str, list[str]] = {}
    for name, node in _walk(parsed(text), ""):
        found.setdefault(name, []).append(meaning(node))
    return {name: "; ".join(texts) for name, texts in found.items()}


def _walk(scope: Scope, prefix: str) -> Iterator[tuple[str, ast.AST]]:
    for node in scope.body:
        if isinstance(node, ast.ClassDef):
            head = ast.ClassDef(**{**dict(ast.iter_fields(node)), "body": []})
            yield f"{prefix}{node.name}", head
            yield from _walk(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{prefix}{node.name}", node
        else:
            yield prefix.removesuffix(".") or "module level", node
