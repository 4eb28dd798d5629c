"""The algebra of the joint, votes and outcomes against brute force, and tuning that moves the prompt tokens and nothing else."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax

from xailib import ecor
from xailib.ecor import FACTORISATIONS, OUTCOMES, Beliefs, Templates, TopPairs, beliefs, from_scores, outcomes, tune, vote
from xailib.text import Vocabulary
from xailib.zoo.two_towers import TinyCLIP

PETS = ecor.rationales(
    {"cat": ["whiskers", "soft fur", "pointed ears"], "dog": ["hanging ears", "soft fur"], "frog": ["webbed feet"]},
    extra=["a propeller"],
)
C, R = len(PETS.categories), len(PETS.rationales)
IMAGES = np.random.default_rng(0).random((8, 3, 64, 64)).astype(np.float32)
Y = np.array([0, 1, 2, 0, 1, 2, 0, 1])
REASONS = np.array([0, 3, 4, 1, 1, 4, 2, 3])


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def towers(seed: int = 0) -> TinyCLIP:
    sentences = [
        text for name in FACTORISATIONS for texts in ecor.prompts(PETS, factorisation=name).values() for text in texts.flat
    ]
    words = sorted({word.strip(".").lower() for text in sentences for word in text.split()})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        small = {"width": 12, "n_blocks": 2, "n_heads": 2, "text_width": 8, "text_blocks": 1, "text_heads": 2, "embedding": 8}
        return TinyCLIP(Vocabulary(["<pad>", "<unk>", "<end>", *words]), 24, **small).eval()


TOWERS = towers()


def tables(rng: np.random.Generator, n: int = 6, scale: float = 2.0) -> dict[str, np.ndarray]:
    pair = {name: scale * rng.normal(size=(n, C, R)) for name in ("pair", "reversed", "with_rationale")}
    return {"rationale": scale * rng.normal(size=(n, R)), "category": scale * rng.normal(size=(n, C)), **pair}


SCORES = tables(np.random.default_rng(1))


# --- the joint ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FACTORISATIONS)
def test_every_joint_sums_to_one_and_is_the_product_of_its_factors(name):
    believed = beliefs(TOWERS, IMAGES, PETS, factorisation=name)
    assert believed.joint.shape == (8, C, R)
    assert (believed.joint > 0).all()
    np.testing.assert_allclose(believed.joint.sum(axis=(1, 2)), 1, atol=1e-12)
    product = np.ones_like(believed.joint)
    for symbol, factor in believed.factors.items():
        product = product * {"P(r|I)": factor[:, None], "P(c|I)": factor[..., None]}.get(symbol, factor)
    np.testing.assert_allclose(believed.joint, product, atol=1e-14)


def test_rationale_first_marginalises_to_the_rationale_factor_and_category_first_to_the_category_factor():
    for name in ("ecor", "false conditioning", "with", "plain", "independence"):
        believed = from_scores(SCORES, PETS, factorisation=name)
        np.testing.assert_allclose(believed.rationale, believed.factors["P(r|I)"], atol=1e-12)
        np.testing.assert_allclose(believed.rationale, softmax(SCORES["rationale"], axis=1), atol=1e-12)
    for name in ("category-first", "independence"):
        believed = from_scores(SCORES, PETS, factorisation=name)
        np.testing.assert_allclose(believed.category, softmax(SCORES["category"], axis=1), atol=1e-12)
    dror = from_scores(SCORES, PETS, factorisation="dror")
    assert np.abs(dror.rationale - softmax(SCORES["rationale"], axis=1)).max() > 0.1


def test_the_second_softmax_runs_over_categories_for_each_rationale_alone():
    second = from_scores(SCORES, PETS).factors["P(c|r,I)"]
    np.testing.assert_allclose(second.sum(axis=1), 1, atol=1e-12)
    assert np.abs(second.sum(axis=2) - 1).max() > 0.1
    other = from_scores(SCORES, PETS, factorisation="category-first").factors["P(r|c,I)"]
    np.testing.assert_allclose(other.sum(axis=2), 1, atol=1e-12)
    np.testing.assert_allclose(
        from_scores(SCORES, PETS, factorisation="dror").joint, softmax(SCORES["pair"], axis=(1, 2)), atol=1e-12
    )


def test_scores_that_follow_the_chain_rule_give_one_joint_in_both_orders():
    """Either order can write down any joint: with the right scores nothing is left of the difference."""
    joint = np.random.default_rng(2).dirichlet(np.ones(C * R), size=4).reshape(4, C, R)
    scores = {"rationale": np.log(joint.sum(axis=1)), "category": np.log(joint.sum(axis=2)), "pair": np.log(joint)}
    for name in ("ecor", "category-first", "dror"):
        np.testing.assert_allclose(from_scores(scores, PETS, factorisation=name).joint, joint, atol=1e-12)
    assert np.abs(from_scores(scores, PETS, factorisation="independence").joint - joint).max() > 0.02


def test_ecor_is_dror_with_another_marginal():
    """A softmax over all pairs, restricted to one rationale, is the softmax over its categories."""
    dror, first = from_scores(SCORES, PETS, factorisation="dror"), from_scores(SCORES, PETS, factorisation="category-first")
    given_r = dror.joint / dror.joint.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(from_scores(SCORES, PETS).factors["P(c|r,I)"], given_r, atol=1e-12)
    np.testing.assert_allclose(first.factors["P(r|c,I)"], dror.joint / dror.joint.sum(axis=2, keepdims=True), atol=1e-12)


def test_plain_and_independence_are_one_formula_under_two_names():
    plain, independent = (beliefs(TOWERS, IMAGES, PETS, factorisation=name).joint for name in ("plain", "independence"))
    np.testing.assert_array_equal(plain, independent)
    assert np.abs(plain - beliefs(TOWERS, IMAGES, PETS, factorisation="with").joint).max() > 1e-4


def test_a_shift_of_all_scores_of_one_softmax_changes_nothing():
    shifted = {**SCORES, "pair": SCORES["pair"] + np.arange(R), "rationale": SCORES["rationale"] + 3}
    np.testing.assert_allclose(from_scores(shifted, PETS).joint, from_scores(SCORES, PETS).joint, atol=1e-12)
    changed = from_scores(shifted, PETS, factorisation="dror").joint
    assert np.abs(changed - from_scores(SCORES, PETS, factorisation="dror").joint).max() > 0.1


def test_beliefs_are_scale_times_cosine_of_the_towers():
    images, sentences = torch.tensor(IMAGES), ecor.prompts(PETS)
    with torch.no_grad():
        v = TOWERS.encode_image(images).double().numpy()
        r = TOWERS.encode_text(sentences["rationale"]).double().numpy()
        pair = TOWERS.encode_text(sentences["pair"].ravel()).double().numpy().reshape(C, R, -1)
    scores = {"rationale": TOWERS.logit_scale * v @ r.T, "pair": TOWERS.logit_scale * np.einsum("ne,cre->ncr", v, pair)}
    expected = from_scores(scores, PETS).joint
    np.testing.assert_allclose(beliefs(TOWERS, IMAGES, PETS, batch_size=3).joint, expected, rtol=1e-5)


def test_pictures_and_candidates_keep_their_places():
    believed = beliefs(TOWERS, IMAGES, PETS).joint
    np.testing.assert_allclose(beliefs(TOWERS, IMAGES[::-1], PETS).joint, believed[::-1], atol=1e-6)
    turned = ecor.rationales({c: PETS.of(c) for c in PETS.categories[::-1]}, extra=["a propeller"])
    order = [PETS.number(r) for r in turned.rationales]
    np.testing.assert_allclose(beliefs(TOWERS, IMAGES, turned).joint, believed[:, ::-1][:, :, order], atol=1e-6)


CHANGES = {
    "rationale": ("I see {r}.", {"ecor", "independence", "false conditioning", "plain", "with"}),
    "category": ("A {c}.", {"independence", "category-first", "plain"}),
    "pair": ("{c} because of {r}", {"ecor", "dror", "category-first"}),
    "reversed": ("{r} because of {c}", {"false conditioning"}),
    "with_rationale": ("{c} with {r}", {"with"}),
}


@pytest.mark.parametrize("field", CHANGES)
def test_a_template_changes_the_factorisations_that_ask_with_it_and_no_other(field):
    sentence, users = CHANGES[field]
    changed = replace(Templates(), **{field: sentence})
    for name in FACTORISATIONS:
        before = beliefs(TOWERS, IMAGES[:2], PETS, factorisation=name)
        after = beliefs(TOWERS, IMAGES[:2], PETS, factorisation=name, templates=changed)
        differs = {symbol for symbol, factor in after.factors.items() if not np.array_equal(factor, before.factors[symbol])}
        assert bool(differs) == (name in users), name
        assert len(differs) <= 1, "one template belongs to one factor"


def test_sentences_are_the_templates_filled():
    sentences = ecor.prompts(PETS, factorisation="false conditioning")
    assert sentences["rationale"].tolist() == [f"There is {r}." for r in PETS.rationales]
    assert sentences["reversed"][1, 0] == "There is whiskers because this is a photo of a dog."
    assert set(ecor.prompts(PETS, factorisation="dror")) == {"pair"}


def test_prompt_tokens_change_the_answer_and_arrays_do_as_well_as_tensors():
    tokens = np.random.default_rng(0).normal(size=(3, TOWERS.width)).astype(np.float32)
    plain, prompted = beliefs(TOWERS, IMAGES, PETS), beliefs(TOWERS, IMAGES, PETS, prompt={0: tokens})
    assert np.abs(plain.joint - prompted.joint).max() > 1e-4
    np.testing.assert_array_equal(prompted.joint, beliefs(TOWERS, IMAGES, PETS, prompt={0: torch.tensor(tokens)}).joint)


# --- pairs and votes ------------------------------------------------------------------------------------------------


def of_joint(joint: np.ndarray, n_categories: int = C, n_rationales: int = R) -> Beliefs:
    candidates = ecor.rationales({f"category {c}": [f"rationale {r}" for r in range(n_rationales)] for c in range(n_categories)})
    return Beliefs(joint, {"P(c,r|I)": joint}, candidates, "dror")


#: few different values, so that ties are frequent; eighths, so that sums are exact
JOINTS = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(0, 10_000)).map(
    lambda s: np.random.default_rng(s[2]).integers(0, 4, (3, s[0], s[1])) / 8.0
)


@settings(deadline=None, max_examples=50)
@given(JOINTS, st.data())
def test_pairs_and_vote_equal_brute_force(joint, data):
    _, n_categories, n_rationales = joint.shape
    k = data.draw(st.integers(1, n_categories * n_rationales))
    pairs = of_joint(joint, n_categories, n_rationales).top_pairs(k)
    voted = vote(pairs)
    for i in range(len(joint)):
        everything = sorted(itertools.product(range(n_categories), range(n_rationales)), key=lambda cr: (-joint[i][cr], cr))
        assert list(zip(pairs.category[i], pairs.rationale[i], strict=True)) == everything[:k]
        np.testing.assert_array_equal(pairs.probability[i], [joint[i][cr] for cr in everything[:k]])
        named = {c for c, _ in everything[:k]}
        own = {c: [joint[i][cr] for cr in everything[:k] if cr[0] == c] for c in named}
        assert voted[i] == min(named, key=lambda c: (-len(own[c]), -sum(own[c]), c))


def test_a_tie_goes_to_the_larger_sum_and_then_to_the_smaller_number():
    joint = np.array([[[0.3, 0.0], [0.2, 0.2]], [[0.0, 0.3], [0.3, 0.0]], [[0.2, 0.1], [0.4, 0.3]]])
    believed = of_joint(joint, 2, 2)
    assert believed.vote(3).tolist() == [1, 0, 1]
    assert believed.vote(2).tolist() == [0, 0, 1]
    assert of_joint(np.array([[[0.1, 0.3], [0.3, 0.3]]]), 2, 2).vote(4).tolist() == [1]


def test_a_beam_is_exact_when_what_it_leaves_out_is_too_small():
    believed = from_scores(tables(np.random.default_rng(3), n=200), PETS)
    whole = believed.top_pairs(3)
    first = np.sort(believed.factors["P(r|I)"], axis=1)[:, ::-1]
    for beam in (1, 2, R):
        cut = believed.top_pairs(3, beam=beam)
        same = (cut.category == whole.category).all(axis=1) & (cut.rationale == whole.rationale).all(axis=1)
        left_out = first[:, beam] if beam < R else np.zeros(200)
        sure = left_out < cut.probability[:, -1]
        assert same[sure].all()
        assert beam == R or not same.all()
        assert sure.any()


def test_a_beam_keeps_the_best_of_the_first_factor():
    for name, axis in (("ecor", "rationale"), ("category-first", "category")):
        believed = from_scores(SCORES, PETS, factorisation=name)
        pairs = believed.top_pairs(3, beam=1)
        best = next(iter(believed.factors.values())).argmax(axis=1)
        np.testing.assert_array_equal(getattr(pairs, axis), np.repeat(best[:, None], 3, axis=1))


def test_rationales_chosen_each_on_its_own():
    believed = from_scores(SCORES, PETS)
    np.testing.assert_array_equal(believed.top_rationales(R), np.argsort(-softmax(SCORES["rationale"], axis=1), axis=1))


# --- outcomes -------------------------------------------------------------------------------------------------------


def by_hand(pairs: TopPairs, i: int, y: int, true: set[int], wrong_pair: str) -> str:
    listed = list(zip(pairs.category[i], pairs.rationale[i], strict=True))
    voted = vote(pairs)[i]
    if voted == y:
        return "RR" if any(c == y and r in true for c, r in listed) else "RW"
    return "WR" if any(r in true and (wrong_pair == "any" or c == voted) for c, r in listed) else "WW"


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.sampled_from(["predicted", "any"]), st.booleans())
def test_outcomes_equal_brute_force_and_partition_the_pictures(seed, wrong_pair, several):
    rng = np.random.default_rng(seed)
    believed = from_scores(tables(rng, n=12), PETS)
    y, r = rng.integers(C, size=12), rng.integers(R, size=12)
    truth = (rng.random((12, R)) < 0.3) | (r[:, None] == np.arange(R))
    k = int(rng.integers(1, 8))
    words = outcomes(believed, y, truth if several else r, k=k, wrong_pair=wrong_pair)
    pairs = believed.top_pairs(k)
    own = [set(np.flatnonzero(row)) for row in truth] if several else [{j} for j in r]
    assert words.tolist() == [by_hand(pairs, i, y[i], own[i], wrong_pair) for i in range(12)]
    np.testing.assert_array_equal(words, outcomes(pairs, y, truth if several else r, wrong_pair=wrong_pair))
    shares = ecor.shares(words)
    assert list(shares.index) == list(OUTCOMES)
    assert shares.sum() == pytest.approx(1)
    assert shares["RR"] + shares["RW"] == pytest.approx((vote(pairs) == y).mean())


def test_a_true_rationale_with_another_wrong_category_counts_only_where_any_pair_does():
    joint = np.zeros((1, C, R))
    joint[0, 0, 1], joint[0, 0, 2], joint[0, 1, 0] = 0.4, 0.3, 0.2
    believed = of_joint(joint)
    assert outcomes(believed, [2], [0], k=3).tolist() == ["WW"]
    assert outcomes(believed, [2], [0], k=3, wrong_pair="any").tolist() == ["WR"]
    assert outcomes(believed, [2], [1], k=3).tolist() == ["WR"]


def first_hit_by_hand(pairs: TopPairs, i: int, y: int, r: int) -> int:
    votes: Counter[int] = Counter()
    for c, reason in zip(pairs.category[i], pairs.rationale[i], strict=True):
        votes[int(c)] += 1
        if (c, reason) == (y, r):
            break
    return max(votes, key=lambda c: votes[c])  # the first of the largest, in the order of naming


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
def test_first_hit_is_the_count_of_the_benchmark(seed):
    rng = np.random.default_rng(seed)
    pairs = from_scores(tables(rng, n=10), PETS).top_pairs(5)
    y, r = rng.integers(C, size=10), rng.integers(R, size=10)
    words = outcomes(pairs, y, r, counting="first hit")
    right = [word[0] == "R" for word in words]
    assert right == [first_hit_by_hand(pairs, i, y[i], r[i]) == y[i] for i in range(10)]


def test_stopping_at_the_first_hit_inflates():
    joint = np.zeros((1, C, R))
    joint[0, 0, 0], joint[0, 1, 1], joint[0, 1, 2] = 0.5, 0.3, 0.2  # the first pair is right, two others outvote it
    believed = of_joint(joint)
    assert outcomes(believed, [0], [0], k=3).tolist() == ["WW"]
    assert outcomes(believed, [0], [0], k=3, counting="first hit").tolist() == ["RR"]
    rng = np.random.default_rng(0)
    pairs, y, r = from_scores(tables(rng, n=3000), PETS).top_pairs(5), rng.integers(C, size=3000), rng.integers(R, size=3000)
    honest, benchmark = (ecor.shares(outcomes(pairs, y, r, counting=c))["RR"] for c in ("all", "first hit"))
    assert benchmark > honest + 0.005


def test_stopping_at_the_first_hit_can_also_cost():
    joint = np.zeros((1, C, R))
    joint[0, 1, 0], joint[0, 1, 1] = 0.3, 0.25
    joint[0, 0, 0], joint[0, 0, 1], joint[0, 0, 2] = 0.2, 0.15, 0.1  # the hit is third, and two more votes follow it
    assert outcomes(of_joint(joint), [0], [0]).tolist() == ["RR"]
    assert outcomes(of_joint(joint), [0], [0], counting="first hit").tolist() == ["WR"]


def test_substrings_inflate_and_never_deflate():
    candidates = ecor.rationales({"cup": ["wings", "a handle"], "porcupine": ["two wings", "spines"]})
    joint = np.zeros((2, 2, 4))
    joint[:, 1, candidates.number("two wings")] = 0.9  # "porcupine because there is two wings"
    believed = Beliefs(joint, {"P(c,r|I)": joint}, candidates, "dror")
    wings = candidates.number("wings")
    assert outcomes(believed, [0, 1], [wings, wings], k=1).tolist() == ["WW", "RW"]
    assert outcomes(believed, [0, 1], [wings, wings], k=1, matching="substring").tolist() == ["RR", "RR"]
    rng = np.random.default_rng(1)
    believed = from_scores(
        {"rationale": rng.normal(size=(300, 4)), "pair": rng.normal(size=(300, 2, 4))}, candidates, factorisation="ecor"
    )
    y, r = rng.integers(2, size=300), rng.integers(4, size=300)
    exact, loose = (outcomes(believed, y, r, k=2, matching=m) for m in ("exact", "substring"))
    assert set(loose[exact == "RR"]) == {"RR"}
    assert ecor.shares(loose)["RR"] > ecor.shares(exact)["RR"] + 0.02


# --- tuning ---------------------------------------------------------------------------------------------------------


def fast(**more):
    return tune(TOWERS, IMAGES, Y, REASONS, PETS, **{"epochs": 3, "batch_size": 3, "n_tokens": 2, **more})


def test_gradients_reach_only_the_prompt_tokens_and_the_towers_stay_as_they_were():
    own = towers().train()
    own.image.requires_grad_(False)
    before = {name: value.clone() for name, value in own.state_dict().items()}
    wanted = {name: p.requires_grad for name, p in own.named_parameters()}
    tuned = tune(own, IMAGES, Y, REASONS, PETS, epochs=2, blocks="deep", n_tokens=2)
    assert all(torch.equal(value, before[name]) for name, value in own.state_dict().items())
    assert all(p.grad is None for p in own.parameters())
    assert {name: p.requires_grad for name, p in own.named_parameters()} == wanted
    assert own.training
    start = np.random.default_rng(0)
    ecor._held_out(len(IMAGES), 0.2, start)
    initial = start.normal(0, ecor.INITIAL_SPREAD, (2, 2, own.width))
    moved = [np.abs(tuned.prompt[b].numpy() - initial[b]).max() for b in (0, 1)]
    assert min(moved) > 1e-4
    assert not any(tokens.requires_grad for tokens in tuned.prompt.values())


def test_same_seed_same_tokens_another_seed_others():
    first, again, other = fast(), fast(), fast(random_state=1)
    assert torch.equal(first.prompt[0], again.prompt[0])
    assert not torch.equal(first.prompt[0], other.prompt[0])
    assert first.history.equals(again.history)


def test_a_training_that_was_killed_goes_on_and_ends_with_the_same_tokens(tmp_path, monkeypatch):
    whole = fast(epochs=4)
    path = tmp_path / "state.safetensors"
    original, calls = ecor.TrainingRun.one_epoch, []

    def killed(run, epoch):
        calls.append(epoch)
        if calls == [0, 1, 2]:
            raise KeyboardInterrupt
        original(run, epoch)

    monkeypatch.setattr(ecor.TrainingRun, "one_epoch", killed)
    with pytest.raises(KeyboardInterrupt):
        fast(epochs=4, path=path)
    resumed = fast(epochs=4, path=path)
    assert calls == [0, 1, 2, 2, 3]
    assert torch.equal(resumed.prompt[0], whole.prompt[0])
    assert resumed.history.equals(whole.history)
    fast(epochs=4, path=path)
    assert len(calls) == 5  # finished: nothing to do
    fast(epochs=4, path=path, learning_rate=0.02)
    assert calls[5:] == [0, 1, 2, 3]  # another training starts anew


def test_the_best_epoch_comes_back_and_patience_ends_the_rest():
    tuned = fast(epochs=40, learning_rate=3.0, patience=3)
    losses = tuned.history["validation_loss"]
    assert tuned.best_epoch == losses.argmin()
    assert len(losses) - 1 == min(tuned.best_epoch + 3, 40)
    held_out = ecor._held_out(len(IMAGES), 0.2, np.random.default_rng(0))
    believed = beliefs(TOWERS, IMAGES[held_out], PETS, prompt=tuned.prompt)
    own = believed.joint[np.arange(held_out.sum()), Y[held_out], REASONS[held_out]]
    assert -np.log(own).mean() == pytest.approx(losses.min(), rel=1e-4)


@pytest.mark.parametrize("name", FACTORISATIONS)
@pytest.mark.parametrize("several", [False, True])
def test_the_loss_is_minus_the_log_of_the_joint_at_the_labelled_pair(name, several):
    truth = (REASONS[:, None] == np.arange(R)) | ((np.arange(R) == 5) & several)
    tuned = fast(epochs=1, factorisation=name, validation_share=0.5, batch_size=8)
    held_out = ecor._held_out(8, 0.5, np.random.default_rng(0))
    tuned = tune(
        TOWERS, IMAGES, Y, truth if several else REASONS, PETS, factorisation=name, epochs=1, n_tokens=2, validation_share=0.5
    )
    start = np.random.default_rng(0)
    ecor._held_out(8, 0.5, start)
    prompt = {0: start.normal(0, ecor.INITIAL_SPREAD, (1, 2, TOWERS.width))[0]}
    log_joint = np.log(beliefs(TOWERS, IMAGES, PETS, factorisation=name, prompt=prompt).joint)
    own = np.array([log_joint[i, Y[i]][truth[i]].mean() for i in range(8)])
    assert tuned.history["validation_loss"].iloc[0] == pytest.approx(-own[held_out].mean(), rel=1e-4)
    assert tuned.history["training_loss"].iloc[1] == pytest.approx(-own[~held_out].mean(), rel=1e-4)


def test_the_contrastive_loss_against_the_sentences_of_the_batch():
    """By hand, for the plain joint: pictures to distinct sentences and back, equal sentences equally right."""
    tuned = fast(epochs=1, loss="in batch", factorisation="plain", validation_share=0.25, batch_size=8)
    start = np.random.default_rng(0)
    kept = ~ecor._held_out(8, 0.25, start)
    prompt = {0: torch.tensor(start.normal(0, ecor.INITIAL_SPREAD, (1, 2, TOWERS.width))[0], dtype=torch.float32)}
    with torch.no_grad():
        v = TOWERS.encode_image(torch.tensor(IMAGES[kept]), prompt).double().numpy()
    total = 0.0
    for name, numbers in (("rationale", REASONS[kept]), ("category", Y[kept])):
        present = np.unique(numbers)
        with torch.no_grad():
            t = TOWERS.encode_text(ecor.prompts(PETS, factorisation="plain")[name][present]).double().numpy()
        scores, own = TOWERS.logit_scale * v @ t.T, numbers[:, None] == present
        forth = -log_softmax(scores, axis=1)[own].mean()
        back = -np.mean([log_softmax(column)[mine].mean() for column, mine in zip(scores.T, own.T, strict=True)])
        total += (forth + back) / 2
    assert tuned.history["training_loss"].iloc[1] == pytest.approx(total, rel=1e-4)


def test_tuning_finds_what_the_towers_can_tell_apart():
    """Bright and dark pictures, and towers that were never trained: a few tokens and a steep softmax are enough."""
    own = towers()
    own.log_scale.data.fill_(np.log(100))
    rng = np.random.default_rng(0)
    y = np.arange(48) % 2
    images = (rng.random((48, 3, 64, 64)) * 0.3 + 0.7 * y[:, None, None, None]).astype(np.float32)
    r = np.where(y == 1, 3, 0)
    tuned = tune(own, images, y, r, PETS, epochs=25, blocks="deep", learning_rate=0.1, patience=25)
    before, after = (beliefs(own, images, PETS, prompt=p) for p in (None, tuned.prompt))
    gained = np.log(after.joint[np.arange(48), y, r]) - np.log(before.joint[np.arange(48), y, r])
    assert gained.mean() > 0.5
    assert tuned.history["validation_loss"].min() < tuned.history["validation_loss"].iloc[0] - 0.3


# --- candidates -----------------------------------------------------------------------------------------------------


def test_the_cifar10_list_is_in_the_form_of_the_benchmark():
    assert len(ecor.CIFAR10) == 10
    assert all(5 <= len(set(texts)) == len(texts) <= 7 for texts in ecor.CIFAR10.values())
    listed = ecor.rationales(ecor.CIFAR10).listed
    assert (listed.sum(axis=0) > 1).sum() >= 5, "sharing is what makes P(c|r,I) worth asking"
    assert (listed.sum(axis=1) == [len(texts) for texts in ecor.CIFAR10.values()]).all()


def test_the_benchmarks_files_are_read(tmp_path):
    path = tmp_path / "animals.json"
    path.write_text(json.dumps({"cat": ["whiskers", "fur"], "leopard": [], "dog": ["fur"]}))
    kept = ecor.read_rationales(path, leave_out_empty=True)
    assert kept.categories == ("cat", "dog")
    assert kept.rationales == ("whiskers", "fur")
    assert kept.to_frame().to_numpy().tolist() == [[True, True], [False, True]]
    with pytest.raises(ValueError, match=r"categories without rationales, leopard"):
        ecor.read_rationales(path)


def test_candidates_know_their_numbers_and_can_not_be_changed():
    assert PETS.of("dog") == PETS.of(1) == ["soft fur", "hanging ears"]
    assert PETS.number("a propeller") == R - 1
    assert not PETS.listed[:, -1].any()
    with pytest.raises(ValueError, match="read-only"):
        PETS.listed[0, 0] = False


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: ecor.rationales({"cat": ["fur"], "dog": []}), r"categories without rationales, dog: give each at least one"),
        (lambda: ecor.rationales({}), r"lists is empty: give at least one category"),
        (lambda: Templates(pair="This is a photo of a {c}."), r"pair must be a template whose fields are \{c\}, \{r\}"),
        (lambda: Templates(rationale="There is something."), r"rationale must be a template whose fields are \{r\}"),
        (lambda: Templates(category="A {c} in {place}."), r"category must be a template whose fields are \{c\}"),
        (lambda: Templates(pair="{c} {r} {"), r"pair must be a template"),
        (lambda: Templates(pair=None), r"pair must be a template"),
    ],
    ids=["empty category", "no categories", "field missing", "no field", "unknown field", "open brace", "nothing"],
)
def test_a_list_or_template_that_lacks_something_is_refused_in_a_sentence(make, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence) as error:
        make()
    assert str(error.value).endswith(".")


def test_results_introduce_themselves():
    believed = beliefs(TOWERS, IMAGES, PETS)
    assert repr(PETS) == "Rationales(3 categories, 6 rationales, 1 of them shared)"
    assert repr(believed) == "Beliefs(ecor: P(r|I) * P(c|r,I); 8 pictures, 3 categories, 6 rationales)"
    assert repr(believed.top_pairs(2)).startswith("TopPairs(8 pictures, 2 pairs each; first: ")
    assert list(believed.top_pairs(2).to_frame(1)) == ["category", "rationale", "probability"]
    tuned = fast(blocks="deep")
    assert tuned.n_parameters == 2 * 2 * TOWERS.width
    assert repr(tuned).startswith("Tuned(ecor; 2 tokens at blocks 0, 1, 48 numbers; validation loss")
