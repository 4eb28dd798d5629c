"""Bad arguments of SoftCAM, its metrics and guided backpropagation: joins the table of tests/bad_input_cases.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from tests.bad_input_cases import (
    AGAINST,
    GRADIENT,
    IMAGES,
    MAPS,
    MASKS,
    NO_MAPS_AT_ALL,
    NO_MASKS,
    NO_MODEL,
    NOTHING,
    PICTURES,
    TARGET,
    TEXT,
    Bad,
    Case,
    Counted,
    CountedNet,
    choice,
    flag,
    number,
    predict,
    seed,
    vector,
    whole,
    with_value,
)
from xailib import evaluation, saliency, softcam


class Rectified(CountedNet):
    """A small network that has a rectifier, and counts how often it is asked."""

    def __init__(self, *more: Any) -> None:
        super().__init__(*more)
        self.conv = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())


class CountedFeatures(nn.Sequential):
    """Features that count how often they are asked."""

    calls = 0

    def forward(self, x: Any) -> Any:
        self.calls += 1
        return super().forward(x)


class CountedSoftCAM(softcam.SoftCAM):
    """A small SoftCAM that counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__(CountedFeatures(nn.Conv2d(3, 4, 3), nn.ReLU()), nn.Conv2d(4, 2, 1))

    @property
    def calls(self) -> int:
        return self.features.calls


def frozen() -> nn.Module:
    return CountedSoftCAM().requires_grad_(False)


def good(**more: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {"model": CountedSoftCAM(), "images": IMAGES, **more}


EVIDENCE = np.random.default_rng(0).normal(size=(3, 2, 6, 6))
TENSOR = torch.tensor(EVIDENCE)
LABELS = [0, 1, 0]
NO_SOFTCAM = [*NO_MODEL, Bad("a plain network", CountedNet(), "model must be a SoftCAM")]
STRENGTHS = {"l1": number(-0.1), "l2": number(-0.1), "second": choice()}
WHERE = [
    NOTHING,
    TEXT,
    Bad("numbers", np.ones((6, 6))),
    Bad("whole numbers of a map's shape", np.ones((6, 6), int)),
    Bad("another shape", np.ones((5, 6), bool)),
    Bad("outside", [[0, 6]]),
    Bad("negative", [[-1, 0]]),
    Bad("empty", np.empty((0, 2), int)),
    Bad("one place without its list", [1, 2]),
]
EDIT = {"where": WHERE, "target": TARGET, "factor": number(), "add": number()}
LATE_WHERE = [Bad(bad.what, bad.value, bad.says, late=True) for bad in WHERE]
LATE_TARGET = [Bad(bad.what, bad.value, bad.says, late=True) for bad in TARGET]

SOFTCAM = {
    "softcam.convert": Case(
        softcam.convert,
        lambda: {"model": CountedNet()},
        {
            "model": [
                *NO_MODEL,
                Bad("no layers", nn.Identity()),
                Bad("a SoftCAM already", CountedSoftCAM()),
                Bad("no linear layer", nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())),
                Bad("no pooling", nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(72, 2))),
            ],
            "kind": choice(),
            "random_state": seed(),
        },
    ),
    "softcam.SoftCAM": Case(
        softcam.SoftCAM,
        lambda: {"features": nn.Identity(), "head": nn.Conv2d(3, 2, 1)},
        {
            "features": [Bad(bad.what, bad.value, "must be a torch module") for bad in NO_MODEL],
            "head": [NOTHING, TEXT, Bad("a linear layer", nn.Linear(3, 2)), Bad("wide filters", nn.Conv2d(3, 2, 3))],
            "exact": flag(),
        },
    ),
    "softcam.SoftCAM.evidence": Case(
        lambda x: CountedSoftCAM().evidence(x),
        lambda: {"x": torch.rand(1, 3, 8, 8)},
        {"x": [NOTHING, TEXT, Bad("an array", IMAGES)]},
    ),
    "softcam.penalty": Case(
        softcam.penalty,
        lambda: {"A": TENSOR, "l1": 0.1, "l2": 0.2},
        {
            "A": [
                NOTHING,
                TEXT,
                Bad("an array", EVIDENCE),
                Bad("three dimensions", TENSOR[0]),
                Bad("empty", TENSOR[:0]),
                Bad("whole numbers", torch.ones((1, 1, 2, 2), dtype=torch.int64)),
            ],
            **STRENGTHS,
            "reference_positions": whole(0, optional=True),
        },
    ),
    "softcam.fit": Case(
        softcam.fit,
        good(labels=LABELS, epochs=1),
        {
            "model": [
                *NO_MODEL,
                Bad("half precision", CountedSoftCAM().half(), r"model is in torch.float16.*train model.float"),
                Bad("frozen", frozen(), "no parameter that requires a gradient"),
            ],
            "images": PICTURES,
            "labels": [
                NOTHING,
                TEXT,
                Bad("another length", [0, 1]),
                Bad("negative", [0, -1, 0]),
                Bad("fractions", [0.0, 0.5, 1.0]),
                Bad("no class of the model", [0, 2, 0], "labels go up to 2, but the model has 2 classes", late=True),
            ],
            **STRENGTHS,
            "epochs": whole(0),
            "batch_size": whole(0),
            "learning_rate": number(0),
            "weight_decay": number(-0.1),
            "random_state": [Bad("negative", -1), Bad("a fraction", 0.5), TEXT, Bad("a bool", True), NOTHING],
            "checkpoint": [Bad("a number", 3), Bad("a folder", "/")],
        },
    ),
    "softcam.evidence": Case(softcam.evidence, good(), {"model": NO_SOFTCAM, "images": PICTURES, "batch_size": whole(0)}),
    "softcam.evidence_maps": Case(
        softcam.evidence_maps,
        good(),
        {"model": NO_SOFTCAM, "images": PICTURES, "target": TARGET, "against": AGAINST, "batch_size": whole(0)},
    ),
    "softcam.edit": Case(
        softcam.edit,
        good(where=[[0, 1]]),
        {
            "model": NO_SOFTCAM,
            "images": PICTURES,
            **EDIT,
            "where": LATE_WHERE,
            "target": LATE_TARGET,
            "batch_size": whole(0),
        },
    ),
    "softcam.edit_maps": Case(
        softcam.edit_maps,
        lambda: {"A": EVIDENCE, "where": [[0, 1]]},
        {"A": [*vector(ndim_ok=(4,)), Bad("NaN inside", with_value(EVIDENCE, np.nan))], **EDIT},
    ),
}

