"""torchvision works beside a CPU-only torch, and the remedy stays out of the way where it is not needed."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


def run(code: str, *path: Path) -> str:
    """Output of a fresh interpreter: what is tested happens at first import."""
    lines = "\n".join([f"import sys; sys.path[:0] = {[str(p) for p in path]}", textwrap.dedent(code)])
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def package(folder: Path, source: str) -> Path:
    """A stand-in for torchvision."""
    (folder / "torchvision").mkdir()
    (folder / "torchvision" / "__init__.py").write_text(textwrap.dedent(source))
    return folder


def test_models_transforms_and_datasets_work():
    from xailib._torchvision import torchvision

    torch = pytest.importorskip("torch")
    vision = torchvision()
    model = vision.models.resnet18(weights=None).eval()
    with torch.no_grad():
        assert model(torch.zeros(2, 3, 64, 64)).shape == (2, 1000)
    assert vision.transforms.Resize(8)(torch.zeros(3, 16, 16)).shape == (3, 8, 8)
    assert hasattr(vision.datasets, "MNIST")


def test_second_call_declares_nothing_new():
    code = """
    from xailib import _torchvision
    first = _torchvision.torchvision()
    declared = len(_torchvision._DECLARATIONS)
    print(_torchvision.torchvision() is first, len(_torchvision._DECLARATIONS) == declared, declared <= 1)
    import torchvision
    print(torchvision is first)
    """
    assert run(code).split() == ["True"] * 4


def test_declares_nothing_when_the_plain_import_works(tmp_path):
    code = """
    from xailib import _torchvision
    print(_torchvision.torchvision().marker, len(_torchvision._DECLARATIONS), "torch" in sys.modules)
    """
    assert run(code, package(tmp_path, "marker = 'plain'")) == "plain 0 False"


def test_declares_the_operators_when_they_are_missing(tmp_path):
    stand_in = package(
        tmp_path,
        """
        import torch
        from torchvision import part
        marker = torch.ops.torchvision.qnms.default._schema.name
        """,
    )
    (stand_in / "torchvision" / "part.py").write_text(
        "import torch\n"
        "if not hasattr(torch.ops.torchvision, 'nms'): raise RuntimeError('operator torchvision::nms does not exist')\n"
    )
    code = """
    from xailib import _torchvision
    print(_torchvision.torchvision().marker, len(_torchvision._DECLARATIONS))
    """
    assert run(code, stand_in) == "torchvision::qnms 1"


def test_other_errors_pass_through(tmp_path):
    code = """
    from xailib import _torchvision
    try:
        _torchvision.torchvision()
    except RuntimeError as error:
        print(error, len(_torchvision._DECLARATIONS))
    """
    assert run(code, package(tmp_path, "raise RuntimeError('compiled for another CUDA')")) == "compiled for another CUDA 0"
