from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from adaptgan.stages.inference import Reader


class Model(torch.nn.Module):
    """Predicts from the mean brightness; features are the pixels."""

    def predict(self, images: torch.Tensor) -> torch.Tensor:
        assert torch.is_inference_mode_enabled()
        bright = (images.mean((1, 2, 3)) + 1) / 2
        return torch.stack([1 - bright, bright], 1)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1)


@pytest.mark.parametrize("threads", [1, 2])
def test_batches_come_back_in_order(threads: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (333, 1, 4, 4), dtype=np.uint8)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        reader = Reader(Model(), torch.device("cpu"), 10)
        probabilities, features = reader.both(images)
        assert torch.get_num_threads() == threads  # left as it was
    finally:
        torch.set_num_threads(before)
    assert features is not None
    np.testing.assert_allclose(features, images.reshape(333, -1) / 127.5 - 1, atol=1e-6)
    np.testing.assert_allclose(probabilities[:, 1], images.mean((1, 2, 3)) / 255, atol=1e-6)
    np.testing.assert_array_equal(reader.predictions(images), (images.mean((1, 2, 3)) > 127.5).astype(int))


def test_one_pass_where_the_model_can() -> None:
    calls = []

    def one_pass(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        calls.append(len(images))
        return torch.ones(len(images), 2), torch.zeros(len(images), 3)

    model = SimpleNamespace(predict=None, features=None, predict_with_features=one_pass)
    probabilities, features = Reader(model, torch.device("cpu"), 4).both(np.zeros((6, 1, 2, 2), np.uint8))
    assert calls == [4, 2]
    assert features is not None
    assert (probabilities.shape, features.shape) == ((6, 2), (6, 3))


def test_a_model_without_features() -> None:
    model = SimpleNamespace(predict=lambda images: torch.ones(len(images), 2))
    assert Reader(model, torch.device("cpu"), 4).both(np.zeros((3, 1, 2, 2), np.uint8))[1] is None
