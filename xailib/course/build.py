"""From percent script to executed notebook and back: ``build``, ``pull``, ``reset``, and the proof that both agree."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from pathlib import Path

from nbformat import NotebookNode

from xailib.course import notebook as nb
from xailib.course.paths import CHAPTERS, ROOT, notebook_of

CELL_TIMEOUT_SECONDS = 300


def kernel_environment() -> dict[str, str]:
    """What a kernel needs so that outputs repeat: one thread, no progress bars, a fresh progress file, no way out."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    no_network = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    progress = str(Path(tempfile.mkdtemp(prefix="xailib-")) / "progress.json")
    loopback = {"no_proxy": "127.0.0.1,localhost", "NO_PROXY": "127.0.0.1,localhost"}
    return {**threads, **no_network, **loopback, "TQDM_DISABLE": "1", "XAILIB_PROGRESS": progress, "PYTHONHASHSEED": "0"}


def build(source: Path) -> tuple[bool, float, float]:
    """Execute one chapter and store it: (file changed, seconds in all, seconds of the slowest cell)."""
    started = time.perf_counter()
    notebook = nb.from_script(source.read_text(encoding="utf8"))
    slowest = _execute(notebook)
    _refuse_stderr(notebook, source)
    changed = nb.write(nb.canonical(notebook), notebook_of(source))
    return changed, time.perf_counter() - started, slowest


def _execute(notebook: NotebookNode) -> float:
    """Run all cells in a clean kernel inside ``chapters``; returns the seconds of the slowest cell."""
    from nbclient import NotebookClient

    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(CHAPTERS)}},
        coalesce_streams=True,
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
    )
    client.execute(env={**os.environ, **kernel_environment()})
    return max((_seconds(cell) for cell in notebook.cells if cell.cell_type == "code"), default=0.0)


def _seconds(cell: NotebookNode) -> float:
    from datetime import datetime

    stamps = cell.metadata.get("execution", {})
    try:
        ends = [datetime.fromisoformat(stamps[k]) for k in ("iopub.execute_input", "shell.execute_reply")]
    except KeyError:
        return 0.0
    return (ends[1] - ends[0]).total_seconds()


def _refuse_stderr(notebook: NotebookNode, source: Path) -> None:
    """A warning in a stored notebook is a bug: name the cell and show it."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                first = cell.source.splitlines()[0]
                raise RuntimeError(f"{source.name}: the cell that starts with {first!r} writes to stderr:\n{output['text']}")


def pull(source: Path) -> bool:
    """Carry edits made in JupyterLab back into the script; True if the script changed."""
    script = nb.to_script(nb.read(notebook_of(source)))
    if script == source.read_text(encoding="utf8"):
        return False
    source.write_text(script, encoding="utf8")
    return True


def reset(source: Path) -> str:
    """Restore a chapter as it was shipped; the learner's version is kept beside it. Returns what was done, in words."""
    target = notebook_of(source)
    kept = ""
    if target.exists():
        mine = target.with_name(f"{target.stem}.mine-{time.strftime('%Y%m%d-%H%M%S')}.ipynb")
        target.rename(mine)
        kept = f"; your version is now {mine.name}"
    shipped = subprocess.run(["git", "show", f"HEAD:chapters/{target.name}"], cwd=ROOT, capture_output=True, check=False)
    if shipped.returncode == 0:
        target.write_bytes(shipped.stdout)
        return f"{target.name} is as it was shipped{kept}."
    build(source)
    return f"{target.name} was built again from its source{kept}."


def disagreements(source: Path) -> list[str]:
    """Why script and notebook differ, in sentences; empty when they agree and the notebook is canonical and executed."""
    target = notebook_of(source)
    if not target.exists():
        return [f"{target.name} does not exist: run `python -m xailib.course build {source.name[:2]}`."]
    wanted, stored = nb.from_script(source.read_text(encoding="utf8")), nb.read(target)
    problems = []
    if [(c.cell_type, c.source, c["id"], c.metadata) for c in wanted.cells] != [
        (c.cell_type, c.source, c["id"], c.metadata) for c in stored.cells
    ]:
        problems.append(f"{target.name} was not built from {source.name} as it is now: build or pull it.")
    if target.read_text(encoding="utf8") != nb.dumps(nb.canonical(stored)):
        problems.append(f"{target.name} is not in canonical form (saved by a front end?): build it.")
    if nb.to_script(wanted) != source.read_text(encoding="utf8"):
        problems.append(f"{source.name} is not as `pull` would write it: run `python -m xailib.course tidy {source.name[:2]}`.")
    return problems


def tidy(source: Path) -> bool:
    """Rewrite a script in the form that `pull` gives; True if it changed."""
    text = source.read_text(encoding="utf8")
    tidied = nb.to_script(nb.from_script(re.sub(r"[ \t]+\n", "\n", text)))
    source.write_text(tidied, encoding="utf8")
    return tidied != text
