"""Form of the chapters, agreement of script and notebook, and the tools that keep both."""

from __future__ import annotations

import re

import pytest

from xailib.course import build, lint, paths
from xailib.course import notebook as nb

SOURCES = paths.sources()


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_script_and_notebook_agree(source) -> None:
    assert build.disagreements(source) == []


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_form(source) -> None:
    assert lint.lint(source) == []


@pytest.mark.full
@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_a_solved_chapter_runs_to_its_end_under_grading(source, monkeypatch) -> None:
    """Every answer replaced by the reference: nothing raises, although blank and wrong would."""
    chapter = re.search(r"ex\.quiz\(\"(\w+)\"\)", source.read_text()).group(1)
    solved, n_checks = re.subn(
        r"ex\.check\(\s*\"([\w.]+)\",\s*\w+", rf'ex.check("\1", ex.load("{chapter}")["\1"].value', source.read_text()
    )
    assert n_checks >= 5
    monkeypatch.setenv("XAILIB_GRADING", "1")
    notebook = nb.from_script(solved)
    build._execute(notebook)
    printed = "".join(o.get("text", "") for c in notebook.cells for o in c.get("outputs", []))
    assert "Not answered yet" not in printed
    assert printed.count("Right: ") == n_checks


@pytest.mark.full
def test_a_blank_chapter_does_not_run_under_grading(monkeypatch) -> None:
    monkeypatch.setenv("XAILIB_GRADING", "1")
    with pytest.raises(Exception, match="Blank"):
        build._execute(nb.from_script(SOURCES[0].read_text()))


SCRIPT = """# %% [markdown]
# # Title

# %%
1 + 1

# %% [markdown]
# ## Warm-up
"""


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A course of one small chapter in a folder of its own."""
    (tmp_path / "source").mkdir()
    for module in (build, lint):
        monkeypatch.setattr(module, "CHAPTERS", tmp_path)
    for module in (paths, build, lint):
        monkeypatch.setattr(module, "notebook_of", lambda source: tmp_path / f"{source.stem}.ipynb", raising=False)
    source = tmp_path / "source" / "97_small.py"
    source.write_text(SCRIPT)
    return source


def test_build_is_repeatable_and_pull_undoes_nothing(small) -> None:
    assert build.build(small)[0] is True
    assert build.build(small)[0] is False
    assert build.disagreements(small) == []
    assert build.pull(small) is False
    assert small.read_text() == SCRIPT


def test_edits_travel_both_ways(small) -> None:
    build.build(small)
    target = build.notebook_of(small)
    notebook = nb.read(target)
    notebook.cells[1]["source"] = "2 + 2"
    target.write_text(nb.dumps(notebook))
    assert any("not built from" in p for p in build.disagreements(small))
    assert build.pull(small) is True
    assert "2 + 2" in small.read_text()


def test_a_front_ends_save_is_noticed(small) -> None:
    build.build(small)
    target = build.notebook_of(small)
    notebook = nb.read(target)
    notebook.metadata["widgets"] = {"state": {}}
    target.write_text(nb.dumps(notebook))
    assert any("canonical" in p for p in build.disagreements(small))
    assert any("widget state" in p for p in lint._outputs(nb.read(target), target))


def test_a_warning_stops_the_build(small) -> None:
    small.write_text("# %%\nimport sys\n\nsys.stderr.write('careful')\n")
    with pytest.raises(RuntimeError, match="writes to stderr"):
        build.build(small)


def test_reset_keeps_the_learners_version(small) -> None:
    build.build(small)
    target = build.notebook_of(small)
    target.write_text("my work")
    assert "your version is now" in build.reset(small)
    kept = list(target.parent.glob("*.mine-*.ipynb"))
    assert [p.read_text() for p in kept] == ["my work"]
    assert build.disagreements(small) == []


@pytest.mark.parametrize(
    ("cell", "complaint"),
    [
        ("!pip install x", "installs packages"),
        ("plt.show()", "without caption"),
        ("open('/home/me/x')", "absolute path"),
        ("import os\n", "import"),
        ("\n".join("x = 1" for _ in range(26)), "lines"),
    ],
)
def test_lint_refuses(small, cell: str, complaint: str) -> None:
    small.write_text(f"{SCRIPT}\n# %%\nimport sys\n\n# %%\n" + cell.replace("!", "# !") + "\n")
    assert any(complaint in p for p in lint.lint(small)), lint.lint(small)


def test_lint_counts_words_between_code_cells(small) -> None:
    small.write_text("# %% [markdown]\n# # T\n# " + "word " * 200 + "\n\n# %%\n1\n")
    assert any("words without a code cell" in p for p in lint.lint(small))


def test_lint_counts_prose_and_not_tables_or_formulas() -> None:
    assert (
        len(lint._plain_words("one two\n\n| a | b |\n|---|---|\n| c | d |\n\nthree $$x y z$$ four\n\n```python\nno\n```\nfive"))
        == 5
    )


def test_lint_finds_dead_links(small) -> None:
    small.write_text("# %% [markdown]\n# # T\n# [next](99_nowhere.ipynb)\n\n# %%\n1\n")
    assert any("leads nowhere" in p for p in lint.lint(small))


def test_unexecuted_cells_are_found(small) -> None:
    build.build(small)
    target = build.notebook_of(small)
    notebook = nb.read(target)
    notebook.cells[1]["execution_count"] = None
    target.write_text(nb.dumps(notebook))
    assert any("never executed" in p for p in lint._outputs(nb.read(target), target))


def test_unknown_chapter_is_answered_with_what_there_is() -> None:
    with pytest.raises(ValueError, match="there is no chapter 77"):
        paths.sources(["77"])
