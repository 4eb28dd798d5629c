"""The command for a reader's own photograph, with random weights in place of the downloaded ones."""

from __future__ import annotations

from urllib.error import URLError

import numpy as np
import pytest
from PIL import Image

from xailib import photo
from xailib._torchvision import torchvision


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "cat.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def untrained(monkeypatch):
    net = torchvision().models.resnet18(weights=None).eval()
    monkeypatch.setattr(photo, "_network", lambda: (net, [f"class {k}" for k in range(1000)]))


def test_the_map_is_written_beside_the_picture(picture, untrained, capsys):
    assert photo.main([str(picture), "--layer", "layer3"]) == 0
    assert "class " in capsys.readouterr().out
    assert Image.open(picture.with_name("cat-gradcam.png")).size[0] > 100


def test_the_middle_square_is_taken(tmp_path):
    wide = np.zeros((50, 150, 3), dtype=np.uint8)
    wide[:, 50:100] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    assert photo._read(tmp_path / "wide.png")[:, :, 5:-5].min() == 1


def test_what_goes_wrong_is_one_sentence(picture, untrained, tmp_path, capsys):
    (tmp_path / "text.jpg").write_text("no picture")
    for arguments, sentence in (
        ([str(tmp_path / "text.jpg")], "no picture that can be read"),
        ([str(tmp_path / "missing.jpg")], "No such file"),
        ([str(picture), "--layer", "layer9"], "its layers are"),
    ):
        assert photo.main(arguments) == 1
        assert sentence in capsys.readouterr().err


def test_without_network_the_missing_weights_are_named(picture, monkeypatch, capsys):
    def offline(*_args, **_kwargs):
        raise URLError("offline")

    monkeypatch.setattr(torchvision().models, "resnet18", offline)
    assert photo.main([str(picture)]) == 1
    assert "does not answer: try again online" in capsys.readouterr().err
