"""Loaders of real data: what the cards say is true, splits are seeded, files are found where they should be."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import tarfile
import zipfile
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pandas as pd
import pytest
import sklearn.datasets

from xailib.worlds import _download, real

SHARED = Path(__file__).parents[2] / "shared" / "datasets"
OFFLINE = {
    "breast_cancer": (569, 30, 2),
    "diabetes": (442, 10, 1),
    "wine": (178, 13, 3),
}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XAILIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("XAILIB_DATA", raising=False)


@pytest.fixture
def shared(monkeypatch):
    if not SHARED.is_dir():
        pytest.skip(f"the larger real data are not at {SHARED}")
    monkeypatch.setenv("XAILIB_DATA", str(SHARED))
    return SHARED


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder of one's own for small made-up files in the official formats."""
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.setenv("XAILIB_DATA", str(folder))
    return folder


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("tried to download")

    monkeypatch.setattr(_download, "_fetch_and_check", refuse)


# --- what ships with scikit-learn and scikit-image


@pytest.mark.parametrize(("name", "shape"), OFFLINE.items())
def test_offline_tables(name, shape):
    n_rows, n_columns, n_targets = shape
    dataset = getattr(real, name)()
    source = getattr(sklearn.datasets, f"load_{name}")()
    assert dataset.X.shape == (n_rows, n_columns)
    assert len(dataset.target_names) == n_targets
    assert np.isfinite(dataset.X.to_numpy()).all()
    assert all(column.isidentifier() and column == column.lower() for column in dataset.feature_names)
    np.testing.assert_array_equal(np.sort(dataset.y), np.sort(source.target))
    assert f"{n_rows}" in dataset.card


def test_table_rows_stay_with_their_targets():
    source = sklearn.datasets.load_diabetes(scaled=False)
    expected = {(*row, target) for row, target in zip(source.data, source.target, strict=True)}
    dataset = real.diabetes()
    assert {(*row, target) for row, target in zip(dataset.X.to_numpy(), dataset.y, strict=True)} == expected


def test_digits_are_scikit_learns_in_unit_interval():
    dataset = real.digits()
    source = sklearn.datasets.load_digits()
    expected = {
        (image.tobytes(), label) for image, label in zip((source.data / 16).astype(np.float32), source.target, strict=True)
    }
    assert {(image.tobytes(), label) for image, label in zip(dataset.X, dataset.y, strict=True)} == expected
    assert (dataset.X.min(), dataset.X.max(), dataset.X.dtype) == (0, 1, np.float32)


@pytest.mark.parametrize("name", ["breast_cancer", "wine", "digits"])
def test_split_is_seeded_and_keeps_class_shares(name):
    load = getattr(real, name)
    a, again, other = load(test_size=0.4), load(test_size=0.4), load(test_size=0.4, random_state=1)
    np.testing.assert_array_equal(a.y, again.y)
    assert (a.y != other.y).any()
    (_, y_train), (X_test, y_test) = a.train, a.test
    assert len(y_test) == len(X_test) == len(a.y) - a.n_train == np.ceil(0.4 * len(a.y))
    shares = np.bincount(y_train) / len(y_train) - np.bincount(y_test) / len(y_test)
    assert np.abs(shares).max() < 0.02


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"test_size": 0}, "test_size"), ({"test_size": "1"}, "test_size"), ({"random_state": -1}, "random_state")],
)
def test_bad_split_is_refused_before_anything_is_loaded(own, no_network, arguments, message):
    for load in (real.wine, real.california_housing, real.mnist, real.docstrings, real.sms_spam):
        with pytest.raises((TypeError, ValueError), match=message):
            load(**arguments)


@pytest.mark.parametrize("name", sorted(real._PHOTOGRAPHS))
def test_photographs_need_no_network(name, monkeypatch):
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a photograph was downloaded"))
    image = real.photograph(name)
    assert image.dtype == np.float32
    assert image.shape[0] == 3
    assert image.min() >= 0
    assert 0.8 < image.max() <= 1


