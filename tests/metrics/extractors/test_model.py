from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adaptgan.data.images import to_float
from adaptgan.datainfo import DataInfo
from adaptgan.errors import AdaptganError, DataError, ParamsError
from adaptgan.files import staged
from adaptgan.methods.base import Guard
from adaptgan.metrics.extractors.base import Compute
from adaptgan.metrics.extractors.model import TrainedModel
from adaptgan.models import load_model, save_model
from adaptgan.plugins import components
from tests.evaluated import METHOD

INFO = DataInfo(1, 12, 12, ("a", "b", "c"))
CPU = Compute(torch.device("cpu"), 7)


def saved(folder: Path, config: Any, info: DataInfo = INFO) -> Path:
    torch.manual_seed(0)
    method = components().build("method", config, "method", [info, Guard()])
    with staged(folder) as out:
        save_model(method, {"method": components().resolve("method", config, "method"), "data": asdict(info)}, out)
    return folder


def test_it_is_the_models_own_reading(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", METHOD)
    images = np.random.default_rng(0).integers(0, 256, (20, 1, 12, 12), dtype=np.uint8)
    seen = components().build("extractor", {"name": "model", "path": str(folder)}, "extractor", [CPU])(images)
    model: Any = load_model(folder)
    x = to_float(torch.from_numpy(images))
    np.testing.assert_allclose(seen.features_NF, model.features(x).numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(seen.probabilities_NK, model.predict(x).numpy(), rtol=1e-4, atol=1e-6)
    assert seen.probabilities_NK.shape == (20, 3)


def test_images_of_another_shape_are_refused(tmp_path: Path) -> None:
    extractor = TrainedModel(str(saved(tmp_path / "model", METHOD)), CPU)
    with pytest.raises(DataError, match=r"reads images of \(1, 12, 12\).*these are \(3, 12, 12\)"):
        extractor(np.zeros((2, 3, 12, 12), np.uint8))


def test_what_is_no_classifier_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="'simgan' is no classifier"):
        TrainedModel(str(saved(tmp_path / "refiner", {"name": "simgan"})), CPU)
    values = DataInfo(1, 12, 12, (), "regression", ("x",), ((0.0, 1.0),))
    with pytest.raises(ParamsError, match="'supervised' is no classifier"):
        TrainedModel(str(saved(tmp_path / "values", METHOD, values)), CPU)
    with pytest.raises(AdaptganError, match="no model folder"):
        TrainedModel(str(tmp_path), CPU)
