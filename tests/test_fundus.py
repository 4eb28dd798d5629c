"""The eyes: graded by the published rule, drawn as their masks say, and healthy again once their lesions are removed."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import label

from xailib import worlds
from xailib.worlds import _fundus_drawing as drawing

module = sys.modules["xailib.worlds.fundus"]
N = 160
every_sort = pytest.mark.parametrize("what", ["red", "bright", "faint"])


@pytest.fixture(scope="module", autouse=True)
def cache_of_its_own(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XAILIB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def world():
    return worlds.fundus(N)


def sampled(n=6000, **options):
    """Scenes of a large world, not drawn; where their spots lie is not yet known."""
    return module._sample_scenes(n, np.random.default_rng(0), **({"marker": False, "strength": module.MARKER_STRENGTH} | options))


def truth_of(scenes):
    nothing = np.zeros((len(scenes), 1, 1), np.int8)
    return module.FundusTruth(scenes, nothing, nothing, module._n_train(len(scenes)))


def changed(images, others):
    """Pixels that differ in any channel, (m, 96, 96)."""
    return (images != others).any(axis=1)


# --- pictures and grades --------------------------------------------------------------------------------------------


def test_pictures_have_the_stated_form(world):
    assert world.X.shape == (N, 3, 96, 96)
    assert world.X.dtype == np.float32
    assert world.X.min() >= 0
    assert world.X.max() <= 1
    np.testing.assert_array_equal(world.X, np.round(world.X * 255) / np.float32(255))


def test_half_are_healthy_and_a_quarter_of_each_other_grade_in_both_parts(world):
    for _, y in (world.train, world.test):
        np.testing.assert_array_equal(np.bincount(y, minlength=3), np.array([2, 1, 1]) * len(y) // 4)


def test_grade_follows_the_rule(world):
    truth = world.truth
    burden = np.array(
        [sum(1 if kind == 0 else 2 for kind in spots["kind"][spots["present"]]) for spots in truth.scenes["lesions"]]
    )
    np.testing.assert_array_equal(truth.burden, burden)
    np.testing.assert_array_equal(world.y, np.where(burden == 0, 0, np.where(burden < 6, 1, 2)))
    np.testing.assert_array_equal(truth.diseased, world.y > 0)
    np.testing.assert_array_equal(truth.background, truth.counts[: world.n_train])


@given(red=st.integers(0, 30), bright=st.integers(0, 30))
def test_oracle_counts(red, bright):
    posterior = truth_of(sampled(60)).predict([[red, bright]])[0]
    assert posterior.sum() == 1
    assert posterior.argmax() == (0 if red + bright == 0 else 1 if red + 2 * bright <= 5 else 2)


def test_oracle_is_always_right(world):
    truth = world.truth
    assert (truth.predict(truth.counts).argmax(axis=1) == world.y).mean() == truth.bayes_accuracy == 1


def test_all_counts_of_a_grade_occur_and_so_do_all_smaller_ones():
    counts = truth_of(sampled()).counts
    assert counts.max(axis=0).tolist() == [drawing.MAX_RED, drawing.MAX_BRIGHT]
    assert len(np.unique(counts, axis=0)) == (drawing.MAX_RED + 1) * (drawing.MAX_BRIGHT + 1)


def test_stated_share_of_lesions_is_faint():
    truth = truth_of(sampled(20_000))
    mild = truth.grades == 1
    expected = module.ONLY_FAINT_RATE + (1 - module.ONLY_FAINT_RATE) * module.FAINT_RATE
    severe_rate = truth.faint[truth.grades == 2].sum() / truth.present[truth.grades == 2].sum()
    assert severe_rate == pytest.approx(module.FAINT_RATE, abs=0.01)  # 5 standard errors
    assert truth.faint[mild].sum() / truth.present[mild].sum() == pytest.approx(expected, abs=0.03)
    assert module.ONLY_FAINT_RATE < truth.only_faint[mild].mean() < 0.4
    assert not truth.only_faint[truth.grades == 0].any()


# --- masks and interventions ----------------------------------------------------------------------------------------


def test_drawing_again_without_a_change_gives_the_same_pixels(world):
    np.testing.assert_array_equal(world.truth.render([0, 7, N - 1]), world.X[[0, 7, N - 1]])
    np.testing.assert_array_equal(world.truth.render(7), world.X[7])


def test_mask_is_what_changes_when_all_lesions_are_removed(world):
    different, mask = changed(world.truth.without(None), world.X), world.truth.mask()
    assert not (different & ~mask).any()
    assert (mask & ~different).sum() <= 0.005 * mask.sum()  # the edge of a faint spot may leave the rounded colour as it was


@every_sort
def test_mask_of_a_kind_is_what_changes_without_it(world, what):
    different, mask = changed(world.truth.without(None, what), world.X), world.truth.mask(what)
    assert mask.any()
    assert not (different & ~mask).any()
    assert (mask & ~different).sum() <= 0.02 * mask.sum()


def test_removing_one_lesion_changes_its_own_pixels_alone(world):
    for _, row in world.truth.lesions[::9].iterrows():
        picture, number = int(row["picture"]), int(row["lesion"])
        different = changed(world.truth.without([picture], number), world.X[[picture]])[0]
        mask = world.truth.lesion_masks(picture)[number]
        assert mask.sum() == row["pixels"] > 0
        assert not (different & ~mask).any()
        assert different.sum() >= 0.8 * mask.sum()


def test_lesions_are_where_and_as_large_as_the_table_says(world):
    table = world.truth.lesions
    assert len(table) == world.truth.present.sum()
    np.testing.assert_array_equal(table["faint"].sum(), world.truth.faint.sum())
    masks = world.truth.lesion_masks()[table["picture"], table["lesion"]]
    rows, columns = np.mgrid[:96, :96]
    centres = np.column_stack([(masks * grid).sum(axis=(1, 2)) / masks.sum(axis=(1, 2)) for grid in (columns, rows)])
    np.testing.assert_allclose(centres, table[["x", "y"]], atol=0.6)
    across = np.sqrt(table["pixels"] * 4 / np.pi).groupby([table["kind"], table["faint"]]).mean()
    assert 2 < across["red", True] < across["red", False] < 5
    assert 3 < across["bright", True] < across["bright", False] < 6.5


def test_masks_agree_with_each_other(world):
    truth = world.truth
    lesions = truth.mask()
    np.testing.assert_array_equal(truth.mask("red") | truth.mask("bright"), lesions)
    assert not (truth.mask("red") & truth.mask("bright")).any()
    assert not (truth.mask("faint") & ~lesions).any()
    np.testing.assert_array_equal(truth.lesion_masks().any(axis=1), lesions)
    assert not (truth.lesion_masks().sum(axis=1) > 1).any()
    np.testing.assert_array_equal(truth.lesion_masks().any(axis=(2, 3)), truth.present)
    np.testing.assert_array_equal(truth.mask("red", 3), truth.mask("red")[3])


def test_lesions_lie_on_the_retina_apart_from_each_other_and_from_what_is_harmless(world):
    truth, lesions = world.truth, world.truth.mask()
    for structure in ("disc", "distractors", "marker"):
        assert not (lesions & truth.mask(structure)).any()
    assert not (lesions & ~truth.mask("field")).any()
    assert (truth.mask("vessels") & lesions).sum() < 0.2 * lesions.sum()  # thin twigs at most
    for picture in range(N):  # no two touch, so that each can be counted
        assert label(lesions[picture], np.ones((3, 3)))[1] == truth.present[picture].sum()


def test_removing_distractors_changes_them_alone(world):
    different, mask = changed(world.truth.without(None, "distractors"), world.X), world.truth.mask("distractors")
    assert mask.any()
    assert not (different & ~mask).any()
    assert (mask & ~different).sum() <= 0.02 * mask.sum()


def test_an_eye_without_its_lesions_is_drawn_by_the_law_of_healthy_ones(world):
    """All but the lesions is the same record, and no other field of it knows the grade."""
    scenes = sampled()
    healthy, sick = scenes[scenes["lesions"]["present"].sum(axis=1) == 0], scenes[scenes["lesions"]["present"].sum(axis=1) > 0]
    for field in ("x", "y", "radius", "side", "disc", "disc_radius", "macula", "light", "vignette", "tint"):
        spread = scenes[field].std(axis=0) * np.sqrt(1 / len(healthy) + 1 / len(sick))
        assert (np.abs(healthy[field].mean(axis=0) - sick[field].mean(axis=0)) < 5 * spread).all(), field
    spots = healthy["distractors"]["present"].mean() - sick["distractors"]["present"].mean()
    assert abs(spots) < 5 * 0.5 * np.sqrt(4 / len(scenes) / drawing.N_DISTRACTORS)
    without = module._grade(truth_of(scenes[:1]).burden * 0)
    assert without == 0


def test_planted_lesions_change_a_healthy_eye_and_nothing_else(world):
    healthy = np.flatnonzero(world.y == 0)[:12]
    planted = world.truth.with_lesions(healthy, red=2, bright=1, faint=False)
    different = changed(planted, world.X[healthy])
    assert all(label(mask, np.ones((3, 3)))[1] == 3 for mask in different)
    red, blue = planted[:, 0] - world.X[healthy][:, 0], planted[:, 2] - world.X[healthy][:, 2]
    for i in range(len(healthy)):  # two spots get darker, one brighter
        spots, _ = label(different[i], np.ones((3, 3)))
        assert sorted(np.sign(red[i][spots == k].mean() + blue[i][spots == k].mean()) for k in (1, 2, 3)) == [-1, -1, 1]


def test_lesions_that_are_there_stay_when_others_are_planted(world):
    mild = np.flatnonzero(world.y == 1)[:5]
    different = changed(world.truth.with_lesions(mild, red=1), world.X[mild])
    assert different.any(axis=(1, 2)).all()
    assert not (different & world.truth.mask("lesions", mild)).any()


def test_faint_lesions_are_smaller_and_paler(world):
    healthy = np.flatnonzero(world.y == 0)[:20]
    loud, quiet = (world.truth.with_lesions(healthy, red=1, faint=faint) for faint in (False, True))
    fall = [(world.X[healthy] - planted).sum() for planted in (loud, quiet)]
    assert fall[0] > 2 * fall[1] > 0
    assert (changed(loud, world.X[healthy]).sum(axis=(1, 2)) >= changed(quiet, world.X[healthy]).sum(axis=(1, 2))).all()


def test_planting_too_many_is_refused(world):
    severe = int(np.flatnonzero(world.y == 2)[0])
    room = drawing.N_SLOTS - int(world.truth.present[severe].sum())
    world.truth.with_lesions(severe, red=room)
    with pytest.raises(ValueError, match=f"red and bright must add up to at most {room}"):
        world.truth.with_lesions(severe, red=room, bright=1)


@pytest.mark.parametrize("side", [-1, 1])
def test_vessels_start_at_the_disc_and_the_macula_lies_beyond_its_side(world, side):
    scenes, truth = world.truth.scenes, world.truth
    there = np.flatnonzero(scenes["side"] == side)
    assert len(there)
    assert (np.sign(scenes["macula"][there, 0] - scenes["disc"][there, 0]) == side).all()
    share = truth.mask("vessels", there) & truth.mask("disc", there)
    assert (share.sum(axis=(1, 2)) > 10).all()
    vessels = truth.mask("vessels").sum(axis=(1, 2)) / truth.mask("field").sum(axis=(1, 2))
    assert 0.05 < vessels.min() < vessels.max() < 0.45


def test_there_is_room_for_all_spots_on_any_retina():
    scenes = sampled(400)
    for scene in scenes:
        drawing.place_spots(scene, drawing.vessel_cover(scene))
    for name in ("lesions", "distractors"):
        assert (np.hypot(scenes[name]["x"] - scenes["x"][:, None], scenes[name]["y"] - scenes["y"][:, None]) < 42).all()


# --- the stamp, seeds and the cache ---------------------------------------------------------------------------------


def test_stamp_covers_its_corner_alone(world):
    marked = worlds.fundus(N, marker=True)
    with_it = np.flatnonzero(marked.truth.mask("marker").any(axis=(1, 2)))
    np.testing.assert_array_equal(with_it, np.flatnonzero(marked.truth.scenes["marker"]))
    rows, columns = np.nonzero(marked.truth.mask("marker").any(axis=0))
    assert rows.min() > 80
    assert columns.min() > 80
    assert not (marked.truth.mask("marker") & marked.truth.mask("field")).any()
    np.testing.assert_array_equal(marked.truth.with_marker(with_it, False), world.X[with_it])
    np.testing.assert_array_equal(world.truth.with_marker(with_it), marked.X[with_it])


@pytest.mark.parametrize("strength", [0.0, 0.5, 0.98, 1.0])
def test_stamp_goes_with_disease_at_its_strength(strength):
    scenes = sampled(marker=True, strength=strength)
    diseased, tolerance = truth_of(scenes).diseased, 5 * np.sqrt(0.25 / 3000)
    assert scenes["marker"][diseased].mean() == pytest.approx(strength, abs=tolerance)
    assert scenes["marker"][~diseased].mean() == pytest.approx(1 - strength, abs=tolerance)


def test_without_the_leak_nobody_is_stamped():
    assert not sampled()["marker"].any()


def test_same_seed_same_world_and_another_seed_another_world(world):
    again = worlds.fundus(N, random_state=np.random.default_rng(0))  # a generator is never read from the cache
    np.testing.assert_array_equal(again.X, world.X)
    np.testing.assert_array_equal(again.truth.labels, world.truth.labels)
    assert (worlds.fundus(40, random_state=1).X != worlds.fundus(40).X).any()


def test_second_call_reads_the_cache(monkeypatch, world):
    def refuse(scenes, **options):
        raise AssertionError("drawn again")

    monkeypatch.setattr(module, "_draw_all", refuse)
    np.testing.assert_array_equal(worlds.fundus(N).X, world.X)
    with pytest.raises(AssertionError, match="drawn again"):
        worlds.fundus(N + 1)


def test_cache_key_depends_on_every_setting():
    options = {"marker": False, "strength": 0.98}
    others = [options | {"marker": True}, options | {"strength": 0.5}]
    keys = [module._key(N, 0, options), module._key(N + 1, 0, options), module._key(N, 1, options)]
    assert len({*keys, *(module._key(N, 0, other) for other in others)}) == 5


def test_truth_can_not_be_changed(world):
    for array in (world.truth.bits, world.truth.labels):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    before = world.truth.counts.copy()
    world.truth.with_lesions(0, red=1)
    world.truth.without(None)
    np.testing.assert_array_equal(world.truth.present.sum(axis=1), before.sum(axis=1))


def test_card_states_the_rule_the_numbers_and_the_leak(world):
    card = world.card.replace("\n", " ")
    truth = world.truth
    assert "0 is healthy, 1 to 5 mild, 6 and more severe" in card
    assert "1 for every red dot, 2 for every bright spot" in card
    assert f"the first {world.n_train:,} are for training" in card
    assert f"{truth.only_faint.sum() / truth.diseased.sum():.1%} of the diseased eyes" in card
    assert f"{truth.only_faint[world.n_train :].sum()} of them among the held-out" in card
    area = np.median(truth.mask()[truth.diseased].sum(axis=(1, 2)))
    assert f"cover {area:.0f} pixels in the median, {area / 9216:.2%} of the picture" in card
    for kind in truth.kinds:
        pixels = truth.lesions.query("kind == @kind")["pixels"].median()
        assert f"| {pixels:.0f} |" in next(line for line in world.card.splitlines() if line.startswith(f"| {kind} "))
    assert "the corner is empty" in card
    assert "with probability 0.9, healthy ones with probability 0.1" in worlds.fundus(40, marker=True, marker_strength=0.9).card