def test_photograph_square_is_the_centre():
    image, square = real.photograph("coffee"), real.photograph("coffee", size_pixels=400)
    np.testing.assert_allclose(square, image[:, :, 100:500], atol=1e-6)
    small = real.photograph("coffee", size_pixels=20)
    np.testing.assert_allclose(small.mean((1, 2)), square.mean((1, 2)), atol=0.01)


def test_unknown_photograph_lists_what_there_is():
    with pytest.raises(ValueError, match="'astronaut', 'chelsea', 'china'"):
        real.photograph("dog")


def test_dataset_is_frozen_and_readable():
    dataset = real.wine()
    with pytest.raises(AttributeError):
        dataset.name = "beer"
    assert repr(dataset) == "Dataset(wine: X (178, 13), 133 rows for training; y: grower 0, grower 1, grower 2)"
    assert dataset.card.startswith("# Wine recognition\n")
    assert real.digits().feature_names == []


# --- the larger ones, from a folder laid out like ours


def test_mnist(shared, no_network, tmp_path):
    from xailib._torchvision import torchvision

    dataset = real.mnist()
    assert (dataset.X.shape, dataset.X.dtype, dataset.n_train) == ((10_000, 1, 28, 28), np.float32, 7_500)
    unpacked = tmp_path / "images"  # torchvision's reader wants the file unpacked
    unpacked.write_bytes(gzip.decompress((shared / "mnist" / "t10k-images-idx3-ubyte.gz").read_bytes()))
    theirs = torchvision().datasets.mnist.read_image_file(str(unpacked)).numpy()
    ours = np.rint(dataset.X[:, 0] * 255).astype(np.uint8)
    assert sorted(map(bytes, ours)) == sorted(map(bytes, theirs))
    assert np.bincount(dataset.y).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_mnist_images_stay_with_their_labels(shared):
    from sklearn.neighbors import KNeighborsClassifier

    (X, y), (X_test, y_test) = [(X.reshape(len(X), -1), y) for X, y in (real.mnist().train, real.mnist().test)]
    assert KNeighborsClassifier(1).fit(X[:2000], y[:2000]).score(X_test, y_test) > 0.85


def test_cifar10_sample(shared, no_network):
    dataset = real.cifar10()
    assert (dataset.X.shape, dataset.X.dtype, dataset.n_train) == ((12_000, 3, 32, 32), np.float32, 10_000)
    assert np.bincount(dataset.test[1]).tolist() == [200] * 10
    assert np.bincount(dataset.train[1]).tolist() == [1000] * 10
    with np.load(shared / "cifar10" / "cifar10-12k.npz") as stored:
        assert tuple(stored["classes"]) == dataset.target_names
        planes = np.moveaxis(stored["x_test"][stored["y_test"] == 0], -1, 1) / 255
    X, y = dataset.test
    np.testing.assert_allclose(np.sort(X[y == 0].mean((1, 2, 3))), np.sort(planes.mean((1, 2, 3))), atol=1e-5)
    np.testing.assert_allclose(X[y == 0].mean((0, 2, 3)), planes.mean((0, 2, 3)), atol=1e-5)
    assert (real.cifar10(random_state=1).y != dataset.y).any()


@pytest.mark.parametrize(("missing", "n_rows"), [("keep", 20_640), ("drop", 20_433), ("impute", 20_640)])
def test_california_housing(shared, no_network, missing, n_rows):
    dataset = real.california_housing(missing=missing)
    X, y = dataset.X, dataset.y
    assert X.shape == (n_rows, 9)
    assert X["ocean_proximity"].dtype == "category"
    assert X.isna().sum().sum() == (207 if missing == "keep" else 0)
    assert dataset.target_names == ("median_house_value_usd",)
    assert y.max() == 500_001
    assert (y == 500_001).sum() == (965 if missing != "drop" else 958)
    assert np.corrcoef(X["median_income_10_kusd"], y)[0, 1] == pytest.approx(0.688, abs=0.002)


def test_imputing_uses_training_rows_only():
    X = pd.DataFrame({"rooms": [1.0, 3.0, np.nan, 100.0, np.nan], "side": pd.Categorical(["a", "a", "b", "b", None])})
    dataset = real.Dataset("made up", X, np.zeros(5), ("value",), "# made up", n_train=3)
    filled = real._imputed(dataset, "impute").X
    assert filled["rooms"].tolist() == [1.0, 3.0, 2.0, 100.0, 2.0]
    assert filled["side"].tolist() == ["a", "a", "b", "b", "a"]
    assert dataset.X.isna().sum().sum() == 3


