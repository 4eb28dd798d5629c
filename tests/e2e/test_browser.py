"""A real JupyterLab in a real browser: chapters open and run, a slider moves the picture, a prediction opens the verdict."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from xailib.course.build import kernel_environment
from xailib.course.paths import CHAPTERS, ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if CHROMIUM is None:
    pytest.skip("no Chromium on this machine: install the package chromium to run these tests", allow_module_level=True)

SHOTS = ROOT / "build" / "e2e"
NOTEBOOKS = sorted(CHAPTERS.glob("[0-9][0-9]_*.ipynb"))
PANEL = ".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook"
STATE = """() => { const p = window.jupyterapp && window.jupyterapp.shell.currentWidget;
  if (!p || !p.content || !p.content.widgets || !p.sessionContext || !p.context.isReady) return null;
  const k = p.sessionContext.session && p.sessionContext.session.kernel;
  return {path: p.context.path, status: k ? k.status : 'none', cells: p.content.widgets.map(c => ({
    code: c.model.type == 'code' && c.model.sharedModel.getSource().trim().length > 0, count: c.model.executionCount,
    errors: c.model.type == 'code' ? c.model.outputs.toJSON().filter(o => o.output_type == 'error').map(o => o.evalue) : [],
    views: c.model.type == 'code' ? c.model.outputs.toJSON().filter(
      o => o.data && 'application/vnd.jupyter.widget-view+json' in o.data).length : 0}))}; }"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """JupyterLab on a copy of the chapters, on a free port of this machine, with a token and clean settings."""
    root = tmp_path_factory.mktemp("course")
    shutil.copytree(CHAPTERS, root / "chapters")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    clean = {name: str(root / name.lower()) for name in ("JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")}
    options = {
        "ServerApp.ip": "127.0.0.1", "ServerApp.port": port, "ServerApp.port_retries": 0, "IdentityProvider.token": token,
        "ServerApp.root_dir": root, "LabApp.expose_app_in_browser": True,
    }  # fmt: skip
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", *(f"--{k}={v}" for k, v in options.items())]
    command += ["--allow-root"] if os.geteuid() == 0 else []
    with open(root / "server.log", "wb") as log:
        environment = {**os.environ, **kernel_environment(), **clean}
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        _wait_for(f"http://127.0.0.1:{port}/api?token={token}", process, root / "server.log")
        yield f"http://127.0.0.1:{port}/lab/tree/chapters/{{}}?reset&token={token}"
    finally:
        process.terminate()
        process.wait(20)


def _wait_for(url: str, process: subprocess.Popen, log: Path) -> None:
    for _ in range(600):
        try:
            urllib.request.urlopen(url, timeout=2)
            return
        except (urllib.error.URLError, OSError):
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
    raise TimeoutError(log.read_text())


@pytest.fixture(scope="module")
def browser() -> Iterator:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"]
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield chromium
        chromium.close()


class Chapter:
    """One notebook open in the browser."""

    def __init__(self, browser, url: str, path: Path) -> None:
        self.page = browser.new_page(viewport={"width": 1400, "height": 1000})
        self.console_errors: list[str] = []
        self.left_the_machine: list[str] = []
        self.page.on("console", lambda m: self.console_errors.append(m.text) if m.type == "error" else None)
        self.page.on("request", self._note_request)
        self.page.goto(url.format(path.name))
        self.wait(lambda s: s["path"].endswith(path.name) and s["status"] == "idle")

    def _note_request(self, request) -> None:
        if not request.url.startswith(("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:")):
            self.left_the_machine.append(request.url)

    def wait(self, condition, seconds: float = 240) -> dict:
        """The notebook's state, once ``condition`` holds for it."""
        started = time.time()
        while time.time() - started < seconds:
            state = self.page.evaluate(STATE)
            if state and condition(state):
                return state
            time.sleep(0.1)
        raise TimeoutError(f"the notebook did not get there: {state}")

    def run_all(self) -> dict:
        """Run every cell through Lab's own command and wait until the kernel is idle."""
        self.page.evaluate("async () => { await window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
        return self.wait(lambda s: s["status"] == "idle" and all(c["count"] for c in s["cells"] if c["code"]))

    def cell(self, index: int):
        """A cell, scrolled into view."""
        self.page.evaluate("i => window.jupyterapp.shell.currentWidget.content.scrollToItem(i)", index)
        return self.page.locator(f"{PANEL} .jp-Cell[data-windowed-list-index='{index}']")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_chapter_opens_and_runs(path: Path, server: str, browser) -> None:
    chapter = Chapter(browser, server, path)
    started = time.perf_counter()
    state = chapter.run_all()
    print(f"\n{path.stem}: all cells ran in {time.perf_counter() - started:.1f} s in the browser")
    assert [e for c in state["cells"] for e in c["errors"]] == []
    labs = [i for i, c in enumerate(state["cells"]) if c["views"]]
    assert labs
    for index in labs:
        cell = chapter.cell(index)
        cell.locator(".jupyter-widgets").first.wait_for(timeout=20_000)
        assert "Error displaying widget" not in cell.inner_text()
        assert "javascript error" not in cell.inner_text()
    _play(chapter, path, labs)
    assert chapter.console_errors == []
    assert chapter.left_the_machine == []
    chapter.page.close()


def _play(chapter: Chapter, path: Path, labs: list[int]) -> None:
    """Move the first slider (or switch the first tile) of each lab, answer its question, and time the picture."""
    delays = []
    for index in labs:
        cell = chapter.cell(index)
        handle = cell.locator(".noUi-handle, button.xai-tile").first
        if handle.count() == 0:
            continue
        delays += _delays(chapter, cell, handle)
        _predict(cell)
        SHOTS.mkdir(parents=True, exist_ok=True)
        cell.screenshot(path=SHOTS / f"{path.stem}-cell{index}.png")
    assert delays, "no lab with a slider or a tile"
    print(f"{path.stem}: slider to picture {1000 * statistics.median(delays):.0f} ms (median of {len(delays)})")
    assert statistics.median(delays) < 0.25


def _delays(chapter: Chapter, cell, handle) -> list[float]:
    """Seconds from key press to a new picture, measured inside the page."""
    handle.scroll_into_view_if_needed()
    watch = """img => new Promise(done => { const t = performance.now(); const old = img.src;
      const o = new MutationObserver(() => { if (img.src != old) { o.disconnect(); done((performance.now() - t) / 1000); } });
      o.observe(img, {attributes: true, attributeFilter: ['src']}); setTimeout(() => done(-1), 5000); })"""
    seconds = []
    if "xai-tile" in (handle.get_attribute("class") or ""):
        there = back = "Space"  # switches the picture on and off
    else:
        at_the_end = handle.get_attribute("aria-valuenow") == handle.get_attribute("aria-valuemax")
        there, back = ("ArrowLeft", "ArrowRight") if at_the_end else ("ArrowRight", "ArrowLeft")
    for key in (there, back) * 3:
        image = cell.locator("img.widget-image, .widget-image img, img").first
        handle.focus()
        chapter.page.evaluate(f"img => {{ window.xaiDelay = ({watch})(img); }}", image.element_handle())
        chapter.page.keyboard.press(key)
        seconds.append(chapter.page.evaluate("() => window.xaiDelay"))
        chapter.wait(lambda s: s["status"] == "idle")
    assert min(seconds) > 0, "a slider moved and the picture did not"
    return seconds


def _predict(cell) -> None:
    """Choose the first answer and press the button: the verdict must appear."""
    button = cell.get_by_text("Check my prediction")
    if button.count() == 0:
        return
    radio = cell.locator("input[type=radio]")
    if radio.count():
        radio.first.click()
    before = cell.inner_text()
    button.first.click()
    for _ in range(50):
        if cell.inner_text() != before:
            return
        time.sleep(0.1)
    raise AssertionError("the verdict did not appear")
