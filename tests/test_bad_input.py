"""Every public function refuses every kind of bad argument with one sentence that names the argument, before asking the model."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import pytest

import tests
import xailib
from tests.bad_input_cases import CASES, DEEP, IMAGES, WIDE, Anything, Bad, Case, total
from xailib import effects, saliency

#: the cases of a technique that has a file of its own, tests/bad_input_<module>.py, join the common ones
for _info in pkgutil.iter_modules(tests.__path__):
    if _info.name.startswith("bad_input_") and _info.name != "bad_input_cases":
        CASES |= importlib.import_module(f"tests.{_info.name}").CASES

#: modules whose functions are no part of the library's face, and why
NOT_COVERED = {
    "xailib.course": "a command line; its own tests hold its messages",
    "xailib.photo": "a command line; it prints the sentence of whatever was wrong",
    "xailib.exercises.": "chapters' content, and an engine whose public part the package names",
    "xailib.zoo.": "training, a command line; the public part is named by the package",
    "xailib.lab": "chapters' content, and a shell whose arguments come from it: a wrong one fails when the chapter is built",
}


def modules() -> Iterator[Any]:
    for info in pkgutil.walk_packages(xailib.__path__, "xailib."):
        private = any(part.startswith("_") for part in info.name.split("."))
        if not private and not info.name.startswith(tuple(NOT_COVERED)):
            yield importlib.import_module(info.name)


def public_functions() -> dict[str, Any]:
    """``"effects.ale"`` or ``"worlds.toys.Toy.pdp"`` -> function, for all that take an argument, by where they are defined."""
    found = {}
    for module in modules():
        for name in getattr(module, "__all__", [n for n in vars(module) if not n.startswith("_")]):
            thing = getattr(module, name)
            home = str(getattr(thing, "__module__", ""))
            if home == module.__name__ or (hasattr(module, "__path__") and home.startswith("xailib")):
                found |= {f"{home.removeprefix('xailib.')}.{key}": f for key, f in callables(name, thing)}
    return {key: function for key, function in found.items() if parameters(function)}


def callables(name: str, thing: Any) -> Iterator[tuple[str, Any]]:
    """A function, or a class that users make (results and truths are dataclasses that the library makes) and its methods."""
    if inspect.isfunction(thing):
        yield name, thing
    elif inspect.isclass(thing):
        if inspect.isfunction(vars(thing).get("__init__")) and not dataclasses.is_dataclass(thing):
            yield name, thing
        yield from ((f"{name}.{n}", f) for n, f in vars(thing).items() if is_method(n, f))


def is_method(name: str, function: Any) -> bool:
    """Public, and called by people: ``forward`` is called by torch, which has its own messages."""
    return inspect.isfunction(function) and not name.startswith("_") and name != "forward"


def parameters(function: Any) -> list[str]:
    """Names of what a caller passes."""
    signature = inspect.signature(function).parameters.values()
    return [p.name for p in signature if p.name != "self" and p.kind is not p.VAR_KEYWORD]


PUBLIC = public_functions()


def test_discovery_finds_functions_and_methods():
    assert {"effects.ale", "models.predictor", "results.Attribution.plot", "worlds.loans.loans", "worlds.toys.Toy.pdp"} <= set(
        PUBLIC
    )


def test_every_public_function_is_in_the_table():
    assert sorted(set(PUBLIC) - set(CASES)) == []
    assert sorted(set(CASES) - set(PUBLIC)) == []


@pytest.mark.parametrize("key", sorted(set(PUBLIC) & set(CASES)))
def test_every_argument_is_in_the_table(key):
    assert sorted(CASES[key].bad) == sorted(parameters(PUBLIC[key]))
    assert all(isinstance(bads, Anything) or bads for bads in CASES[key].bad.values())


def call(case: Case, arguments: dict[str, Any]) -> Any:
    """Keyword arguments, but ``*names`` are spread."""
    spread = [n for n, p in inspect.signature(case.call).parameters.items() if p.kind is p.VAR_POSITIONAL and n in arguments]
    positional = arguments.pop(spread[0]) if spread else ()
    return case.call(*positional, **arguments)


@pytest.fixture(autouse=True)
def _no_data_no_network(monkeypatch, tmp_path):
    import matplotlib.pyplot as plt

    monkeypatch.delenv("XAILIB_DATA", raising=False)
    monkeypatch.setattr("xailib.worlds._download.download", lambda *_: pytest.fail("tried to download before checking"))
    monkeypatch.setattr("IPython.display.display", lambda *_, **__: None)
    yield
    plt.close("all")


@pytest.mark.parametrize("key", [key for key, case in CASES.items() if not case.needs])
def test_the_good_call_works(key):
    """Otherwise a bad argument could be refused for a reason that has nothing to do with it."""
    call(CASES[key], CASES[key].good())


BAD = [
    pytest.param(key, name, bad, id=f"{key}({name}={bad.what})")
    for key, case in CASES.items()
    for name, bads in case.bad.items()
    if not isinstance(bads, Anything)
    for bad in bads
]


@pytest.mark.parametrize(("key", "name", "bad"), BAD)
@pytest.mark.filterwarnings("error")
def test_bad_argument_gets_one_sentence(key: str, name: str, bad: Bad):
    arguments = CASES[key].good() | {name: bad.value}
    counted = [value for value in arguments.values() if hasattr(value, "calls")]
    before = sum(model.calls for model in counted)
    with pytest.raises((TypeError, ValueError)) as error:
        call(CASES[key], arguments)
    assert_one_sentence(str(error.value))
    assert re.search(bad.says or rf"\b{name}\b", str(error.value)), str(error.value)
    if not bad.late:
        assert sum(model.calls for model in counted) == before


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (lambda: effects.ale(total, WIDE, "nowhere"), "feature_with_a_long_name_0, .* and 49. more"),
        (lambda: saliency.gradcam(DEEP, IMAGES, "299x"), "did you mean '299'.* and 2.. more"),
    ],
    ids=["500 features", "300 layers"],
)
def test_a_long_list_of_what_there_is_stays_a_sentence(wrong, hint):
    with pytest.raises(ValueError, match=hint) as error:
        wrong()
    assert_one_sentence(str(error.value))


def assert_one_sentence(text: str) -> None:
    assert "\n" not in text, text
    assert len(text) < 300, f"{len(text)} characters: {text}"
    assert text.endswith("."), text
    assert not re.search(r"[a-z]\. [A-Z]", text), text
