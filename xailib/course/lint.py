"""What every chapter must hold: headings, exercises, lab, quiz, captions, cell lengths, honest minutes, no forbidden calls."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from nbformat import NotebookNode

from xailib.course import notebook as nb
from xailib.course.paths import CHAPTERS, notebook_of

HEADINGS = (
    "Warm-up", "The story", "By hand", "In thirty lines", "The library way", "Lab", "Graded against the truth", "Break it",
    "On real data", "Strengths, limits, when not to use it", "Exercises", "Quiz", "Take-away", "Further reading",
)  # fmt: skip
OWN_SHAPE = {"00": ("Lab", "Exercises", "Quiz", "Take-away", "Further reading")}
OWN_SHAPE["19"] = OWN_SHAPE["00"]
FORBIDDEN = {
    r"pip install": "installs packages",
    r"urlopen|requests\.|http\.client": "fetches from the network",
    r"plt\.show\(": "shows a figure without caption: use plots.show(figure, caption)",
    r"^%|^!": "uses a magic or shell command",
    r"filterwarnings|simplefilter": "hides warnings",
    r"(?<![\w.])/(home|Users|tmp|root|work)/": "holds an absolute path",
    r"\binput\(": "waits for input",
    r"!\[[^\]]*\]\(http": "shows a remote image",
}
MEDIAN_LINES, MAX_LINES, MAX_WORDS, MAX_BYTES = 6, 25, 130, 600_000
LONG_PROSE = {"Take-away", "Further reading", "Strengths, limits, when not to use it"}
WORDS_PER_MINUTE, MINUTES_PER_CODE_CELL, QUIZ_MINUTES, LAB_MINUTES, RUN_MINUTES = 150, 0.6, 5, 8, 1


def lint(source: Path) -> list[str]:
    """Problems of one chapter, in sentences; empty when there are none."""
    script = nb.from_script(source.read_text(encoding="utf8"))
    problems = [*_headings(source, script), *_parts(source, script), *_cells(script), *_prose(script), *_links(script)]
    problems += _minutes(script)
    if notebook_of(source).exists():
        problems += _outputs(nb.read(notebook_of(source)), notebook_of(source))
    return [f"{source.stem}: {problem}" for problem in problems]


def _markdown(notebook: NotebookNode) -> str:
    return "\n\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")


def _code(notebook: NotebookNode) -> list[str]:
    return [c.source for c in notebook.cells if c.cell_type == "code"]


def _headings(source: Path, script: NotebookNode) -> Iterator[str]:
    """The fixed second-level headings, in order; a claim may follow after a colon."""
    text = re.sub(r"```.*?```", "", _markdown(script), flags=re.DOTALL)
    found = [h.split(":")[0].strip() for h in re.findall(r"^## (.+)$", text, flags=re.MULTILINE)]
    wanted = OWN_SHAPE.get(source.name[:2], HEADINGS)
    fixed = [h for h in found if h in wanted]
    if fixed != list(wanted):
        yield f"second-level headings must hold {', '.join(wanted)} in this order; found {', '.join(found)}."
    if source.name[:2] not in OWN_SHAPE and (extra := [h for h in found if h not in wanted and h != "Foundations"]):
        yield f"second-level headings {', '.join(extra)} are not among the fixed ones: use third-level headings."
    if len(re.findall(r"^# ", text, flags=re.MULTILINE)) != 1:
        yield "exactly one first-level heading is needed."


def _parts(source: Path, script: NotebookNode) -> Iterator[str]:
    """At least five exercises, each with card and check; a lab with its filmstrip; the questions."""
    from xailib import exercises

    code = "\n".join(_code(script))
    cards, checks = _ids("card", code), _ids("check", code)
    if len(cards) < 5:
        yield f"it has {len(cards)} exercises, at least five are needed."
    if set(cards) != set(checks):
        yield f"these exercises have a card or a check but not both: {', '.join(sorted(set(cards) ^ set(checks)))}."
    for chapter in {i.split(".")[0] for i in cards}:
        for unused in set(exercises.load(chapter)) - set(cards):
            yield f"exercise {unused} is in the exercise module but not in the chapter."
    wanted = [r"\blab\.", r"\.filmstrip\(\)", r"ex\.quiz\("] + ([] if source.name[:2] in OWN_SHAPE else [r"ex\.warmup\("])
    yield from (f"no cell matches {pattern}." for pattern in wanted if not re.search(pattern, code))


def _ids(function: str, code: str) -> list[str]:
    return re.findall(rf"ex\.{function}\(\s*[\"']([^\"']+)", code)


def _cells(script: NotebookNode) -> Iterator[str]:
    """Code cells are short, import in one place and call nothing forbidden."""
    lines = [len(c.strip().splitlines()) for c in _code(script)]
    if median(lines) > MEDIAN_LINES or max(lines) > MAX_LINES:
        yield f"code cells have median {median(lines)} and maximum {max(lines)} lines; allowed: {MEDIAN_LINES}, {MAX_LINES}."
    importing = [c for c in _code(script) if re.search(r"^(import|from) ", c, flags=re.MULTILINE)]
    if len(importing) != 1:
        yield f"{len(importing)} cells import modules: gather all imports in one cell."
    for cell in script.cells:
        for pattern, why in FORBIDDEN.items():
            if cell.cell_type == "code" or "!" in pattern:
                for match in re.finditer(pattern, cell.source, flags=re.MULTILINE):
                    yield f"{cell.source[match.start() :].splitlines()[0][:60]!r} {why}."


def _prose(script: NotebookNode) -> Iterator[str]:
    """Not too many words between two code cells."""
    words, first, section = 0, "", ""
    for cell in script.cells:
        if cell.cell_type == "code":
            words, first = 0, ""
            continue
        heading = re.search(r"^## ([^:\n]+)", cell.source, flags=re.MULTILINE)
        section = heading.group(1).strip() if heading else section
        if section in LONG_PROSE or "digression" in cell.metadata.get("tags", []):
            continue
        first = first or cell.source[:40]
        words += len(_plain_words(cell.source))
        if words > MAX_WORDS:
            yield f"{words} words without a code cell from {first!r}; at most {MAX_WORDS}."
            words = 0


def _plain_words(text: str) -> list[str]:
    """Words of prose: formulas, tables and code are not read at reading speed."""
    text = re.sub(r"\$\$.*?\$\$|```.*?```|^\|[^\n]*$", " ", text, flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"[A-Za-z][\w'-]*", text)


def _links(script: NotebookNode) -> Iterator[str]:
    """Relative links lead somewhere."""
    for target in re.findall(r"\]\(([^)#]+\.(?:ipynb|md|py))[^)]*\)", _markdown(script)):
        if not target.startswith("http") and not (CHAPTERS / target).exists():
            yield f"the link to {target} leads nowhere."


def estimated_minutes(script: NotebookNode) -> int:
    """Minutes for one sitting, to the next five: words, code cells, cards, lab, quiz and run time."""
    from xailib.exercises.engine import find

    code = "\n".join(_code(script))
    reading = len(_plain_words(_markdown(script))) / WORDS_PER_MINUTE + MINUTES_PER_CODE_CELL * len(_code(script))
    work = sum(find(i).minutes for i in set(_ids("card", code)))
    labs = LAB_MINUTES * len(re.findall(r"\.filmstrip\(\)", code))
    return int(5 * round((reading + work + labs + QUIZ_MINUTES + RUN_MINUTES) / 5))


def _minutes(script: NotebookNode) -> Iterator[str]:
    stated = re.search(r"\*\*Estimated time:\*\* (\d+) minutes", _markdown(script))
    computed = estimated_minutes(script)
    if not stated or int(stated.group(1)) != computed:
        yield f"the first cell must say '**Estimated time:** {computed} minutes'."


def _outputs(notebook: NotebookNode, path: Path) -> Iterator[str]:
    """Every cell executed without error or warning, every figure with its sentence, the file small."""
    if "widgets" in notebook.metadata:
        yield "the notebook stores widget state: build it."
    if path.stat().st_size > MAX_BYTES:
        yield f"the notebook has {path.stat().st_size // 1000} kB, at most {MAX_BYTES // 1000} are allowed."
    for cell in (c for c in notebook.cells if c.cell_type == "code" and c.source.strip()):
        name = repr(cell.source.splitlines()[0][:50])
        if cell.execution_count is None:
            yield f"cell {name} was never executed."
        yield from (f"cell {name} {problem}" for output in cell.outputs for problem in _output_problems(output))


def _output_problems(output: NotebookNode) -> Iterator[str]:
    if output.output_type == "error":
        yield f"stores an error: {output.ename}."
    if output.get("name") == "stderr":
        yield "writes to stderr."
    data = output.get("data", {})
    lab = "application/vnd.jupyter.widget-view+json" in data
    if "image/png" in data and not lab and not output.metadata.get("image/png", {}).get("alt"):
        yield "shows a figure without alternative text: use plots.show(figure, caption)."
