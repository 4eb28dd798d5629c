"""Where does a ResNet-18 look in your photograph?  ``python -m xailib.photo PICTURE [--layer layer3] [--output map.png]``.

The weights (ImageNet, 45 MB) are fetched by torchvision on first use and checked against their hash; everything else works
offline. Taught in chapter 8.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from urllib.error import URLError

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import nn

from xailib._torchvision import torchvision
from xailib.models import predictor
from xailib.results import Heatmap
from xailib.saliency import gradcam

SIZE = 224
IMAGENET_MEAN, IMAGENET_SD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def main(arguments: list[str] | None = None) -> int:
    """Explain one picture and write the map beside it; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m xailib.photo", description="Grad-CAM of a photograph with ResNet-18.")
    parser.add_argument("picture", type=Path, help="a JPEG or PNG file")
    parser.add_argument("--layer", default="layer4", help="layer to look at, such as layer3 (default: layer4)")
    parser.add_argument("--output", type=Path, help="where the map goes (default: PICTURE with -gradcam.png)")
    options = parser.parse_args(arguments)
    try:
        print(explain(options.picture, options.layer, options.output or _beside(options.picture)))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def explain(picture: Path, layer: str, output: Path) -> str:
    """Draw the Grad-CAM map of the most probable class to ``output`` and return a sentence that names the class.

    Raises
    ------
    OSError, ValueError
        If the picture can not be read, the weights are neither here nor reachable, or the layer does not exist.
    """
    pixels = _read(picture)
    model, names = _network()
    images = ((pixels - IMAGENET_MEAN[:, None, None]) / IMAGENET_SD[:, None, None])[None]
    probability = predictor(model, "probability")(images)[0]
    best = int(probability.argmax())
    _draw(gradcam(model, images, layer, best), pixels, f"{names[best]}, {probability[best]:.0%}", output)
    return f"{names[best]} with probability {probability[best]:.2f}; Grad-CAM at {layer} drawn to {output}."


def _network() -> tuple[nn.Module, list[str]]:
    """ResNet-18 with ImageNet weights, and the names of its thousand classes."""
    models = torchvision().models
    weights = models.ResNet18_Weights.IMAGENET1K_V1
    try:
        return models.resnet18(weights=weights).eval(), weights.meta["categories"]
    except URLError as error:
        raise OSError(f"the weights of ResNet-18 are not here and {weights.url} does not answer: try again online.") from error


def _read(picture: Path) -> np.ndarray:
    """The middle square of a picture, (3, 224, 224) in [0, 1]."""
    try:
        image = Image.open(picture).convert("RGB")
    except UnidentifiedImageError:
        raise ValueError(f"{picture} is no picture that can be read: give a JPEG or PNG file.") from None
    return np.asarray(ImageOps.fit(image, (SIZE, SIZE))).transpose(2, 0, 1) / 255


def _draw(heat: Heatmap, pixels: np.ndarray, title: str, output: Path) -> None:
    from matplotlib.figure import Figure

    from xailib import plots

    figure = Figure(figsize=(4, 4.3))
    heat.plot(figure.subplots(), image=pixels).set_title(title)
    output.write_bytes(plots.png(figure))


def _beside(picture: Path) -> Path:
    return picture.with_name(f"{picture.stem}-gradcam.png")


if __name__ == "__main__":
    sys.exit(main())