METRICS = {
    **{
        f"evaluation.{name}": Case(
            getattr(evaluation, name), lambda: {"maps": MAPS, "masks": MASKS}, {"maps": NO_MAPS_AT_ALL, "masks": NO_MASKS}
        )
        for name in ("activation_precision", "activation_sensitivity")
    },
    "evaluation.activation_consistency": Case(
        evaluation.activation_consistency,
        lambda: {"maps": MAPS, "positive": np.array([True, False, True])},
        {
            "maps": NO_MAPS_AT_ALL,
            "positive": [NOTHING, TEXT, Bad("numbers", [1, 0, 1]), Bad("another length", np.array([True, False]))],
        },
    ),
    "evaluation.topk_localisation": Case(
        evaluation.topk_localisation,
        lambda: {"maps": MAPS, "masks": MASKS, "k": 2, "patch": 2},
        {
            "maps": NO_MAPS_AT_ALL,
            "masks": NO_MASKS,
            "k": whole(0, 17),
            "patch": whole(0, 9, optional=True),
            "threshold": number(),
        },
    ),
    "evaluation.patch_deletion": Case(
        evaluation.patch_deletion,
        lambda: {
            "predict": Counted(lambda x: x.mean(axis=(2, 3))),
            "images": IMAGES,
            "maps": MAPS,
            "target": 0,
            "k": 2,
            "patch": 2,
        },
        {
            "predict": [
                *predict(width=None),
                Bad("returns one column", lambda x: np.zeros(len(x)), "target must be a column", late=True),
            ],
            "images": [bad for bad in PICTURES if not bad.late],
            "maps": [*NO_MAPS_AT_ALL, Bad("another shape", MAPS[:, 1:])],
            "target": [
                NOTHING,
                Bad("negative", -1),
                Bad("a fraction", 0.5),
                TEXT,
                Bad("a bool", True),
                Bad("another length", [0, 1]),
                Bad("no such column", 7, late=True),
            ],
            "k": whole(0, 17),
            "patch": whole(0, 9, optional=True),
            "baseline": [*vector(ndim_ok=(0,)), Bad("another shape", np.ones(5))],
            "score": choice(),
            "batch_rows": whole(0),
        },
    ),
    "saliency.guided_backprop": Case(
        saliency.guided_backprop,
        lambda: {"model": Rectified(), "images": IMAGES},
        GRADIENT
        | {
            "model": [*NO_MODEL, Bad("no rectifier", CountedNet(), r"model has no nn\.ReLU")],
            "channels": choice(),
        },
    ),
}

CASES = SOFTCAM | METRICS