def test_compas(shared, no_network):
    happened, said = real.compas(), real.compas(target="decile_score")
    assert happened.X.shape == said.X.shape == (6_172, 8)
    assert happened.X.notna().all(axis=None)
    assert happened.y.mean() == pytest.approx(0.4551, abs=1e-4)
    assert set(said.y) == set(range(1, 11))
    leaks = {"is_recid", "decile_score", "score_text", "v_decile_score", "two_year_recid", "name", "dob"}
    assert not leaks & set(happened.feature_names)


@pytest.mark.parametrize(
    ("load", "arguments"),
    [
        (real.california_housing, {"missing": "zero"}),
        (real.adult, {"missing": None}),
        (real.compas, {"target": "name"}),
        (real.mnist, {"full": "yes"}),
        (real.cifar10, {"full": 2}),
    ],
)
def test_unknown_choices_list_the_known_ones(own, no_network, load, arguments):
    (argument,) = arguments
    with pytest.raises(ValueError, match=f"^{argument} must be one of"):
        load(**arguments)


# --- official formats, made small


def idx(array: np.ndarray) -> bytes:
    sizes = np.array(array.shape, ">i4").tobytes()
    return gzip.compress(bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes(), mtime=0)


def test_full_mnist_keeps_the_official_split(own, no_network):
    (own / "mnist").mkdir()
    rng = np.random.default_rng(0)
    images, labels = {}, {}
    for part, n in {"train": 30, "t10k": 20}.items():
        images[part], labels[part] = rng.integers(0, 256, (n, 28, 28)), rng.integers(0, 10, n)
        (own / "mnist" / f"{part}-images-idx3-ubyte.gz").write_bytes(idx(images[part]))
        (own / "mnist" / f"{part}-labels-idx1-ubyte.gz").write_bytes(idx(labels[part]))
    dataset = real.mnist(full=True)
    np.testing.assert_allclose(dataset.train[0][:, 0] * 255, images["train"], atol=1e-4)
    np.testing.assert_array_equal(dataset.test[1], labels["t10k"])
    assert dataset.n_train == 30


@pytest.fixture
def official_cifar(own):
    """The binary archive with 40 images a batch: record i of batch b is filled with plane values that name it."""
    (own / "cifar10").mkdir()
    with tarfile.open(own / "cifar10" / "cifar-10-binary.tar.gz", "w:gz") as archive:
        for b, part in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
            records = np.zeros((40, 3073), np.uint8)
            records[:, 0] = np.arange(40) % 10
            records[:, 1:1025], records[:, 1025:2049], records[:, 2049:] = b, np.arange(40)[:, None], 255
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{part}.bin")
            member.size = records.size
            archive.addfile(member, io.BytesIO(records.tobytes()))


def test_full_cifar10_from_the_binary_archive(official_cifar, no_network):
    dataset = real.cifar10(full=True)
    assert dataset.X.shape == (240, 3, 32, 32)
    assert dataset.n_train == 200
    corner = np.rint(dataset.X[:, :, 0, 31] * 255)
    np.testing.assert_array_equal(corner[:, 0], np.repeat(range(6), 40))
    np.testing.assert_array_equal(corner[:, 1], np.tile(range(40), 6))
    assert (corner[:, 2] == 255).all()
    np.testing.assert_array_equal(dataset.y, np.tile(range(10), 24))


def test_sample_of_the_binary_archive_is_balanced(official_cifar, no_network):
    dataset = real.cifar10()
    assert np.bincount(dataset.train[1]).tolist() == [20] * 10
    assert np.bincount(dataset.test[1]).tolist() == [4] * 10
    assert (np.rint(dataset.test[0][:, 0] * 255) == 5).all()


def test_first_of_each_class_takes_the_stated_number():
    labels = np.repeat(np.arange(10), 1500)
    rows, n_train = real._first_of_each_class(np.concatenate([labels, labels[::5]]), len(labels), np.random.default_rng(0))
    assert n_train == 10_000
    assert len(rows) == 12_000
    assert rows[:n_train].max() < len(labels) <= rows[n_train:].min()


