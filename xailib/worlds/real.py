"""Real data: nothing planted, so no truth to grade against; what explanations are tried on after the worlds.

``breast_cancer``, ``diabetes``, ``wine``, ``digits``, ``photograph`` and ``docstrings`` come with scikit-learn, SciPy and
scikit-image and need no network. ``mnist``, ``cifar10``, ``california_housing``, ``compas``, ``adult`` and ``sms_spam`` are
looked for in the folder named by ``XAILIB_DATA``, then in the cache, and are downloaded only if neither has them.
"""

from __future__ import annotations

import gzip
import importlib
import inspect
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from xailib import _validation as check
from xailib.worlds._download import RemoteFile, data_cache, fetch, find_own, own_folder

__all__ = [
    "Dataset",
    "adult",
    "breast_cancer",
    "california_housing",
    "cifar10",
    "compas",
    "diabetes",
    "digits",
    "docstring_paragraphs",
    "docstrings",
    "mnist",
    "photograph",
    "sms_spam",
    "wine",
]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Real data with a fixed split and a data card.

    Attributes
    ----------
    name : str
    X : DataFrame (n, p), text columns as categories; or images (n, channels, height, width), float32 in [0, 1]; or (n,) texts
    y : (n,) class numbers, or values in the unit that ``target_names`` states
    target_names : one name per class, or the one name of a numeric target
    card : data card in Markdown
    n_train : the first ``n_train`` rows are for training, the rest is held out (rows were shuffled)
    """

    name: str
    X: Any
    y: np.ndarray
    target_names: tuple[str, ...]
    card: str
    n_train: int

    @property
    def feature_names(self) -> list[str]:
        """Column names, or an empty list for images and texts."""
        return list(self.X.columns) if isinstance(self.X, pd.DataFrame) else []

    @property
    def train(self) -> tuple[Any, np.ndarray]:
        """(X, y) to fit models on."""
        return self.X[: self.n_train], self.y[: self.n_train]

    @property
    def test(self) -> tuple[Any, np.ndarray]:
        """(X, y) never used for fitting."""
        return self.X[self.n_train :], self.y[self.n_train :]

    def __repr__(self) -> str:
        return f"Dataset({self.name}: X {self.X.shape}, {self.n_train} rows for training; y: {', '.join(self.target_names)})"


def breast_cancer(*, test_size: float = 0.25, random_state: int = 0) -> Dataset:
    """Diagnose 569 breast tumours from 30 measurements of cell nuclei (class 1 is benign, as in scikit-learn).

    Parameters
    ----------
    test_size : share of rows held out, 0.05 to 0.95, the classes in proportion
    random_state : whole number that fixes the split

    Returns
    -------
    Dataset
        ``X`` (569, 30): mean, standard error ("_error") and worst of ten measurements each, in units the source does not state.

    Raises
    ------
    TypeError, ValueError
        If an argument is not of the kind or range stated.

    Notes
    -----
    Street, Wolberg & Mangasarian (1993). Taught in chapter 2.

    Examples
    --------
    >>> breast_cancer()
    Dataset(breast cancer: X (569, 30), 426 rows for training; y: malignant, benign)
    """
    from sklearn.datasets import load_breast_cancer

    dataset = _splitter(test_size, random_state)
    raw = load_breast_cancer(as_frame=True)
    card = _card(
        "Breast cancer, Wisconsin (diagnostic)",
        rows="569 tumours, one fine-needle image each",
        target="0 malignant (212), 1 benign (357)",
        source="UCI Machine Learning Repository, by way of scikit-learn; CC BY 4.0",
        notes="Many columns are near copies of each other (radius, perimeter, area).",
    )
    X = raw.data.rename(columns=lambda name: name.replace(" ", "_"))
    return dataset("breast cancer", X, raw.target.to_numpy(), tuple(map(str, raw.target_names)), card)


def diabetes(*, test_size: float = 0.25, random_state: int = 0) -> Dataset:
    """Progression of diabetes in 442 patients, from ten measurements in their original units.

    Parameters
    ----------
    test_size : share of rows held out, 0.05 to 0.95
    random_state : whole number that fixes the split

    Returns
    -------
    Dataset
        ``X`` (442, 10), not standardised; ``sex`` is coded 1 and 2 by the source, which does not say which is which.

    Raises
    ------
    TypeError, ValueError
        If an argument is not of the kind or range stated.

    Notes
    -----
    Efron, Hastie, Johnstone & Tibshirani (2004), Least Angle Regression. Taught in chapter 3.

    Examples
    --------
    >>> diabetes().X["age_years"].max()
    np.float64(79.0)
    """
    from sklearn.datasets import load_diabetes

    dataset = _splitter(test_size, random_state)
    raw = load_diabetes(as_frame=True, scaled=False)
    card = _card(
        "Diabetes",
        rows="442 patients",
        target="a quantitative measure of disease progression one year after baseline (25 to 346, no unit)",
        source="Efron et al. (2004), by way of scikit-learn; no licence stated",
        notes="The blood serum columns were s1 to s6; total cholesterol, LDL, HDL and their ratio determine each other closely.",
    )
    X = raw.data.set_axis(list(_DIABETES_COLUMNS), axis=1)
    return dataset("diabetes", X, raw.target.to_numpy(), ("disease_progression",), card)


_DIABETES_COLUMNS = (
    "age_years",
    "sex",
    "body_mass_index",
    "mean_blood_pressure",
    "total_cholesterol",
    "ldl",
    "hdl",
    "cholesterol_hdl_ratio",
    "log_triglycerides",
    "blood_sugar",
)


def wine(*, test_size: float = 0.25, random_state: int = 0) -> Dataset:
    """Tell which of three growers made a wine, from 13 chemical measurements of 178 bottles.

    Parameters
    ----------
    test_size : share of rows held out, 0.05 to 0.95, the classes in proportion
    random_state : whole number that fixes the split

    Returns
    -------
    Dataset
        ``X`` (178, 13), ``y`` in {0, 1, 2}.

    Raises
    ------
    TypeError, ValueError
        If an argument is not of the kind or range stated.

    Notes
    -----
    Aeberhard, Coomans & de Vel (1994). Taught in chapter 2.

    Examples
    --------
    >>> wine().feature_names[:3]
    ['alcohol', 'malic_acid', 'ash']
    """
    from sklearn.datasets import load_wine

    dataset = _splitter(test_size, random_state)
    raw = load_wine(as_frame=True)
    card = _card(
        "Wine recognition",
        rows="178 wines of one Italian region",
        target="the grower (59, 71 and 48 wines)",
        source="UCI Machine Learning Repository, by way of scikit-learn; CC BY 4.0",
        notes="An easy problem: most models are right on almost every held-out bottle.",
    )
    X = raw.data.rename(columns=lambda name: name.replace("/", "_"))
    return dataset("wine", X, raw.target.to_numpy(), ("grower 0", "grower 1", "grower 2"), card)


def digits(*, test_size: float = 0.25, random_state: int = 0) -> Dataset:
    """1,797 handwritten digits of 8x8 pixels.

    Parameters
    ----------
    test_size : share of rows held out, 0.05 to 0.95, the classes in proportion
    random_state : whole number that fixes the split

    Returns
    -------
    Dataset
        ``X`` (1797, 1, 8, 8) float32 in [0, 1], 17 grey levels; ``X.reshape(len(X), -1)`` is a table of 64 pixels.

    Raises
    ------
    TypeError, ValueError
        If an argument is not of the kind or range stated.

    Notes
    -----
    Alpaydin & Kaynak (1998). Taught in chapter 8.

    Examples
    --------
    >>> digits().X.shape
    (1797, 1, 8, 8)
    """
    from sklearn.datasets import load_digits

    dataset = _splitter(test_size, random_state)
    raw = load_digits()
    card = _card(
        "Optical recognition of handwritten digits (test part)",
        rows="1,797 digits by 13 writers, counted into 8x8 blocks of 16 levels",
        target="the digit, ten classes of about 180",
        source="UCI Machine Learning Repository, by way of scikit-learn; CC BY 4.0",
        notes="Writers are not identified, so one writer's digits lie on both sides of the split.",
    )
    X = (raw.images[:, None] / 16).astype(np.float32)
    return dataset("digits", X, raw.target, _DIGITS, card)


_DIGITS = tuple("0123456789")

_PACKAGES = {
    "scipy": ("fft", "integrate", "interpolate", "linalg", "ndimage", "optimize", "signal", "sparse", "spatial", "stats"),
    "sklearn": (
        "cluster",
        "compose",
        "covariance",
        "cross_decomposition",
        "datasets",
        "decomposition",
        "ensemble",
        "feature_selection",
        "gaussian_process",
        "impute",
        "inspection",
        "linear_model",
        "manifold",
        "metrics",
        "mixture",
        "model_selection",
        "naive_bayes",
        "neighbors",
        "neural_network",
        "pipeline",
        "preprocessing",
        "svm",
        "tree",
        "utils",
    ),
}
#: scikit-learn shows these only after they were enabled: they must not come and go
_EXPERIMENTAL = ("Halving", "IterativeImputer")
_MIN_WORDS, _MAX_WORDS = 6, 60


def docstrings(*, test_size: float = 0.25, random_state: int = 0) -> Dataset:
    """Tell from how a function or class is described whether it belongs to SciPy (0) or to scikit-learn (1).

    Parameters
    ----------
    test_size : share of texts held out, 0.05 to 0.95, the classes in proportion
    random_state : whole number that fixes the split

    Returns
    -------
    Dataset
        ``X`` (n,) array of texts of 6 to 60 words, both classes of one size.

    Raises
    ------
    TypeError, ValueError
        If an argument is not of the kind or range stated.

    Notes
    -----
    Real text that every installation has: it is read from the installed packages, so other versions than the pinned ones may
    give other texts. Taught in chapters 4 and 6.

    Examples
    --------
    >>> docstrings().target_names
    ('scipy', 'sklearn')
    """
    dataset = _splitter(test_size, random_state)
    texts = [_descriptions(package) for package in _PACKAGES]
    size = min(map(len, texts))
    X = np.array([text for of_class in texts for text in _evenly(of_class, size)], dtype=object)
    card = _card(
        "What functions and classes say about themselves",
        rows=f"{len(X):,} docstrings of public functions and classes, up to the parameters or {_MAX_WORDS} words",
        target=f"0 SciPy ({size}), 1 scikit-learn ({size} of {len(texts[1])})",
        source="the installed packages SciPy and scikit-learn; BSD 3-Clause",
        notes="Packages, and paths that begin with one, read PACKAGE. Links to user guides and repeated texts were left out.",
    )
    return dataset("docstrings", X, np.repeat([0, 1], size), tuple(_PACKAGES), card)


def docstring_paragraphs(*, test_size: float = 0.1, random_state: int = 0) -> Dataset:
    """Paragraphs of prose from all docstrings of SciPy (0) and scikit-learn (1): their functions, classes and methods.

    Parameters
    ----------
    test_size : share of texts held out, 0.05 to 0.95, the classes in proportion
    random_state : whole number that fixes the split

    Returns
    -------
    Dataset
        ``X`` (n,) array of distinct texts of 6 words and more, one line each; lists, formulas and examples were left out.

    Raises
    ------
    TypeError, ValueError
        If an argument is not of the kind or range stated.

    Notes
    -----
    More text than :func:`docstrings` has, enough for a small language model. Taught in chapters 10 to 13.

    Examples
    --------
    >>> docstring_paragraphs().target_names
    ('scipy', 'sklearn')
    """
    dataset = _splitter(test_size, random_state)
    texts = [_paragraphs(package) for package in _PACKAGES]
    counts = [len(of_class) for of_class in texts]
    card = _card(
        "How functions, classes and methods are described",
        rows=f"{sum(counts):,} paragraphs of prose",
        target=f"0 SciPy ({counts[0]}), 1 scikit-learn ({counts[1]})",
        source="the installed packages SciPy and scikit-learn; BSD 3-Clause",
        notes="Paragraphs with sections, lists, formulas or examples were left out, and repeated ones.",
    )
    X = np.array([text for of_class in texts for text in of_class], dtype=object)
    return dataset("docstring paragraphs", X, np.repeat([0, 1], counts), tuple(_PACKAGES), card)


@cache
def _paragraphs(package: str) -> tuple[str, ...]:
    """The distinct paragraphs of plain prose in a package, by where their objects stand."""
    return tuple(dict.fromkeys(_prose(package)))


def _prose(package: str) -> Iterable[str]:
    for thing in _public(package):
        members = vars(thing) if inspect.isclass(thing) else {}
        methods = [member for name, member in sorted(members.items()) if name[0] != "_" and inspect.isroutine(member)]
        for described in (thing, *methods):
            for paragraph in (inspect.getdoc(described) or "").split("\n\n"):
                text = " ".join(_plain(line) for line in paragraph.split("\n") if line)
                if not _NO_PROSE.search(paragraph) and len(text.split()) >= _MIN_WORDS:
                    yield text


#: underlines, code, directives, tables, formulas, and what stands indented, as the lists of parameters do
_NO_PROSE = re.compile(r"^(---|===|>>>|\.\.|\s|[*-] )|[=|\\{}]|::", re.MULTILINE)


def _public(package: str) -> Iterable[Any]:
    """The public functions and classes of a package, by where they stand."""
    for module in _PACKAGES[package]:
        things = importlib.import_module(f"{package}.{module}")
        for name in sorted(name for name in things.__all__ if not name.startswith(_EXPERIMENTAL)):
            thing = getattr(things, name)
            if inspect.isroutine(thing) or inspect.isclass(thing):
                yield thing


def _descriptions(package: str) -> list[str]:
    """The distinct descriptions in a package, by where their objects stand."""
    texts = (_description(inspect.getdoc(thing) or "") for thing in _public(package))
    return list(dict.fromkeys(text for text in texts if len(text.split()) >= _MIN_WORDS))


def _description(docstring: str) -> str:
    """What a docstring says before its first section: plain words, packages masked."""
    prose = []
    for paragraph in docstring.split("\n\n"):
        if re.search(r"^(---|===)", paragraph, re.MULTILINE) or paragraph.startswith(".."):
            break
        if not re.search(r"Read more|User Guide|glossary|sphx_glr", paragraph):
            prose.append(paragraph)
    return " ".join(_plain(" ".join(prose)).split()[:_MAX_WORDS])


def _plain(text: str) -> str:
    """Without mark-up, and without the names of packages."""
    plain = re.sub(r":[a-z:]+:`~?([^`<]*?)(?:\s<[^`]*>)?`", r"\1", text).replace("`", "")
    return re.sub(r"[\w.]*(scikit[-_]learn|sklearn|scipy|numpy)[\w.]*\b", "PACKAGE", plain, flags=re.IGNORECASE)


def _evenly(texts: list[str], size: int) -> Iterable[str]:
    """``size`` of the texts, in even steps through the list."""
    return (texts[i * len(texts) // size] for i in range(size))


_PHOTOGRAPHS = {
    "astronaut": "skimage",
    "chelsea": "skimage",
    "china": "sklearn",
    "coffee": "skimage",
    "flower": "sklearn",
    "rocket": "skimage",
}


def photograph(name: str, *, size_pixels: int | None = None) -> np.ndarray:
    """A photograph that ships with scikit-image or scikit-learn.

    Parameters
    ----------
    name : {"astronaut", "chelsea", "china", "coffee", "flower", "rocket"}
    size_pixels : side of a square, if wanted: the largest centred square is cut out and resized, with smoothing

    Returns
    -------
    array, shape (3, height, width), float32 in [0, 1]

    Raises
    ------
    ValueError
        If there is no such photograph; the message lists those there are.

    Notes
    -----
    All are public domain or CC0 but "china" and "flower", which are CC BY 2.0 by danielbuechele. Taught in chapter 8.

    Examples
    --------
    >>> photograph("chelsea", size_pixels=224).shape
    (3, 224, 224)
    """
    check.one_of(name, "name", _PHOTOGRAPHS)
    if size_pixels is not None:
        check.number(size_pixels, "size_pixels", low=1, high=4096, integer=True)
    image = _pixels(name).astype(np.float32) / 255
    image = image if size_pixels is None else _centred_square(image, size_pixels)
    return np.ascontiguousarray(np.moveaxis(image, -1, 0))


def _pixels(name: str) -> np.ndarray:
    """(height, width, 3) uint8."""
    if _PHOTOGRAPHS[name] == "sklearn":
        from sklearn.datasets import load_sample_image

        return load_sample_image(f"{name}.jpg")
    import skimage.data

    return getattr(skimage.data, name)()


def _centred_square(image: np.ndarray, size_pixels: int) -> np.ndarray:
    from skimage.transform import resize

    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = image[top : top + side, left : left + side]
    return resize(square, (size_pixels, size_pixels), anti_aliasing=True).astype(np.float32)


_MNIST_URL = "https://storage.googleapis.com/cvdf-datasets/mnist"
_MNIST = {
    name: RemoteFile("mnist", f"{name}-ubyte.gz", f"{_MNIST_URL}/{name}-ubyte.gz", sha256)
    for name, sha256 in {
        "train-images-idx3": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels-idx1": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "t10k-images-idx3": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels-idx1": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    }.items()
}


def mnist(*, full: bool = False, test_size: float = 0.25, random_state: int = 0) -> Dataset:
    """Handwritten digits of 28x28 pixels.

    Parameters
    ----------
    full : False takes MNIST's 10,000 test images (1.7 MB) and splits those; True takes all 70,000 (11.6 MB, 220 MB in
        memory) with the official split, and then ``test_size`` and ``random_state`` have no effect
    test_size : share of rows held out, 0.05 to 0.95, the classes in proportion
    random_state : whole number that fixes the split

    Returns
    -------
    Dataset
        ``X`` (n, 1, 28, 28) float32 in [0, 1].

    Raises
    ------
    ConnectionError
        If the files are neither in ``XAILIB_DATA`` nor in the cache and can not be downloaded.
    ValueError
        If a file of your own is damaged, or an argument is not of the kind or range stated.

    Notes
    -----
    LeCun, Bottou, Bengio & Haffner (1998). Taught in chapter 8.
    """
    check.one_of(full, "full", [False, True])
    dataset = _splitter(test_size, random_state)
    card = _card(
        "MNIST",
        rows="28x28 grey digits by some 500 writers: 60,000 to train and 10,000 to test, the writers disjoint",
        target="the digit, ten classes of about equal size",
        source="LeCun, Cortes & Burges; CC BY-SA 3.0",
        notes="The 10,000 test images alone mix their own writers when they are split again.",
    )
    X, y = _mnist_part("t10k")
    if not full:
        return dataset("mnist (test images)", X, y, _DIGITS, card)
    X_train, y_train = _mnist_part("train")
    return Dataset("mnist", np.concatenate([X_train, X]), np.concatenate([y_train, y]), _DIGITS, card, len(y_train))


def _mnist_part(part: str) -> tuple[np.ndarray, np.ndarray]:
    images = _read(fetch(_MNIST[f"{part}-images-idx3"]), _idx)
    labels = _read(fetch(_MNIST[f"{part}-labels-idx1"]), _idx)
    return _unit_interval(images[:, None]), labels.astype(np.int64)


def _idx(path: Path) -> np.ndarray:
    """An IDX file of bytes: byte 3 is the number of dimensions, then come the sizes as big-endian int32, then the values."""
    with gzip.open(path) as file:
        raw = file.read()
    n_dimensions = raw[3]
    shape = np.frombuffer(raw, ">i4", n_dimensions, offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * n_dimensions).reshape(shape)


def _unit_interval(pixels: np.ndarray) -> np.ndarray:
    """0..255 to float32 in [0, 1]."""
    return np.divide(pixels, 255, dtype=np.float32, order="C")


_CIFAR10 = RemoteFile(
    "cifar10",
    "cifar-10-binary.tar.gz",  # the Python edition of the archive is a pickle, which could run code
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
)
_CIFAR10_SAMPLE = "cifar10-12k.npz"
_CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def cifar10(*, full: bool = False, random_state: int = 0) -> Dataset:
    """Small colour photographs of ten kinds of things, 32x32 pixels.

    Parameters
    ----------
    full : False takes 1,000 training and 200 test images of each class (from ``cifar10-12k.npz`` if ``XAILIB_DATA`` holds
        it, else the first of each class in the official archive); True takes all 60,000 (170 MB, 740 MB in memory)
    random_state : whole number that fixes the order of rows inside the training and the test part of the sample

    Returns
    -------
    Dataset
        ``X`` (n, 3, 32, 32) float32 in [0, 1], with the official split into training and test images.

    Raises
    ------
    ConnectionError
        If the archive is neither in ``XAILIB_DATA`` nor in the cache and can not be downloaded.
    ValueError
        If a file of your own is damaged, or an argument is not of the kind or range stated.

    Notes
    -----
    Krizhevsky (2009). Taught in chapter 8.
    """
    check.one_of(full, "full", [False, True])
    check.number(random_state, "random_state", low=0, high=2**32 - 1, integer=True)
    sample = None if full else find_own(_CIFAR10.folder, [_CIFAR10_SAMPLE])
    images, labels, n_train = _read(sample, _cifar_sample) if sample else _read(fetch(_CIFAR10), _cifar_binary)
    if not full:
        rows, n_train = _first_of_each_class(labels, n_train, np.random.default_rng(random_state))
        images, labels = images[rows], labels[rows]
    card = _card(
        "CIFAR-10" if full else "CIFAR-10, a sample of 12,000",
        rows=f"{n_train:,} training and {len(labels) - n_train:,} test images, 32x32 pixels, three colours",
        target="the kind of thing shown, ten classes of equal size",
        source="Krizhevsky, Nair & Hinton; no licence stated" + (" (pixels from JPEG copies)" if sample else ""),
        notes="Labels of tiny photographs: people disagree with a few per cent of them.",
    )
    return Dataset("cifar10", _unit_interval(images), labels.astype(np.int64), _CIFAR10_CLASSES, card, n_train)


def _cifar_sample(path: Path) -> tuple[np.ndarray, np.ndarray, int]:
    """Images (n, 3, 32, 32) uint8, labels (n,), number of training images."""
    with np.load(path, allow_pickle=False) as stored:
        images = np.concatenate([stored["x_train"], stored["x_test"]])
        labels = np.concatenate([stored["y_train"], stored["y_test"]])
        return np.moveaxis(images, -1, 1), labels, len(stored["y_train"])


def _cifar_binary(path: Path) -> tuple[np.ndarray, np.ndarray, int]:
    """As above, from the official binary archive: records of one label byte and 3072 pixel bytes, channel by channel."""
    parts = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    with tarfile.open(path) as archive:
        members = (archive.extractfile(f"cifar-10-batches-bin/{part}") for part in parts)
        batches = [np.frombuffer(member.read() if member else b"", np.uint8).reshape(-1, 3073) for member in members]
    records = np.concatenate(batches)
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0], len(records) - len(batches[-1])


def _first_of_each_class(labels: np.ndarray, n_train: int, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """Rows of the sample, shuffled inside each part, and how many of them are for training."""
    classes = range(len(_CIFAR10_CLASSES))
    train, test = np.split(np.arange(len(labels)), [n_train])
    train = rng.permutation(np.concatenate([train[labels[train] == k][:1000] for k in classes]))
    test = rng.permutation(np.concatenate([test[labels[test] == k][:200] for k in classes]))
    return np.concatenate([train, test]), len(train)


_CALIFORNIA = RemoteFile(
    "tabular",
    "california-housing.csv",
    "https://raw.githubusercontent.com/ageron/handson-ml2/aa555aa16b9d0af6c84e67c7757f3317d05acb12/datasets/housing/housing.csv",
    "8a3727f4cf54ac1a327f69b1d5b4db54c5834ea81c6e4efc0d163300022a685e",
    also=("housing.csv",),
)
_CALIFORNIA_COLUMNS = {
    "longitude": "longitude",
    "latitude": "latitude",
    "housing_median_age": "housing_median_age_years",
    "total_rooms": "total_rooms",
    "total_bedrooms": "total_bedrooms",
    "population": "population",
    "households": "households",
    "median_income": "median_income_10_kusd",
    "ocean_proximity": "ocean_proximity",
    "median_house_value": "median_house_value_usd",
}


def california_housing(*, missing: str = "keep", test_size: float = 0.25, random_state: int = 0) -> Dataset:
    """Median house values of 20,640 Californian districts in the census of 1990.

    Parameters
    ----------
    missing : {"keep", "drop", "impute"}
        What to do with the 207 districts without ``total_bedrooms``: keep NaN, drop the rows, or put in the median of the
        training rows.
    test_size : share of rows held out, 0.05 to 0.95
    random_state : whole number that fixes the split

    Returns
    -------
    Dataset
        ``X`` (n, 9), ``ocean_proximity`` a category; ``y`` in US dollars, cut off at 500,001.

    Raises
    ------
    ConnectionError
        If the file is neither in ``XAILIB_DATA`` nor in the cache and can not be downloaded.
    ValueError
        If a file of your own is damaged, or an argument is not of the kind or range stated.

    Notes
    -----
    Pace & Barry (1997), in the edition of Géron's book. Taught in chapter 3.
    """
    check.one_of(missing, "missing", _MISSING)
    dataset = _splitter(test_size, random_state)
    frame = _read(
        fetch(_CALIFORNIA), partial(pd.read_csv, usecols=list(_CALIFORNIA_COLUMNS), dtype={"ocean_proximity": "category"})
    )
    frame = frame.rename(columns=_CALIFORNIA_COLUMNS)
    card = _card(
        "California housing, 1990 census",
        rows="20,640 districts (block groups of 600 to 3,000 people)",
        target="median house value in US dollars; 965 districts stand at the cut-off of 500,001",
        source="StatLib, as used in Géron's book; public census figures",
        notes=f"total_bedrooms is missing in 207 districts (here: {missing}). Location carries much of the signal.",
    )
    value = frame.pop("median_house_value_usd").to_numpy()
    X, y = _without_gaps(frame, value, missing)
    return _imputed(dataset("california housing", X, y, ("median_house_value_usd",), card), missing)


_COMPAS_COLUMNS = (
    "sex",
    "age",
    "race",
    "juv_fel_count",
    "juv_misd_count",
    "juv_other_count",
    "priors_count",
    "c_charge_degree",
)
_COMPAS_FILTER = ("days_b_screening_arrest", "is_recid", "score_text")
_COMPAS_TARGETS = {
    "two_year_recid": ("no new charge within two years", "new charge within two years"),
    "decile_score": ("compas_decile_score",),
}
_COMPAS = RemoteFile(
    "tabular",
    "compas-scores-two-years.csv",
    "https://raw.githubusercontent.com/propublica/compas-analysis/bafff5da3f2e45eca6c2d5055faad269defd135a/compas-scores-two-years.csv",
    "c451db85908b2f7fef1d83203bedf6b71ecda0d5af468d82ae62178f91d0cc7d",
    also=("compas-two-years.csv",),
)


def compas(*, target: str = "two_year_recid", test_size: float = 0.25, random_state: int = 0) -> Dataset:
    """6,172 defendants of Broward County, Florida, scored for the risk that they are charged again.

    Parameters
    ----------
    target : {"two_year_recid", "decile_score"}
        What happened (0 or 1), or what the COMPAS software said (1 to 10).
    test_size : share of rows held out, 0.05 to 0.95, the classes in proportion
    random_state : whole number that fixes the split

    Returns
    -------
    Dataset
        ``X`` (6172, 8): what was known when the score was given. Left out: the scores, ``is_recid`` (it gives the outcome away),
        ``age_cat`` (a function of age), ``c_charge_desc`` (some 400 texts) and all that identifies a person.

    Raises
    ------
    ConnectionError
        If the file is neither in ``XAILIB_DATA`` nor in the cache and can not be downloaded.
    ValueError
        If a file of your own is damaged, or an argument is not of the kind or range stated.

    Notes
    -----
    Larson, Mattu, Kirchner & Angwin (2016), How we analyzed the COMPAS recidivism algorithm, with their filter: arrest
    within 30 days of the screening, a known outcome, a charge that can mean prison, a valid score. Taught in chapter 3.
    """
    check.one_of(target, "target", _COMPAS_TARGETS)
    dataset = _splitter(test_size, random_state)
    wanted = [*_COMPAS_COLUMNS, *_COMPAS_FILTER, *_COMPAS_TARGETS]
    frame = _propublica_filter(_read(fetch(_COMPAS), partial(pd.read_csv, usecols=wanted)))
    card = _card(
        "COMPAS, two years",
        rows="6,172 defendants scored in 2013 and 2014, of 7,214 before ProPublica's filter",
        target="a new charge within two years" if target == "two_year_recid" else "the software's score, 1 (low) to 10",
        source="ProPublica (github.com/propublica/compas-analysis); no licence stated",
        notes="A new charge is not a new crime: who is charged depends on who is policed. No column names a person.",
    )
    X = _with_categories(frame[list(_COMPAS_COLUMNS)]).rename(columns={"age": "age_years"})
    return dataset("compas", X, frame[target].to_numpy(), _COMPAS_TARGETS[target], card)


def _propublica_filter(frame: pd.DataFrame) -> pd.DataFrame:
    near = frame["days_b_screening_arrest"].abs() <= 30
    known = (frame["is_recid"] != -1) & (frame["c_charge_degree"] != "O") & frame["score_text"].notna()
    return frame[near & known]


_ADULT_OPENML_ID = 1590


def adult(*, missing: str = "keep", test_size: float = 0.25, random_state: int = 0) -> Dataset:
    """Who of 48,842 people earned more than 50,000 dollars in the US census of 1994.

    Parameters
    ----------
    missing : {"keep", "drop", "impute"}
        What to do with unknown ``workclass``, ``occupation`` and ``native_country``: keep the gaps, drop the rows, or put in
        the most frequent value of the training rows.
    test_size : share of rows held out, 0.05 to 0.95, the classes in proportion
    random_state : whole number that fixes the split

    Returns
    -------
    Dataset
        ``X`` (n, 13) without the sampling weight ``fnlwgt``; ``y`` is 1 above 50,000 dollars.

    Raises
    ------
    ConnectionError
        If the data are neither in ``XAILIB_DATA/openml`` nor in the cache and can not be downloaded.
    ValueError
        If an argument is not of the kind or range stated.

    Notes
    -----
    Kohavi (1996); OpenML 1590, through scikit-learn's ``fetch_openml``, whose folder ``openml`` may be copied into
    ``XAILIB_DATA``. Taught in chapter 2.
    """
    check.one_of(missing, "missing", _MISSING)
    dataset = _splitter(test_size, random_state)
    frame = _openml(_ADULT_OPENML_ID, "adult").rename(columns=lambda name: name.replace("-", "_"))
    card = _card(
        "Adult income, 1994 census",
        rows="48,842 people of 17 and older",
        target="1 if the yearly income is above 50,000 US dollars (24 %)",
        source="UCI Machine Learning Repository, by way of OpenML 1590; CC BY 4.0",
        notes=f"Gaps in workclass, occupation and native_country (here: {missing}). education_num repeats education.",
    )
    y = (frame["class"] == ">50K").to_numpy().astype(np.int64)
    X = frame.drop(columns=["class", "fnlwgt"]).rename(
        columns={"age": "age_years", "capital_gain": "capital_gain_usd", "capital_loss": "capital_loss_usd"}
    )
    X, y = _without_gaps(X, y, missing)
    return _imputed(dataset("adult", X, y, ("up to 50,000 usd", "above 50,000 usd"), card), missing)


def _openml(data_id: int, name: str) -> pd.DataFrame:
    """A data set of OpenML with all its columns, from ``XAILIB_DATA``, the cache or the network, as scikit-learn keeps it."""
    from urllib.error import URLError

    from sklearn.datasets import fetch_openml

    own = own_folder()
    home = own if own is not None and (own / "openml").is_dir() else data_cache()
    try:
        return fetch_openml(data_id=data_id, data_home=str(home), as_frame=True, n_retries=1, delay=1.0).frame
    except (URLError, TimeoutError) as error:
        raise ConnectionError(
            f"{name} could not be downloaded from www.openml.org ({getattr(error, 'reason', 'no answer')}). Put scikit-learn's "
            "folder openml that holds it into the folder named by XAILIB_DATA, or connect and call again."
        ) from None


_SMS_SPAM = RemoteFile(
    "text",
    "sms+spam+collection.zip",
    "https://archive.ics.uci.edu/static/public/228/sms+spam+collection.zip",
    "1587ea43e58e82b14ff1f5425c88e17f8496bfcdb67a583dbff9eefaf9963ce3",
    also=("smsspamcollection.zip",),
)
_SMS_MEMBER = "SMSSpamCollection"
_SMS_CLASSES = ("ham", "spam")


def sms_spam(*, test_size: float = 0.25, random_state: int = 0) -> Dataset:
    """5,574 English text messages, each ham (0) or spam (1).

    Parameters
    ----------
    test_size : share of messages held out, 0.05 to 0.95, the classes in proportion
    random_state : whole number that fixes the split

    Returns
    -------
    Dataset
        ``X`` (5574,) array of texts, as published (``&lt;`` and the like are part of them).

    Raises
    ------
    ConnectionError
        If the file is neither in ``XAILIB_DATA`` nor in the cache and can not be downloaded.
    ValueError
        If a file of your own is damaged, or an argument is not of the kind or range stated.

    Notes
    -----
    Almeida, Gomez Hidalgo & Yamakami (2011), Contributions to the study of SMS spam filtering. Taught in chapter 4.
    """
    dataset = _splitter(test_size, random_state)
    labels, texts = _read(fetch(_SMS_SPAM), _sms_lines)
    card = _card(
        "SMS Spam Collection v.1",
        rows="5,574 English text messages, some of them twice",
        target="0 ham (4,827), 1 spam (747)",
        source="UCI Machine Learning Repository, data set 228; CC BY 4.0",
        notes="Spam is from a British forum, most ham from students in Singapore: place and spam go together.",
    )
    return dataset("sms spam", texts, labels, _SMS_CLASSES, card)


def _sms_lines(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Class numbers and texts of the archive: one line per message, its class, a tab, its text."""
    with zipfile.ZipFile(path) as archive:
        lines = archive.read(_SMS_MEMBER).decode("utf-8").rstrip("\n").split("\n")
    kinds, texts = zip(*(line.split("\t", 1) for line in lines), strict=True)
    return np.array([_SMS_CLASSES.index(kind) for kind in kinds]), np.array(texts, dtype=object)


