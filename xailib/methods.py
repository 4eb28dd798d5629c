"""One card for each method of the course: what it needs, what it costs, how it fails, when to leave it alone.

Chapter 0 compiles its chooser from this table. Costs count model rows: the number of inputs the model has to score.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

DATA = ("a table", "text", "images", "token sequences")
ACCESS = ("only its predictions", "its gradients and layers", "its training")
QUESTIONS = (
    "why this one prediction?",
    "what does the model rely on?",
    "what would change the prediction?",
    "what is represented inside?",
    "can the model explain itself?",
    "is this explanation any good?",
)


@dataclass(frozen=True)
class MethodCard:
    """What to know about a method before using it.

    Attributes
    ----------
    name : the method
    chapter : two digits
    question : one of QUESTIONS
    data : some of DATA
    access : what it must be allowed to use, one of ACCESS
    cost : in words, model rows where they can be counted
    fails : the failure the chapter shows
    avoid : when to leave it alone
    function : dotted name in xailib once the chapter exists, else None
    """

    name: str
    chapter: str
    question: str
    data: tuple[str, ...]
    access: str
    cost: str
    fails: str
    avoid: str
    function: str | None = None


_TABLE, _TEXT, _IMAGES, _TOKENS = DATA
_PREDICTIONS, _GRADIENTS, _TRAINING = ACCESS
_WHY, _RELY, _CHANGE, _INSIDE, _ITSELF, _GOOD = QUESTIONS

CARDS = (
    MethodCard("Glass boxes (linear, tree, EBM)", "01", _ITSELF, (_TABLE,), _TRAINING, "one training run",
               "correlated features flip signs; two equally good models tell different stories",
               "an interaction of three features decides", "xailib.glassbox.shape_functions"),
    MethodCard("Permutation importance", "02", _RELY, (_TABLE,), _PREDICTIONS, "rows x features x repeats",
               "shuffling makes rows that cannot exist; twins share their credit",
               "you want to know what causes the outcome", "xailib.permutation.permutation_importance"),
    MethodCard("PDP and ICE", "03", _RELY, (_TABLE,), _PREDICTIONS, "rows x grid points",
               "a flat average over opposite effects; queries outside the data",
               "the feature is strongly correlated with others", "xailib.effects.partial_dependence"),
    MethodCard("ALE", "03", _RELY, (_TABLE,), _PREDICTIONS, "two model rows per row of data",
               "read across far intervals, it compares different people", "there are few distinct values",
               "xailib.effects.ale"),
    MethodCard("LIME", "04", _WHY, (_TABLE, _TEXT, _IMAGES), _PREDICTIONS, "about 5,000 rows a prediction",
               "kernel width and superpixels decide the answer", "the decision must be reproducible to the digit",
               "xailib.lime.tabular"),
    MethodCard("SHAP", "05", _WHY, (_TABLE, _TEXT), _PREDICTIONS, "background x coalitions a prediction",
               "the choice of background changes the story", "someone asks what to change: see counterfactuals",
               "xailib.shapley.exact"),
    MethodCard("Anchors", "06", _WHY, (_TABLE, _TEXT), _PREDICTIONS, "3,000 to 35,000 rows a prediction",
               "no short rule exists near the boundary", "the class is rare and the perturbation unrealistic",
               "xailib.anchors.explain"),
    MethodCard("Counterfactuals", "07", _CHANGE, (_TABLE,), _PREDICTIONS, "hundreds to thousands of rows a prediction",
               "advice that satisfies the model and not the world", "the law asks for the principal reasons",
               "xailib.counterfactuals.search"),
    MethodCard("Integrated Gradients", "08", _WHY, (_IMAGES, _TEXT), _GRADIENTS, "1 to 50 gradient passes",
               "some maps look the same for an untrained network", "a baseline cannot be justified",
               "xailib.saliency.integrated_gradients"),
    MethodCard("Grad-CAM and relatives", "08", _WHY, (_IMAGES,), _GRADIENTS, "one forward pass and the network's tail",
               "a confident map for a wrong class", "details smaller than a cell of the layer matter",
               "xailib.saliency.gradcam"),
    MethodCard("TCAV", "09", _INSIDE, (_IMAGES, _TEXT), _GRADIENTS, "one pass an image, many concept vectors",
               "confounded concept images; a single run means nothing", "the concept cannot be shown in examples",
               "xailib.tcav.scores"),
    MethodCard("Attention maps and rollout", "10", _WHY, (_TEXT, _TOKENS), _GRADIENTS, "one forward pass",
               "high weight without effect", "you need what the output depends on", "xailib.attention.rollout"),
    MethodCard("Probing", "11", _INSIDE, (_TOKENS, _TEXT), _GRADIENTS, "one pass a sentence and a small classifier",
               "the probe learns what the model does not use", "there is no control task", "xailib.probing.measure"),
    MethodCard("Activation patching", "12", _INSIDE, (_TOKENS,), _GRADIENTS, "one pass a patched site",
               "backup heads hide the part you removed", "clean and corrupted input differ in several things", "xailib.patching.patch_map"),
    MethodCard("Sparse autoencoders", "13", _INSIDE, (_TOKENS, _IMAGES), _GRADIENTS, "a training run on stored activations",
               "features split, absorb each other, or get pretty names", "names are not tested by intervention", "xailib.sae.fit"),
    MethodCard("SoftCAM", "14", _ITSELF, (_IMAGES,), _TRAINING, "one training run",
               "evidence without cause; small lesions erased by the penalty", "the network may not be retrained",
               "xailib.softcam.fit"),
    MethodCard("ECOR", "15", _ITSELF, (_IMAGES,), _TRAINING, "prompt tuning of a frozen two-tower model",
               "right answer, wrong reason", "the rationales of a class are unknown", "xailib.ecor.tune"),
    MethodCard("CHiQPM", "16", _ITSELF, (_IMAGES,), _TRAINING, "a training run and an integer program",
               "unrelated classes forced together; calibration drifts", "there are only a few classes",
               "xailib.chiqpm.calibrate"),
    MethodCard("I2X", "17", _RELY, (_IMAGES,), _TRAINING, "maps at every checkpoint of training",
               "gains that removing images at random gives as well", "checkpoints were not kept"),
    MethodCard("Deletion and truth scores", "18", _GOOD, DATA, _PREDICTIONS, "rows x steps",
               "the metric rewards the wrong thing", "nothing: always grade", "xailib.evaluation.deletion_curve"),
)  # fmt: skip


def choose(question: str, data: str, access: str) -> list[MethodCard]:
    """Cards that answer a question on this kind of data with at most this access, in chapter order.

    Parameters
    ----------
    question, data, access : one of QUESTIONS, DATA and ACCESS; more access includes less

    Notes
    -----
    Taught in chapter 0.

    Examples
    --------
    >>> [card.name for card in choose("what would change the prediction?", "a table", "only its predictions")]
    ['Counterfactuals']
    """
    from xailib import _validation as check

    check.one_of(question, "question", QUESTIONS)
    check.one_of(data, "data", DATA)
    allowed = ACCESS[: ACCESS.index(check.one_of(access, "access", ACCESS)) + 1]
    return [card for card in CARDS if card.question == question and data in card.data and card.access in allowed]


def chapters_of(cards: Iterable[MethodCard]) -> str:
    """ "SHAP (05), LIME (04)" for a readout."""
    return ", ".join(f"{card.name} ({card.chapter})" for card in cards) or "none in this course"