def test_official_compas_file_with_names_is_read_without_them(own, no_network):
    (own / "tabular").mkdir()
    n = 40
    columns = {name: np.arange(n) % 3 for name in real._COMPAS_COLUMNS}
    columns |= {"c_charge_degree": np.where(np.arange(n) == 1, "O", "F"), "sex": ["Male"] * n, "race": ["Other"] * n}
    columns |= {"days_b_screening_arrest": np.where(np.arange(n) == 2, 31, 0), "is_recid": np.where(np.arange(n) == 3, -1, 1)}
    columns |= {"score_text": np.where(np.arange(n) == 4, "N/A", "Low"), "decile_score": 3, "two_year_recid": np.arange(n) % 2}
    pd.DataFrame(columns | {"name": "somebody"}).to_csv(own / "tabular" / "compas-scores-two-years.csv")
    dataset = real.compas()
    assert dataset.X.shape == (n - 4, 8)
    assert "somebody" not in dataset.X.to_csv()


def test_adult_as_scikit_learn_keeps_it(own, no_network, monkeypatch):
    """The first rows of Adult that scikit-learn ships for its own tests, laid out as fetch_openml caches them."""
    monkeypatch.setattr("sklearn.datasets._openml.urlopen", lambda *_: pytest.fail("tried to download"))
    source = Path(sklearn.datasets.__file__).parent / "tests" / "data" / "openml" / "id_1590"
    names = {
        "api-v1-jd-1590.json.gz": "api/v1/json/data/1590.gz",
        "api-v1-jdf-1590.json.gz": "api/v1/json/data/features/1590.gz",
        "api-v1-jdq-1590.json.gz": "api/v1/json/data/qualities/1590.gz",
    }
    with gzip.open(source / "api-v1-jd-1590.json.gz") as file:
        url = json.load(file)["data_set_description"]["url"]
    names["data-v1-dl-1595261.arff.gz"] = url.split("openml.org/")[1] + ".gz"
    for name, path in names.items():
        target = own / "openml" / "openml.org" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / name, target)

    kept = real.adult()
    assert kept.X.shape == (10, 13)
    assert kept.y.sum() == 3
    assert kept.X["age_years"].dtype.kind in "iu"
    assert kept.X["native_country"].dtype == "category"
    assert kept.X.isna().any(axis=1).sum() == 2
    assert len(real.adult(missing="drop").y) == 8
    filled = real.adult(missing="impute").X
    assert filled.notna().all(axis=None)
    assert filled["workclass"][kept.X["workclass"].isna()].unique().tolist() == ["Private"]


@pytest.mark.filterwarnings("ignore:A network error")
def test_adult_offline_gets_one_sentence(monkeypatch):
    def offline(*_, **__):
        raise URLError("name not known")

    monkeypatch.setattr("sklearn.datasets._openml.urlopen", offline)
    with pytest.raises(ConnectionError, match=r"adult could not be downloaded from www.openml.org \(name not known\)") as error:
        real.adult()
    assert "XAILIB_DATA" in str(error.value)
    assert len(str(error.value)) < 300


# --- damaged files


@pytest.mark.parametrize(
    ("load", "name"),
    [
        (real.mnist, "mnist/t10k-images-idx3-ubyte.gz"),
        (real.cifar10, "cifar10/cifar10-12k.npz"),
        (real.cifar10, "cifar10/cifar-10-binary.tar.gz"),
        (real.california_housing, "tabular/housing.csv"),
        (real.compas, "tabular/compas-two-years.csv"),
        (real.sms_spam, "text/smsspamcollection.zip"),
    ],
)
@pytest.mark.parametrize(
    "content",
    [b"", b"not the data", gzip.compress(b"", mtime=0), gzip.compress(b"\0\0\x08\x03", mtime=0)],
    ids=["empty", "text", "empty archive", "cut header"],
)
def test_a_damaged_file_is_named(own, no_network, load, name, content):
    (own / name).parent.mkdir()
    (own / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"^{name} can not be read") as error:
        load()
    assert len(str(error.value)) < 300


