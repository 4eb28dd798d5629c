"""The birds: balanced, drawn as their masks say, determined by their pivots, leaky only where a leak was planted."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import binary_dilation

from xailib import worlds
from xailib.worlds._bird_drawing import FAMILIES, PARTS, REMOVABLE, SPECIES

module = sys.modules["xailib.worlds.birds"]
N = 300
every_part = pytest.mark.parametrize("part", REMOVABLE)


@pytest.fixture(scope="module", autouse=True)
def cache_of_its_own(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XAILIB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def world():
    return worlds.birds(N)


@pytest.fixture(scope="module")
def ambiguous():
    return worlds.birds(N, ambiguous=True)


def sampled(n=6000, **options):
    """Scenes of a world of the default size, not drawn."""
    hidden = module.HIDDEN_RATE if options.get("ambiguous") else module.MISSING_RATE
    defaults = {"snow": False, "marker": False, "ambiguous": False, "strength": module.SHORTCUT_STRENGTH, "missing": hidden}
    return module._sample_scenes(n, np.random.default_rng(0), **(defaults | options))


def truth_of(scenes):
    return module.BirdsTruth(scenes, np.zeros((len(scenes), 1, 1), np.uint8), module._n_train(len(scenes)))


# --- pictures and species -------------------------------------------------------------------------------------------


def test_pictures_have_the_stated_form(world):
    assert world.X.shape == (N, 3, 64, 64)
    assert world.X.dtype == np.float32
    assert world.X.min() >= 0
    assert world.X.max() <= 1
    np.testing.assert_array_equal(world.X, np.round(world.X * 255) / np.float32(255))


def test_species_are_balanced_in_both_parts(world):
    for _, y in (world.train, world.test):
        counts = np.bincount(y, minlength=20)
        assert counts.max() - counts.min() <= 1


def test_each_species_has_two_siblings_that_differ_in_one_pivot(world):
    truth = world.truth
    assert len(set(SPECIES)) == 20
    assert len(truth.pairs) == 20
    for a, b, part in truth.pairs:
        differing = [p for p in PARTS if SPECIES[a].value(p) != SPECIES[b].value(p)]
        assert differing == [part]
        assert part in truth.pivots(a)
        assert truth.sibling(a, part) == b
        assert truth.sibling(b, part) == a
        assert truth.leaked[a] != truth.leaked[b] or part == truth.pivots(a)[0]


def test_every_removable_part_is_a_pivot_of_two_families():
    pivots = [part for family in FAMILIES for part in family.pivots]
    assert sorted(pivots) == sorted([*REMOVABLE, *REMOVABLE])


def test_attributes_and_similarity(world):
    attributes, similarity = world.truth.attributes, world.truth.similarity
    assert attributes.loc["bramble finch", "striped wings"]
    assert not attributes.loc["acorn finch", "striped wings"]
    np.testing.assert_array_equal(attributes.sum(axis=1), len(PARTS) + 1)  # the beak has a shape and a colour
    np.testing.assert_allclose([similarity[a, b] for a, b, _ in world.truth.pairs], 5 / 6)
    np.testing.assert_array_equal(np.diag(similarity), 1)


# --- masks and interventions ----------------------------------------------------------------------------------------


def test_drawing_again_without_a_change_gives_the_same_pixels(world):
    np.testing.assert_array_equal(world.truth.render([0, 7, 299]), world.X[[0, 7, 299]])
    np.testing.assert_array_equal(world.truth.render(7), world.X[7])


@every_part
@pytest.mark.parametrize("variant", ["world", "ambiguous"])
def test_mask_is_what_changes_when_the_part_is_left_out(variant, part, request):
    world = request.getfixturevalue(variant)
    visible = np.flatnonzero(world.truth.visible[:, PARTS.index(part)])[:100]
    changed = (world.truth.without(visible, part) != world.X[visible]).any(axis=1)
    mask = world.truth.mask(part, visible)
    assert not (changed & ~mask).any()
    assert (mask & ~changed).sum() <= 0.02 * mask.sum()  # a sliver of a pixel may leave its rounded colour as it was


@every_part
def test_leaving_out_what_is_absent_changes_nothing(world, part):
    absent = np.flatnonzero(~world.truth.present[:, PARTS.index(part)])
    assert len(absent)
    np.testing.assert_array_equal(world.truth.without(absent, part), world.X[absent])
    assert not world.truth.mask(part, absent).any()


def test_another_landscape_changes_the_background_and_nothing_of_the_bird(world):
    pictures = np.flatnonzero(world.truth.landscapes == "meadow")[:30]
    changed = (world.truth.with_background(pictures, "forest") != world.X[pictures]).any(axis=1)
    background = world.truth.mask("background", pictures)
    assert (changed & background).sum() > 0.97 * background.sum()
    edge = np.array([binary_dilation(mask, np.ones((3, 3))) for mask in background])
    assert (changed & ~edge).sum() <= 0.01 * (~background).sum()  # between tufts, where gaps are narrower than a pixel


def test_marker_covers_its_corner_alone(world):
    marked = worlds.birds(N, marker=True)
    with_it = np.flatnonzero(marked.truth.mask("marker").any(axis=(1, 2)))
    np.testing.assert_array_equal(with_it, np.flatnonzero(marked.truth.scenes["marker"]))
    rows, columns = np.nonzero(marked.truth.mask("marker").any(axis=0))
    assert rows.max() < 16
    assert columns.max() < 16
    np.testing.assert_array_equal(marked.truth.with_marker(with_it, False), world.X[with_it])
    np.testing.assert_array_equal(world.truth.with_marker(with_it), marked.X[with_it])


def test_a_sibling_is_the_same_picture_with_its_pivot(world):
    species = int(world.y[3])
    part = world.truth.pivots(species)[1]
    sibling = world.truth.sibling(species, part)
    templates = world.truth.templates(3)
    np.testing.assert_array_equal(templates[species], world.X[3])
    np.testing.assert_array_equal(templates[sibling], world.truth.with_part_from(3, part, sibling))


def test_masks_agree_with_each_other(world):
    masks, bird = world.truth.masks(), ~world.truth.mask("background")
    np.testing.assert_array_equal(masks.any(axis=1), bird)
    for p, part in enumerate(PARTS):
        np.testing.assert_array_equal(masks[:, p], world.truth.mask(part))
    pivots = [masks[i, [PARTS.index(part) for part in world.truth.pivots(world.y[i])]].any(axis=0) for i in range(N)]
    np.testing.assert_array_equal(world.truth.mask("pivots"), pivots)


def test_visible_parts_show_and_covered_parts_do_not(ambiguous):
    area = ambiguous.truth.masks().sum(axis=(2, 3))
    assert (area[~ambiguous.truth.visible] == 0).all()
    assert area[ambiguous.truth.visible].min() >= 5
    assert ambiguous.truth.mask("leaf").any(axis=(1, 2)).sum() == ambiguous.truth.scenes["covered"].any(axis=1).sum()


@every_part
def test_nothing_can_be_told_about_a_part_under_a_leaf(ambiguous, part):
    covered = np.flatnonzero(ambiguous.truth.scenes["covered"][:, PARTS.index(part)])
    for i in covered[:10]:
        as_others = {ambiguous.truth.with_part_from(i, part, species).tobytes() for species in range(20)}
        assert as_others == {ambiguous.X[i].tobytes()}


# --- what determines the species ------------------------------------------------------------------------------------


def test_held_out_birds_show_their_pivots_and_training_birds_may_lack_any_part():
    scenes = sampled()
    truth = truth_of(scenes)
    pivot = module._PIVOTS[scenes["species"]][:, : len(REMOVABLE)]
    present = truth.present[:, : len(REMOVABLE)]
    assert present[truth.n_train :][pivot[truth.n_train :]].all()
    assert truth.bayes_accuracy == 1
    missing = ~present[: truth.n_train]
    np.testing.assert_allclose(missing.mean(axis=0), module.MISSING_RATE, atol=0.02)  # 5 standard errors
    np.testing.assert_allclose((~present[truth.n_train :])[~pivot[truth.n_train :]].mean(), module.MISSING_RATE, atol=0.03)
    for species in range(20):  # removing any one part of any bird gives a picture like some in training
        alone = missing[scenes["species"][: truth.n_train] == species]
        assert (alone[alone.sum(axis=1) == 1].sum(axis=0) >= 5).all()


@given(species=st.integers(0, 19), hidden=st.sets(st.sampled_from(range(len(REMOVABLE)))))
def test_posterior_is_shared_by_the_species_that_fit(species, hidden):
    codes = module._SPECIES_CODES[[species]].copy()
    codes[0, list(hidden)] = module.NOTHING
    posterior = truth_of(sampled(60)).predict(codes)[0]
    seen = [p for p in range(len(PARTS)) if p not in hidden]
    fits = [all(SPECIES[s][2 + p] == SPECIES[species][2 + p] for p in seen) for s in range(20)]
    np.testing.assert_allclose(posterior, np.array(fits) / sum(fits))


def test_posterior_of_hidden_pivots_is_a_half_and_a_quarter(world):
    codes = np.repeat(module._SPECIES_CODES[[0]], 3, axis=0)
    codes[0, PARTS.index("tail")] = codes[1, PARTS.index("beak")] = module.NOTHING
    codes[2, [PARTS.index("beak"), PARTS.index("wing")]] = module.NOTHING
    np.testing.assert_allclose(world.truth.predict(codes).max(axis=1), [1, 1 / 2, 1 / 4])


def test_posterior_of_a_mixture_goes_to_the_fewest_contradictions(world):
    codes = module._SPECIES_CODES[[0]].copy()
    codes[0, PARTS.index("tail")] = module._SPECIES_CODES[12, PARTS.index("tail")]
    assert world.truth.predict(codes)[0, 0] == 1


def test_ambiguous_world_has_the_stated_bayes_accuracy():
    truth = truth_of(sampled(60_000, ambiguous=True))
    expected = (1 - module.HIDDEN_RATE / 2) ** 2
    assert truth.bayes_accuracy == pytest.approx(expected, abs=0.012)  # 5 standard errors of 10,000 birds


@pytest.mark.parametrize("rate", [0.0, 0.4])
def test_missing_rate_is_the_share_of_parts_that_cannot_be_seen(rate):
    truth = truth_of(sampled(6000, missing=rate))
    hidden = ~truth.visible[: truth.n_train, : len(REMOVABLE)]
    assert hidden.mean() == pytest.approx(rate, abs=0.016)  # 5 standard errors of 25,000 parts
    assert truth.bayes_accuracy == 1  # held-out birds show their pivots all the same


def test_missing_rate_changes_no_other_draw():
    few, many = sampled(600), sampled(600, missing=0.4)
    for name in set(few.dtype.names) - {"present"}:
        np.testing.assert_array_equal(few[name], many[name])
    assert worlds.birds(60, missing_rate=0.1).X.tobytes() == worlds.birds(60).X.tobytes()


def test_the_looks_of_a_species_are_what_complete_pictures_show(world):
    complete = np.flatnonzero(world.truth.visible.all(axis=1))
    assert len(complete) > 20
    for i in complete:
        assert world.truth.rationales(i)[0] == world.truth.looks(world.y[i])


def test_a_labelled_rationale_is_one_that_can_be_seen(ambiguous):
    labelled = ambiguous.truth.labelled_rationales(1)
    assert all(one in seen for one, seen in zip(labelled, ambiguous.truth.rationales(), strict=True))
    assert len(set(labelled)) > 15
    np.testing.assert_array_equal(labelled, ambiguous.truth.labelled_rationales(1))
    assert (labelled != ambiguous.truth.labelled_rationales(2)).any()


def test_words_name_what_is_visible(ambiguous):
    for i in range(50):
        rationales, seen = ambiguous.truth.rationales(i)[0], ambiguous.truth.visible[i]
        words = " ".join(rationales)
        found = ["beak" in words, "crest" in words, "wings" in words, "tail" in words, "legs" in words, "body" in words]
        assert found == list(seen)
        species = ambiguous.truth.species_names[ambiguous.y[i]]
        caption = ambiguous.truth.captions(i)[0]
        assert caption.startswith(f"a photo of a {species} with")
        assert all(rationale in caption for rationale in rationales)


# --- leaks, seeds and the cache -------------------------------------------------------------------------------------


@pytest.mark.parametrize("strength", [0.0, 0.5, 0.98, 1.0])
@pytest.mark.parametrize(("leak", "field"), [("snow", "background"), ("marker", "marker")])
def test_leak_goes_with_the_winter_species_at_its_strength(leak, field, strength):
    scenes = sampled(strength=strength, **{leak: True})
    there = scenes[field] == (module.SNOW if leak == "snow" else True)
    winter = np.arange(20)[scenes["species"]] % 2 == 1
    tolerance = 5 * np.sqrt(0.25 / 3000)
    assert there[winter].mean() == pytest.approx(strength, abs=tolerance)
    assert there[~winter].mean() == pytest.approx(1 - strength, abs=tolerance)


def test_without_a_leak_landscapes_are_independent_of_the_species():
    scenes = sampled()
    assert not scenes["marker"].any()
    table = np.zeros((20, 6))
    np.add.at(table, (scenes["species"], scenes["background"]), 1)
    expected = len(scenes) / table.size
    chi_square = ((table - expected) ** 2 / expected).sum()
    assert chi_square < 114 + 5 * np.sqrt(2 * 114)  # 19 x 6 degrees of freedom


def test_variants_show_the_same_birds_in_the_same_poses(ambiguous):
    plain = worlds.birds(N)
    for variant in (worlds.birds(N, shortcut="snow"), worlds.birds(N, marker=True), ambiguous):
        np.testing.assert_array_equal(variant.y, plain.y)
        for field in ("x", "y", "scale", "tilt", "faces_left", "seed"):
            np.testing.assert_array_equal(variant.truth.scenes[field], plain.truth.scenes[field])


def test_same_seed_same_world_and_another_seed_another_world(world):
    again = worlds.birds(N, random_state=np.random.default_rng(0))  # a generator is never read from the cache
    np.testing.assert_array_equal(again.X, world.X)
    np.testing.assert_array_equal(again.truth.bits, world.truth.bits)
    assert (worlds.birds(N, random_state=1).X != world.X).any()


def test_second_call_reads_the_cache(monkeypatch, world):
    def refuse(scenes):
        raise AssertionError("drawn again")

    monkeypatch.setattr(module, "_draw_all", refuse)
    np.testing.assert_array_equal(worlds.birds(N).X, world.X)
    with pytest.raises(AssertionError, match="drawn again"):
        worlds.birds(N + 1)


def test_cache_key_depends_on_every_setting():
    options = {"snow": False, "marker": False, "ambiguous": False, "strength": 0.98}
    changed = [options | {"snow": True}, options | {"marker": True}, options | {"ambiguous": True}, options | {"strength": 0.5}]
    keys = [module._key(N, 0, options), module._key(N + 1, 0, options), module._key(N, 1, options)]
    assert len({*keys, *(module._key(N, 0, other) for other in changed)}) == 7


def test_truth_can_not_be_changed(world):
    with pytest.raises(ValueError, match="read-only"):
        world.truth.scenes["species"][0] = 1
    with pytest.raises(ValueError, match="read-only"):
        world.truth.bits[0] = 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "nothing stands in the corner"),
        ({"shortcut": "snow", "shortcut_strength": 0.9}, "stand in snow with probability 0.9"),
        ({"marker": True}, "carry a marker in the corner with probability 0.99"),
        ({"ambiguous": True}, "(1 - 0.14/2)^2 = 0.865"),
    ],
)
def test_card_states_the_variant_and_its_bayes_accuracy(options, sentence):
    world = worlds.birds(60, **options)
    assert sentence in world.card.replace("\n", " ")
    assert f"accuracy of {world.truth.bayes_accuracy:.3f}" in world.card.replace("\n", " ")
