"""Draw the rooms of seqaudio and the arrows between them, from the imports of the code.

python docs/pages/rooms.py        writes graph and table in docs/architecture.md anew, in the root of a clone

A room is a folder or a module of `seqaudio/`. There is an arrow from a room to each one that it imports from, wherever
in the code the import stands; imports for type checkers alone do not count.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from seqaudio.files import write_bytes

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- rooms: begin -->", "<!-- rooms: end -->"  # what stands between them is written by `filled`

Graph = Mapping[str, frozenset[str]]  # what each node imports from


def modules(root: Path = ROOT) -> dict[str, Path]:
    """The modules of the package by their dotted names; a folder goes by the name of its `__init__.py`."""
    found = {}
    for path in sorted((root / "seqaudio").rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def module_graph(root: Path = ROOT) -> Graph:
    """The modules that each module imports from."""
    known = modules(root)
    graph = {}
    for name, path in known.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        graph[name] = frozenset(target for target in _imported(tree, known) if target != name)
    return graph


def _imported(tree: ast.AST, known: Mapping[str, Path]) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom) and node.module in known:
            for alias in node.names:
                inside = f"{node.module}.{alias.name}"
                yield inside if inside in known else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        yield from _imported(node, known)


def room_of(module: str) -> str:
    """The room that a module belongs to: the first name below `seqaudio`."""
    return module.split(".")[1] if "." in module else module


def room_graph(root: Path = ROOT) -> Graph:
    """The rooms that each room imports from."""
    graph: dict[str, set[str]] = {}
    for module, targets in module_graph(root).items():
        room = room_of(module)
        graph.setdefault(room, set()).update(room_of(target) for target in targets)
    return {room: frozenset(targets - {room}) for room, targets in sorted(graph.items())}


def cycle(graph: Graph) -> list[str]:
    """The nodes of a cycle, in order, the first once more at the end; empty where there is none."""
    done: set[str] = set()
    path: list[str] = []

    def visit(node: str) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return []
        path.append(node)
        for target in sorted(graph.get(node, ())):
            if found := visit(target):
                return found
        path.pop()
        done.add(node)
        return []

    return next((found for node in sorted(graph) if (found := visit(node))), [])


def levels(graph: Graph) -> dict[str, int]:
    """How many arrows lead down from each node, at most. The graph has no cycle."""
    depth: dict[str, int] = {}

    def of(node: str) -> int:
        if node not in depth:
            depth[node] = 1 + max((of(target) for target in graph[node]), default=-1)
        return depth[node]

    for node in graph:
        of(node)
    return depth


def direct(graph: Graph) -> Graph:
    """The arrows that no longer way along other arrows stands for."""
    below: dict[str, frozenset[str]] = {}

    def reached(node: str) -> frozenset[str]:
        if node not in below:
            below[node] = graph[node].union(*(reached(target) for target in graph[node]))
        return below[node]

    return {
        node: frozenset(t for t in targets if not any(t in reached(other) for other in targets - {t}))
        for node, targets in graph.items()
    }


def is_folder(room: str) -> bool:
    """Whether a room is a folder, not a single module."""
    return (ROOT / "seqaudio" / room).is_dir()


def block(graph: Graph) -> str:
    """The graph of the folders and the table of all arrows, in Markdown."""
    folders = {room for room in graph if is_folder(room)}
    inner = {room: frozenset(_folders_below(graph, room, folders)) for room in folders}
    lines = ["```mermaid", "graph TD"]
    order = sorted(folders, key=lambda room: (-levels(graph)[room], room))
    lines += [f"  {room} --> {target}" for room in order for target in sorted(direct(inner)[room])]
    lines += ["```", "", "| room | imports from |", "|---|---|"]
    for room in sorted(graph, key=lambda room: (levels(graph)[room], room)):
        lines.append(f"| `{room}` | {', '.join(f'`{target}`' for target in sorted(graph[room])) or 'none'} |")
    return "\n".join(lines)


def _folders_below(graph: Graph, room: str, folders: set[str]) -> set[str]:
    """The folders that a room imports from, by way of single modules too."""
    found: set[str] = set()
    for target in graph[room]:
        found |= {target} if target in folders else _folders_below(graph, target, folders)
    return found


def filled(text: str) -> str:
    """The page with graph and table as the code has them now."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{block(room_graph())}\n{END}{after}"


def main() -> None:
    """Write the page, unless the rooms import each other in a circle."""
    if found := cycle(room_graph()):
        sys.exit(f"error: rooms import each other in a circle: {' -> '.join(found)}")
    write_bytes(PAGE, filled(PAGE.read_text(encoding="utf-8")).encode("utf-8"))


if __name__ == "__main__":
    main()
