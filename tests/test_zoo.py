"""The shipped networks: what they are, what their cards say, and a training that survives being killed."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from xailib import _cache, worlds, zoo
from xailib.course import manifest
from xailib.zoo import cards, train, vision
from xailib.zoo.architectures import SHAPES, GapCNN, LinearObserver, folded

BIRD_NETWORKS = [name for name in SHAPES if name.startswith("birds")]
FUNDUS_NETWORKS = [name for name in SHAPES if name.startswith("fundus")]
every_network = pytest.mark.parametrize("name", SHAPES)
every_fundus_network = pytest.mark.parametrize("name", FUNDUS_NETWORKS)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def world():
    """Held-out pictures: the last 50 of 300."""
    return worlds.birds(300, random_state=2)


def logits(model, images):
    with torch.no_grad():
        return model(torch.as_tensor(images))


@pytest.fixture(scope="module")
def complete(world):
    """Number of a held-out picture that shows all parts."""
    return world.n_train + int(world.truth.visible[world.n_train :].all(axis=1).argmax())


# --- architecture ---------------------------------------------------------------------------------------------------


@every_network
def test_network_is_small_named_and_ends_with_pooling_and_one_linear_layer(name):
    model = zoo.load(name)
    assert not model.training
    assert (manifest.data_dir() / f"{name}.safetensors").stat().st_size < 1_000_000
    layers = dict(model.features.named_children())
    kinds = [type(layer) for layer in layers.values()]
    assert all(kinds[k + 1] is nn.ReLU for k, kind in enumerate(kinds) if kind is nn.Conv2d)
    assert not any(layer.inplace for layer in layers.values() if isinstance(layer, nn.ReLU))
    assert list(layers)[-1] == f"relu{len(SHAPES[name]['widths'])}"


@every_network
def test_class_activation_map_is_exact(name):
    model = zoo.load(name)
    size = {"birds": 64, "fundus": 96, "digits": 8}[name.split("-")[0]]
    images = torch.rand(3, SHAPES[name]["in_channels"], size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        maps = torch.einsum("ck,nkij->ncij", model.classifier.weight, model.features(images))
        torch.testing.assert_close(maps.mean(dim=(2, 3)) + model.classifier.bias, model(images))


def test_every_call_gives_a_new_module():
    first, second = zoo.load("digits-cnn"), zoo.load("digits-cnn")
    with torch.no_grad():
        first.classifier.weight.zero_()
    assert second.classifier.weight.abs().sum() > 0


def test_folding_keeps_the_function():
    torch.manual_seed(0)
    model = GapCNN(3, (4, 6), (1,), 5, batch_norm=True)
    images = torch.rand(8, 3, 12, 12)
    model(images)  # running statistics that are not trivial
    want = logits(model.eval(), images)
    plain = folded(model)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in plain.modules())
    torch.testing.assert_close(logits(plain, images), want)


def test_linear_observer_scores_by_squared_distance(world, complete):
    templates = world.truth.templates(complete)
    observer, images = LinearObserver(templates, noise_sd=0.5), world.X[250:254]
    distance = ((images[:, None].astype(float) - templates) ** 2).sum(axis=(2, 3, 4))
    gap = logits(observer, images).numpy() + distance / (2 * 0.5**2)
    np.testing.assert_allclose(gap - gap.mean(axis=1, keepdims=True), 0, atol=0.02)  # float32 sums over 12,288 pixels
    np.testing.assert_array_equal(logits(observer, templates).argmax(dim=1), np.arange(20))


def test_linear_observer_tells_siblings_apart_by_their_pivot_alone(world, complete):
    species = int(world.y[complete])
    part = "wing" if "wing" in world.truth.pivots(species) else world.truth.pivots(species)[0]
    sibling = world.truth.sibling(species, part)
    observer = LinearObserver(world.truth.templates(complete))
    image = torch.from_numpy(world.X[[complete]]).requires_grad_()
    scores = observer(image)
    (scores[0, species] - scores[0, sibling]).backward()
    used = (image.grad[0] != 0).any(dim=0).numpy()
    with_sibling_part = (world.truth.with_part_from(complete, part, sibling) != world.X[complete]).any(axis=0)
    np.testing.assert_array_equal(used, with_sibling_part)


# --- loading and the manifest ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [zoo.load, zoo.card])
def test_unknown_name_lists_what_there_is(function):
    with pytest.raises(ValueError, match=r"name must be one of 'birds-cnn'.*'messages-transformer' and \d+ more, not 'birdscnn'"):
        function("birdscnn")


def test_tabular_models_come_through_the_same_door():
    assert zoo.load("loans-logistic") is zoo.load("loans-logistic")
    assert set(zoo.names()) > {"loans-logistic", "birds-cnn"}
    assert "loans-logistic" in zoo.card("loans-logistic")


@pytest.fixture
def folder(tmp_path):
    """A data folder with one file and its manifest."""
    (tmp_path / "weights.safetensors").write_bytes(b"some weights")
    manifest.record("weights.safetensors", origin="a test", licence="MIT", command="python -m test", folder=tmp_path)
    return tmp_path


def test_manifest_says_all_about_a_file(folder):
    entry = manifest.read(folder)["weights.safetensors"]
    assert set(entry) == set(manifest.FIELDS)
    assert entry["bytes"] == 12
    assert manifest.verified("weights.safetensors", folder) == folder / "weights.safetensors"
    assert manifest.problems(folder) == []


def test_changed_file_is_not_read(folder):
    (folder / "weights.safetensors").write_bytes(b"other weights")
    with pytest.raises(ValueError, match=r"does not match its hash in data/MANIFEST.json: make it again with 'python -m test'"):
        manifest.verified("weights.safetensors", folder)
    assert len(manifest.problems(folder)) == 1


def test_missing_and_unlisted_files_are_named(folder):
    (folder / "weights.safetensors").unlink()
    (folder / "stray.npz").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match=r"weights.safetensors is missing: make it with 'python -m test'"):
        manifest.verified("weights.safetensors", folder)
    with pytest.raises(ValueError, match=r"stray.npz is not listed"):
        manifest.verified("stray.npz", folder)
    assert len(manifest.problems(folder)) == 2


def test_incomplete_entry_is_a_problem(folder):
    listed = manifest.read(folder)
    del listed["weights.safetensors"]["licence"]
    (folder / "MANIFEST.json").write_text(json.dumps(listed))
    assert manifest.problems(folder) == ["the entry of data/weights.safetensors in data/MANIFEST.json lacks licence."]


def test_missing_folder_gets_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(manifest, "DATA", tmp_path / "data")
    with pytest.raises(FileNotFoundError, match="install the course from a checkout"):
        zoo.load("birds-cnn")
    assert len(manifest.problems()) == 1


def test_manifest_is_replaced_in_one_step(folder, monkeypatch):
    before = (folder / "MANIFEST.json").read_text()

    def killed(source, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(_cache.os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        manifest.record("weights.safetensors", origin="again", licence="MIT", command="python -m test", folder=folder)
    assert (folder / "MANIFEST.json").read_text() == before
    assert not list(folder.glob("*.part"))


def test_shipped_files_match_the_manifest():
    assert manifest.problems() == []


def test_nothing_shipped_is_a_pickle():
    suffixes = {path.suffix for path in manifest.data_dir().iterdir()}
    assert suffixes <= {".safetensors", ".npz", ".json", ".md", ".csv", ".parquet"}


# --- part reliance --------------------------------------------------------------------------------------------------


def test_part_reliance_is_the_fall_of_the_score(world):
    model, truth = zoo.load("birds-cnn"), world.truth
    pictures = [251, 255, 260]
    table = zoo.part_reliance(model, world, pictures)
    assert list(table.columns) == list(truth.removable_parts)
    for i in pictures:
        for part in truth.removable_parts:
            if not truth.present[i, truth.parts.index(part)]:
                assert np.isnan(table.loc[i, part])
                continue
            both = logits(model, np.stack([world.X[i], truth.without(i, part)]))[:, world.y[i]]
            assert table.loc[i, part] == pytest.approx(float(both[0] - both[1]), abs=1e-4)


def test_part_reliance_against_another_class_is_a_difference(world):
    model, pictures = zoo.load("birds-cnn"), [251, 252]
    difference = zoo.part_reliance(model, world, pictures, target=3, against=[4, 5])
    for i, rival in zip(pictures, [4, 5], strict=True):
        want = zoo.part_reliance(model, world, [i], target=3) - zoo.part_reliance(model, world, [i], target=rival)
        np.testing.assert_allclose(difference.loc[[i]], want, atol=1e-4)


def test_part_reliance_is_by_default_over_held_out_pictures(world):
    table = zoo.part_reliance(zoo.load("birds-cnn"), world)
    np.testing.assert_array_equal(table.index, np.arange(250, 300))
    absent = ~world.truth.present[250:, : len(world.truth.removable_parts)]
    np.testing.assert_array_equal(table.isna(), absent)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"indices": [300]}, "indices must lie in 0 to 299"),
        ({"indices": "all"}, "indices must be one picture number"),
        ({"indices": [1, 2], "target": [1, 2, 3]}, "target must be a class number, or one for each of the 2 pictures"),
        ({"indices": [1], "target": 20}, "target must be a whole number in"),
        ({"indices": [1], "against": 0.5}, "against must be a class number"),
    ],
)
def test_part_reliance_refuses_before_asking_the_model(world, arguments, sentence):
    class NeverAsked(nn.Module):
        def forward(self, x):
            raise AssertionError("the model was asked")

    with pytest.raises((TypeError, ValueError), match=sentence):
        zoo.part_reliance(NeverAsked(), world, **arguments)


def test_part_reliance_needs_birds():
    with pytest.raises(TypeError, match="world must be a birds world"):
        zoo.part_reliance(zoo.load("birds-cnn"), worlds.loans(100))


# --- the cards ------------------------------------------------------------------------------------------------------


@every_network
def test_stated_accuracy_holds(name):
    stated = cards.measurements()[name]
    if name == "digits-cnn":
        images, labels, n_train = zoo.digits()
        images, labels = images[n_train:], labels[n_train:]
    elif name in FUNDUS_NETWORKS:
        world = cards.fundus_world()
        images, labels = world.X, cards.fundus_labels(vision.network(name), world)
    else:
        images, labels = cards.evaluation_world().test
    assert len(labels) == stated["n"]
    assert cards.accuracy(vision.network(name), images, labels) == pytest.approx(stated["accuracy"], abs=0.005)


@pytest.mark.parametrize(("name", "leak"), [("birds-cnn-snow", {"shortcut": "snow"}), ("birds-cnn-marker", {"marker": True})])
def test_shortcut_has_its_stated_effect_on_other_birds(name, leak):
    stated, model = cards.measurements()[name]["leaks"]["snow" if "shortcut" in leak else "marker"], zoo.load(name)
    for label, strength in cards.STRENGTHS.items():
        images, labels = worlds.birds(900, **leak, shortcut_strength=strength, random_state=3).test
        sd = np.sqrt(stated[label] * (1 - stated[label]) * (1 / len(labels) + 1 / 500)) + 0.005
        assert cards.accuracy(model, images, labels) == pytest.approx(stated[label], abs=4 * sd)
    assert stated["with the leak"] > stated["leak removed"] + 0.1 > stated["leak reversed"] + 0.1


def test_only_the_network_without_a_shortcut_passes_the_part_test():
    passed = {name: cards.passes_part_test(cards.measurements()[name]) for name in BIRD_NETWORKS}
    assert passed == {"birds-cnn": True, "birds-cnn-snow": False, "birds-cnn-marker": False}


@pytest.mark.parametrize(
    ("section", "key", "worse"),
    [
        ("without_part", "wing", {"pivot": 1.0, "other": 1.0}),  # does not need a pivot
        ("without_part", "wing", {"pivot": 0.5, "other": 0.9}),  # needs what it should not
        ("landscapes", "snow", 0.9),
        ("contrast", "beak", {"mean_fall": {}, "share_largest": 0.5}),
    ],
)
def test_part_test_can_fail_in_every_way(section, key, worse):
    measured = cards.measurements()["birds-cnn"]
    assert not cards.passes_part_test({**measured, section: {**measured[section], key: worse}})


def test_stated_reliance_on_parts_holds_on_other_birds(world):
    stated, model = cards.measurements()["birds-cnn"], zoo.load("birds-cnn")
    for part in world.truth.removable_parts:
        again = cards._sibling_contrast(model, world, part)
        for other, fall in again["mean_fall"].items():
            assert fall == pytest.approx(stated["contrast"][part]["mean_fall"][other], abs=0.6)
    accuracies = cards._accuracies_without_part(model, world)
    assert all(0.2 <= found["pivot"] <= 0.8 and found["other"] >= 0.95 for found in accuracies.values())


@every_fundus_network
def test_fundus_network_relies_on_lesions_and_nothing_else(name):
    measured = cards.measurements()[name]
    assert cards.passes_lesion_test(measured)
    assert "passes: lesion masks may serve as truth" in zoo.card(name)
    for share in measured["lesion_test"]:
        worse = measured | {"lesion_test": measured["lesion_test"] | {share: 0.89}}
        assert not cards.passes_lesion_test(worse)


def test_lesion_test_fails_a_network_that_looks_at_the_stamp():
    class ReadsTheStamp(GapCNN):
        def forward(self, x):
            scores = super().forward(x)
            return scores + 20 * (x[:, 0, 86:93, 84:93].mean(dim=(1, 2), keepdim=False) > 0.3)[:, None] * torch.tensor(
                [-1.0, 1.0]
            )

    model = ReadsTheStamp(**SHAPES["fundus-cnn"])
    model.load_state_dict(zoo.load("fundus-cnn").state_dict())
    found = cards._lesion_test(model.eval(), worlds.fundus(60, random_state=4))
    assert found["same_with_marker"] < 0.7 < 0.95 < found["same_without_distractors"]


@every_fundus_network
def test_stated_lesion_test_holds_on_other_eyes(name):
    stated, model, world = cards.measurements()[name], zoo.load(name), worlds.fundus(240, random_state=3)
    for share, value in cards._lesion_test(model, world).items():
        assert value == pytest.approx(stated["lesion_test"][share], abs=0.06)
    falls = cards._falls_of_disease_score(model, world)
    assert falls["all lesions"] == pytest.approx(stated["falls"]["all lesions"], rel=0.25)
    assert abs(falls["all harmless spots"]) < 0.2 * falls["all lesions"]
    assert falls["faint red"] < falls["one red"]
    assert falls["faint bright"] < falls["one bright"]


def test_score_of_disease_adds_the_sick_grades():
    model, images = zoo.load("fundus-cnn-grades"), worlds.fundus(40, random_state=4).X[:6]
    probability = torch.softmax(logits(model, images).double(), dim=1).numpy()
    odds = (probability[:, 1] + probability[:, 2]) / probability[:, 0]
    np.testing.assert_allclose(cards._disease_score(model, images), np.log(odds), atol=1e-4)


def test_a_diseased_eye_is_healthy_again_without_its_lesions():
    world, model = worlds.fundus(60, random_state=4), zoo.load("fundus-cnn")
    severe = np.flatnonzero(world.y == 2)
    assert (logits(model, world.X[severe]).argmax(dim=1) == 1).all()
    assert (logits(model, world.truth.without(severe)).argmax(dim=1) == 0).float().mean() >= 0.9


@every_network
def test_card_states_the_measured_accuracy(name):
    text = zoo.card(name)
    assert text.startswith(f"# {name}: ")
    assert f"{cards.measurements()[name]['accuracy']:.3f}" in text
    assert f"python -m xailib.zoo.train {name}" in text


def test_readme_holds_all_cards_as_they_are_now():
    stored = (manifest.data_dir() / "README.md").read_text(encoding="utf-8")
    assert stored == cards.readme(), f"run `{cards.COMMAND}`"


# --- training -------------------------------------------------------------------------------------------------------


@pytest.fixture
def short_recipe(monkeypatch):
    """Digits in three epochs."""
    monkeypatch.setitem(train.RECIPES, "digits-cnn", dataclasses.replace(train.RECIPES["digits-cnn"], epochs=3))


def same_weights(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_training_is_repeatable_and_leaves_the_callers_torch_alone(tmp_path, short_recipe):
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = train.train("digits-cnn", checkpoints=tmp_path / "a")
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(6)
    assert same_weights(first, train.train("digits-cnn", checkpoints=tmp_path / "b"))


def test_interrupted_training_ends_with_the_same_weights(tmp_path, short_recipe, monkeypatch):
    want = train.train("digits-cnn", checkpoints=tmp_path / "a")
    one_epoch = train.TrainingRun.one_epoch

    def interrupted(run, epoch):
        if epoch == 2:
            raise KeyboardInterrupt
        one_epoch(run, epoch)

    monkeypatch.setattr(train.TrainingRun, "one_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train.train("digits-cnn", checkpoints=tmp_path / "b")
    resumed = []
    monkeypatch.setattr(train.TrainingRun, "one_epoch", lambda run, epoch: (resumed.append(epoch), one_epoch(run, epoch)))
    assert same_weights(want, train.train("digits-cnn", checkpoints=tmp_path / "b"))
    assert resumed == [2]


def test_broken_checkpoint_is_ignored(tmp_path, short_recipe):
    want = train.train("digits-cnn", checkpoints=tmp_path / "a")
    path = train.checkpoint_path("digits-cnn", tmp_path / "b")
    path.parent.mkdir()
    path.write_bytes(b"half a file")
    assert same_weights(want, train.train("digits-cnn", checkpoints=tmp_path / "b"))


SCRIPT = """
import dataclasses, sys
from pathlib import Path
from xailib.zoo import train
train.RECIPES["digits-cnn"] = dataclasses.replace(train.RECIPES["digits-cnn"], epochs=4)
train.make_weights(["digits-cnn"], folder=Path(sys.argv[1]))
"""


def test_killed_training_leaves_nothing_half_written_and_the_next_run_succeeds(tmp_path):
    folder, cache = tmp_path / "data", tmp_path / "cache"
    folder.mkdir()
    environment = {**os.environ, "XAILIB_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SCRIPT, str(folder)]
    process = subprocess.Popen(command, env=environment)
    while not list(cache.glob("weights/*.safetensors")):
        assert process.poll() is None, "training ended before it could be killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert manifest.problems(folder) == []
    assert not list(folder.glob("*.safetensors"))

    subprocess.run(command, env=environment, check=True)
    weights = load_file(manifest.verified("digits-cnn.safetensors", folder))
    GapCNN(**SHAPES["digits-cnn"]).load_state_dict(weights)
    assert sorted(path.name for path in folder.iterdir()) == ["MANIFEST.json", "digits-cnn.safetensors"]
    assert not list(cache.glob("weights/digits-cnn-*.safetensors"))


def test_command_line_refuses_unknown_names(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["train", "birds-ccn"])
    with pytest.raises(SystemExit):
        train.main()
    assert "unknown model birds-ccn; there are birds-cnn" in capsys.readouterr().err


@pytest.mark.full
def test_training_from_nothing_gives_a_network_as_good_as_the_shipped_one(tmp_path):
    model = train.train("birds-cnn", checkpoints=tmp_path)
    assert cards.accuracy(model, *cards.evaluation_world().test) >= 0.98


@pytest.mark.full
def test_a_good_network_comes_close_to_the_bayes_accuracy_of_ambiguous_birds(tmp_path, monkeypatch):
    recipe = dataclasses.replace(train.RECIPES["birds-cnn"], data=lambda: worlds.birds(ambiguous=True).train)
    monkeypatch.setitem(train.RECIPES, "birds-cnn", recipe)
    world = worlds.birds(ambiguous=True)
    accuracy = cards.accuracy(train.train("birds-cnn", checkpoints=tmp_path), *world.test)
    assert world.truth.bayes_accuracy - 0.06 <= accuracy <= world.truth.bayes_accuracy + 0.03


def test_path_of_the_data_folder_is_beside_the_package():
    assert manifest.data_dir() == Path(zoo.__file__).resolve().parents[2] / "data"
