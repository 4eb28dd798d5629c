"""Long experiments over several seeds, each a command that writes one table: ``python -m xailib.experiments.<name>``.

A chapter reads the stored table and runs a small part of the experiment again.
"""

from __future__ import annotations

from importlib.resources import files


def source_texts(*names: str) -> list[str]:
    """The text of some of the package's files: what an experiment keeps belongs to the code that made it."""
    return [files("xailib").joinpath(name).read_text(encoding="utf-8") for name in names]
