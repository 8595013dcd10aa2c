"""The conformance check of extractors: built-ins pass, each kind of mistake is named."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from adaptgan.files import staged
from adaptgan.methods.base import Guard
from adaptgan.metrics.extractors.base import Extractor, Features
from adaptgan.models import save_model
from adaptgan.networks.inception import inception_v3
from adaptgan.plugins import components
from adaptgan.testing import check_extractor, tiny_info
from tests.testing.parts import built_in, offered

CONFIGS: dict[str, dict[str, Any]] = {
    "pixels": {"components": 8},
    "model": {"path": "{model}"},
    "efficientnet_lite0": {},
    "inception_v3": {"path": "{inception}"},
}


def test_all_built_in_extractors_are_checked() -> None:
    assert set(built_in("extractor")) == set(CONFIGS)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    config = {"name": "supervised", "classifier": {"name": "conv_classifier", "widths": [8, 8], "hidden": 16}}
    torch.manual_seed(0)
    method = components().build("method", config, "method", [tiny_info(), Guard()])
    with staged(tmp_path / "model") as folder:
        resolved = components().resolve("method", config, "method")
        save_model(method, {"method": resolved, "data": dataclasses.asdict(tiny_info())}, folder)
    return tmp_path / "model"


@pytest.fixture
def inception(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = inception_v3(1000)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    torch.save(network.state_dict(), tmp_path / "inception.pth")
    return tmp_path / "inception.pth"


@pytest.mark.parametrize("name", CONFIGS)
def test_built_in_extractors_conform(name: str, request: pytest.FixtureRequest) -> None:
    options = CONFIGS[name]
    if str(place := options.get("path", "")):
        options = {"path": str(request.getfixturevalue(place.strip("{}")))}
    check_extractor({"name": name, **options})


class Rows(Extractor):
    """Mean brightness of each row, and how likely it is bright or dark."""

    fixed: ClassVar[bool] = True

    def __call__(self, images_NCHW: np.ndarray) -> Features:
        bright_N = images_NCHW.mean((1, 2, 3)) / 255
        return Features(self.look(images_NCHW), np.stack([bright_N, 1 - bright_N], 1))

    def look(self, images_NCHW: np.ndarray) -> np.ndarray:
        return images_NCHW.mean((1, 3)).astype(np.float64)


class Loose(Rows):
    """Says nothing of whether it is fixed."""

    fixed: Any = None


class Single(Rows):
    """Another type."""

    def look(self, images_NCHW: np.ndarray) -> np.ndarray:
        return super().look(images_NCHW).astype(np.float32)


class Maps(Rows):
    """More than two dimensions."""

    def look(self, images_NCHW: np.ndarray) -> np.ndarray:
        return images_NCHW.astype(np.float64)


class Blind(Rows):
    """Sees nothing."""

    def look(self, images_NCHW: np.ndarray) -> np.ndarray:
        return np.ones((len(images_NCHW), 3))


class Batch(Rows):
    """Looks at the whole batch."""

    def look(self, images_NCHW: np.ndarray) -> np.ndarray:
        rows_NF = super().look(images_NCHW)
        return rows_NF - rows_NF.mean(0)


class Tired(Rows):
    """Sees less each time."""

    def __init__(self) -> None:
        self.seen = 0

    def look(self, images_NCHW: np.ndarray) -> np.ndarray:
        self.seen += len(images_NCHW)
        return super().look(images_NCHW) / self.seen


class Learns(Rows):
    """Follows the real images, though it says that it is fixed."""

    mean = 0.0

    def fit(self, real_NCHW: np.ndarray) -> None:
        self.mean = float(real_NCHW.mean())

    def look(self, images_NCHW: np.ndarray) -> np.ndarray:
        return super().look(images_NCHW) - self.mean


class Inverts(Rows):
    """Changes the images."""

    def look(self, images_NCHW: np.ndarray) -> np.ndarray:
        images_NCHW[:] = 255 - images_NCHW
        return super().look(images_NCHW)


class Shares(Rows):
    """Probabilities that do not sum to 1."""

    def __call__(self, images_NCHW: np.ndarray) -> Features:
        seen = super().__call__(images_NCHW)
        return Features(seen.features_NF, 2 * seen.probabilities_NK)  # type: ignore[operator]


class Array(Rows):
    """An array alone."""

    def __call__(self, images_NCHW: np.ndarray) -> Any:
        return self.look(images_NCHW)


MISTAKES = {
    Loose: "`fixed` must be True (one network for everybody) or False",
    Single: "features_NF must be a float64 array (6, …); found float32",
    Maps: "features_NF must be a float64 array (6, …); found float64 of (6, 1, 32, 32)",
    Blind: "different images have the same features",
    Batch: "an image alone has other features than among others",
    Tired: "it says that it is `fixed`, and changes by `fit`",
    Learns: "it says that it is `fixed`, and changes by `fit`",
    Inverts: "it changes the images",
    Shares: "rows of probabilities must sum to 1",
    Array: "expected Features, found a ndarray",
}


@pytest.fixture(autouse=True)
def _offered() -> Iterator[None]:
    with offered("extractor", Rows, *MISTAKES):
        yield


def test_a_good_one_passes() -> None:
    check_extractor("Rows")
    check_extractor("Rows", info=tiny_info(3, 24))


def test_images_that_it_refuses(model: Path) -> None:
    with pytest.raises(AssertionError, match=r"it refuses images of \(3, 32, 32\)"):
        check_extractor({"name": "model", "path": str(model)}, info=tiny_info(3))


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
def test_each_mistake_is_named(mistake: type[Rows]) -> None:
    with pytest.raises(AssertionError, match=re.escape(MISTAKES[mistake])):
        check_extractor(mistake.__name__)