_MISSING = ("keep", "drop", "impute")


def _without_gaps(X: pd.DataFrame, y: np.ndarray, missing: str) -> tuple[pd.DataFrame, np.ndarray]:
    """The rows that have no gap if ``missing`` is "drop", else all."""
    rows = X.notna().all(axis=1).to_numpy() | (missing != "drop")
    return X[rows], y[rows]


def _imputed(dataset: Dataset, missing: str) -> Dataset:
    """Gaps filled with the median (numbers) or the most frequent value (categories) of the training rows."""
    if missing != "impute":
        return dataset
    X_train, _ = dataset.train
    fill = {name: column.median() if check.is_numeric(column) else column.mode()[0] for name, column in X_train.items()}
    return replace(dataset, X=dataset.X.fillna(fill))


def _with_categories(X: pd.DataFrame) -> pd.DataFrame:
    return X.astype({name: "category" for name, column in X.items() if not check.is_numeric(column)})


def _splitter(test_size: float, random_state: int) -> Callable[..., Dataset]:
    """Check the arguments of a split now; what comes back makes the Dataset once the data are loaded."""
    check.number(test_size, "test_size", low=0.05, high=0.95)
    check.number(random_state, "random_state", low=0, high=2**32 - 1, integer=True)
    return partial(_shuffled, test_size, random_state)


