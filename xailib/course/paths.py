"""Where the parts of the course lie, relative to the package; a course lives in a checkout, not in a wheel."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = ROOT / "chapters"
SOURCES = CHAPTERS / "source"
DATA = ROOT / "data"


def sources(numbers: list[str] | None = None) -> list[Path]:
    """The chapters' percent scripts, all of them or those whose name starts with one of ``numbers``."""
    if not SOURCES.is_dir():
        raise FileNotFoundError(f"{SOURCES} does not exist: install the course from a checkout with `pip install -e .`.")
    found = sorted(SOURCES.glob("[0-9][0-9]_*.py"))
    if not numbers:
        return found
    chosen = [path for path in found if path.name.startswith(tuple(numbers))]
    missing = [n for n in numbers if not any(path.name.startswith(n) for path in chosen)]
    if missing:
        raise ValueError(f"there is no chapter {', '.join(missing)}; there are {', '.join(p.stem for p in found)}.")
    return chosen


def notebook_of(source: Path) -> Path:
    """The notebook that a percent script becomes."""
    return CHAPTERS / f"{source.stem}.ipynb"