def test_every_published_hash_is_a_sha256():
    files = [*real._MNIST.values(), real._CIFAR10, real._CALIFORNIA, real._COMPAS, real._SMS_SPAM]
    assert all(len(bytes.fromhex(file.sha256)) == 32 for file in files)
    assert len({file.sha256 for file in files}) == len(files)


def test_shared_california_file_is_the_published_one(shared):
    from xailib._cache import sha256

    assert sha256(shared / "tabular" / "california-housing.csv") == real._CALIFORNIA.sha256


# --- texts


def sms_archive(path: Path, lines: list[str], member: str = "SMSSpamCollection") -> None:
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, "".join(f"{line}\n" for line in lines).encode())
        archive.writestr("readme", "about the collection")


def test_sms_spam_in_the_published_format(own, no_network):
    lines = [f'{"spam" if i % 4 == 0 else "ham"}\tMessage {i} costs \u00a3{i}, "ok"?\tyes' for i in range(40)]
    sms_archive(own / "text" / "sms+spam+collection.zip", lines)
    dataset = real.sms_spam()
    assert (dataset.X.shape, dataset.X.dtype, dataset.n_train) == ((40,), object, 30)
    assert dataset.target_names == ("ham", "spam")
    assert dataset.feature_names == []
    found = {f"{dataset.target_names[y]}\t{text}" for text, y in zip(dataset.X, dataset.y, strict=True)}
    assert found == set(lines)


@pytest.mark.parametrize(
    ("lines", "member"),
    [(["ham hello", "spam\tfree"], "SMSSpamCollection"), (["eggs\thello"], "SMSSpamCollection"), (["ham\thello"], "other")],
    ids=["no tab", "another class", "another file"],
)
def test_an_archive_of_something_else_is_named(own, no_network, lines, member):
    sms_archive(own / "text" / "sms+spam+collection.zip", lines, member)
    with pytest.raises(ValueError, match=r"^text/sms\+spam\+collection.zip can not be read"):
        real.sms_spam()


def test_docstrings_are_short_texts_of_two_classes_of_one_size(no_network):
    dataset = real.docstrings()
    assert dataset.X.dtype == object
    assert len(set(dataset.X)) == len(dataset.X) > 700
    assert np.bincount(dataset.y).tolist() == [len(dataset.X) // 2] * 2
    counts = [len(text.split()) for text in dataset.X]
    assert (min(counts), max(counts)) == (6, 60)
    again = real.docstrings()
    assert (again.X.tolist(), again.y.tolist()) == (dataset.X.tolist(), dataset.y.tolist())


def test_docstrings_do_not_name_their_package():
    text = " ".join(real.docstrings().X).lower()
    assert not any(
        name in text for name in ("sklearn", "scikit-learn", "scikit_learn", "scipy", "numpy", "user guide", ":func:", "`")
    )


def test_docstrings_can_be_told_apart_by_their_words():
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    dataset = real.docstrings()
    accuracy = make_pipeline(CountVectorizer(), LogisticRegression(max_iter=1000)).fit(*dataset.train).score(*dataset.test)
    assert 0.85 < accuracy < 0.97


def test_docstrings_do_not_depend_on_what_was_enabled_before():
    import sklearn.experimental.enable_halving_search_cv
    import sklearn.experimental.enable_iterative_imputer  # noqa: F401
    from sklearn import impute, model_selection

    assert {"HalvingGridSearchCV", "IterativeImputer"} <= {*impute.__all__, *model_selection.__all__}
    assert not any("HalvingGridSearchCV" in text or "Multivariate imputer" in text for text in real.docstrings().X)


def test_docstrings_of_the_pinned_versions_are_those_of_the_notebooks():
    from importlib.metadata import version

    from xailib.course.doctor import tested_versions

    pinned = tested_versions()
    if any(version(package) != pinned[package] for package in ("scikit-learn", "scipy")):
        pytest.skip("other versions of scikit-learn or SciPy have other texts")
    dataset = real.docstrings()
    digest = hashlib.sha256("\n".join(dataset.X).encode() + dataset.y.astype(np.int8).tobytes()).hexdigest()
    assert digest[:16] == "2959d78097c3130d"
