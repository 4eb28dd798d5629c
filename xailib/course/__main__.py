"""Command line of the course: ``python -m xailib.course COMMAND [CHAPTER ...]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from xailib.course import build as building
from xailib.course.paths import sources


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m xailib.course", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (function, help_text) in COMMANDS.items():
        sub = commands.add_parser(name, help=help_text)
        sub.add_argument("chapters", nargs="*", help="chapter numbers such as 05; none means all")
        sub.set_defaults(run=function)
    options = parser.parse_args(arguments)
    try:
        return options.run(options.chapters)
    except (ValueError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2


def _build(chapters: list[str]) -> int:
    for source in sources(chapters):
        changed, seconds, slowest = building.build(source)
        state = "written" if changed else "unchanged"
        print(f"{source.stem}: {state}, {seconds:.1f} s in all, slowest cell {slowest:.1f} s", flush=True)
    return 0


def _pull(chapters: list[str]) -> int:
    for source in sources(chapters):
        print(f"{source.name}: {'rewritten from the notebook' if building.pull(source) else 'unchanged'}")
    return 0


def _reset(chapters: list[str]) -> int:
    if not chapters:
        raise ValueError("name the chapters to reset, for example `python -m xailib.course reset 05`.")
    for source in sources(chapters):
        print(building.reset(source))
    return 0


def _tidy(chapters: list[str]) -> int:
    for source in sources(chapters):
        print(f"{source.name}: {'rewritten' if building.tidy(source) else 'unchanged'}")
    return 0


def _lint(chapters: list[str]) -> int:
    from xailib.course.lint import lint

    problems = [problem for source in sources(chapters) for problem in lint(source) + building.disagreements(source)]
    print("\n".join(problems) or "no problems")
    return bool(problems)


def _doctor(_: list[str]) -> int:
    from xailib.course.doctor import report

    return 0 if report() else 1


def _lab(_: list[str]) -> int:
    from xailib.course.run import open_lab

    return open_lab()


def _test(_: list[str]) -> int:
    from xailib.course.run import run_gates

    return run_gates()


COMMANDS: dict[str, tuple[Callable[[list[str]], int], str]] = {
    "lab": (_lab, "open JupyterLab with chapter 0 on screen"),
    "test": (_test, "run every gate"),
    "build": (_build, "execute chapters from their sources and store the notebooks"),
    "pull": (_pull, "carry edits made in JupyterLab back into the sources"),
    "reset": (_reset, "restore chapters as they were shipped; your version is kept"),
    "tidy": (_tidy, "bring sources into the form that pull writes"),
    "lint": (_lint, "check the form of chapters and that script and notebook agree"),
    "doctor": (_doctor, "check versions, data and whether widgets reach the browser"),
}

if __name__ == "__main__":
    sys.exit(main())
