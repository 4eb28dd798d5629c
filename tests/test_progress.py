"""Long work shows a bar; a single step, and the kernels that build chapters, never."""

from __future__ import annotations

import pytest
from tqdm.std import tqdm

from xailib import _progress
from xailib.course.build import kernel_environment


def bar(monkeypatch, total: int, setting: str | None) -> bool:
    made = []
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    if setting is not None:
        monkeypatch.setenv("TQDM_DISABLE", setting)
    monkeypatch.setattr(_progress, "tqdm", lambda steps, **options: made.append(True) or tqdm(steps, **options))
    assert list(_progress.progress(range(total), total, "steps")) == list(range(total))
    return made == [True]


@pytest.mark.parametrize(("total", "setting", "shown"), [(3, None, True), (1, None, False), (3, "1", False), (3, "0", True)])
def test_a_bar_for_several_steps_unless_switched_off(monkeypatch, total, setting, shown):
    assert bar(monkeypatch, total, setting) is shown


def test_kernels_that_build_chapters_switch_it_off(monkeypatch):
    assert bar(monkeypatch, 3, kernel_environment()["TQDM_DISABLE"]) is False
