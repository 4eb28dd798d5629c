"""Notebooks in one canonical form: the same script and the same outputs always give the same bytes."""

from __future__ import annotations

import re
import uuid
from hashlib import sha256
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from xailib._cache import write_atomically

_WIDGET = "application/vnd.jupyter.widget-view+json"
_KERNEL = {"kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}}
_LANGUAGE = {"language_info": {"name": "python", "file_extension": ".py", "mimetype": "text/x-python"}}
_KEPT_METADATA = ("tags", "jp-MarkdownHeadingCollapsed", "jupyter", "slideshow", "nbgrader")


def from_script(script: str) -> NotebookNode:
    """An unexecuted notebook from a percent script, with cell ids that follow the cells' content."""
    import jupytext

    notebook = jupytext.reads(script, fmt="py:percent")
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        digest = sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:10]
        seen[digest] = seen.get(digest, 0) + 1
        cell["id"] = f"{digest}-{seen[digest]}"
        cell["metadata"] = {k: cell.metadata[k] for k in _KEPT_METADATA if k in cell.metadata}
    notebook["metadata"] = {**_KERNEL, **_LANGUAGE}
    notebook["nbformat"], notebook["nbformat_minor"] = 4, 5
    return notebook


def to_script(notebook: NotebookNode) -> str:
    """The percent script of a notebook: cells only, no header."""
    import jupytext

    bare = nbformat.v4.new_notebook(cells=[_bare(cell) for cell in notebook.cells])
    text = jupytext.writes(bare, fmt="py:percent")
    text = text.split("# ---\n", 2)[-1].lstrip("\n") if text.startswith("# ---\n") else text
    # the formatter wants two blank lines before a function, and counts those before the cell marker
    return re.sub(r"\n+(# %%[^\n]*\n(?:def |class |@))", r"\n\n\n\1", text)


def _bare(cell: NotebookNode) -> NotebookNode:
    """A cell without outputs and without metadata that a front end added."""
    made = nbformat.v4.new_code_cell(cell.source) if cell.cell_type == "code" else nbformat.v4.new_markdown_cell(cell.source)
    made["metadata"] = {k: cell.metadata[k] for k in _KEPT_METADATA if cell.metadata.get(k) not in (None, [], {})}
    return made


def canonical(notebook: NotebookNode) -> NotebookNode:
    """Drop what differs from run to run: timings, widget state and ids, notebook metadata; count executions from 1."""
    notebook["metadata"] = {**_KERNEL, **_LANGUAGE}
    number = 0
    for cell in notebook.cells:
        cell["metadata"] = {k: v for k, v in cell.metadata.items() if k in _KEPT_METADATA}
        if cell.cell_type == "code":
            number += 1
            cell["execution_count"] = number
            cell["outputs"] = [_canonical_output(o, number, f"{cell['id']}-{i}") for i, o in enumerate(cell.outputs)]
    return notebook


def _canonical_output(output: Any, number: int, name: str) -> Any:
    if "execution_count" in output:
        output["execution_count"] = number
    output.pop("transient", None)
    data = output.get("data", {})
    if _WIDGET in data:
        data[_WIDGET] = {"model_id": uuid.uuid5(uuid.NAMESPACE_URL, name).hex, "version_major": 2, "version_minor": 0}
    for kind, value in data.items():
        if isinstance(value, str) and kind == "image/png":
            data[kind] = value.strip() + "\n"
    return output


def dumps(notebook: NotebookNode) -> str:
    """Canonical JSON: sorted keys, one space of indentation, text line by line, a final newline."""
    return nbformat.writes(notebook, version=4).rstrip("\n") + "\n"


def read(path: Path) -> NotebookNode:
    """A notebook file."""
    return nbformat.read(path, as_version=4)


def write(notebook: NotebookNode, path: Path) -> bool:
    """Write a notebook atomically, only when something changed; True if it did."""
    text = dumps(notebook)
    if path.exists() and path.read_text(encoding="utf8") == text:
        return False
    write_atomically(path, lambda part: part.write_text(text, encoding="utf8"))
    return True