def _shuffled(
    test_size: float, random_state: int, name: str, X: Any, y: np.ndarray, target_names: tuple[str, ...], card: str
) -> Dataset:
    """Rows in random order, training rows first; classes keep their proportions."""
    from sklearn.model_selection import train_test_split

    classes = y if len(target_names) > 1 else None
    train, test = train_test_split(np.arange(len(y)), test_size=test_size, random_state=random_state, stratify=classes)
    rows = np.concatenate([train, test])
    X = X.iloc[rows].reset_index(drop=True) if isinstance(X, pd.DataFrame) else X[rows]
    return Dataset(name, X, y[rows], target_names, card, len(train))


def _read(path: Path, read: Callable[[Path], Any]) -> Any:
    """What ``read`` makes of a file, or one sentence if that is not what the file is."""
    try:
        return read(path)
    except (OSError, EOFError, KeyError, IndexError, ValueError, tarfile.TarError, zipfile.BadZipFile) as error:
        where = f"{path.parent.name}/{path.name}"
        raise ValueError(f"{where} can not be read ({type(error).__name__}): replace it, or delete it and call again.") from error


def _card(title: str, *, rows: str, target: str, source: str, notes: str) -> str:
    return f"# {title}\n\n- **Rows**: {rows}.\n- **Target**: {target}.\n- **Source**: {source}.\n- **Note**: {notes}\n"
