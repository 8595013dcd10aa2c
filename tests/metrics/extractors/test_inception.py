"""Inception-v3 in both layouts, each against its own library with the same random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torchvision.models import Inception3

from adaptgan.errors import DataError
from adaptgan.metrics.extractors.base import Compute
from adaptgan.metrics.extractors.inception import InceptionV3
from adaptgan.networks.inception import inception_v3, resize_as_tensorflow

CPU = Compute(torch.device("cpu"), 8)


def lively(network: nn.Module) -> nn.Module:
    """Random weights whose activations neither die out nor explode, and statistics that matter."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.1, 0.3)
    return network.eval()


def images(channels: int = 3) -> np.ndarray:
    coarse = np.random.default_rng(0).integers(0, 256, (2, channels, 10, 12), dtype=np.uint8)
    return coarse.repeat(4, 2).repeat(4, 3)


@pytest.fixture(scope="module")
def fid_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "fid.pth"
    torch.save(lively(inception_v3(1008)).state_dict(), path)
    return path


def test_the_fids_network_equals_torch_fidelitys(fid_weights: Path) -> None:
    theirs = FeatureExtractorInceptionV3(
        "theirs", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(fid_weights)
    )
    features, logits = theirs(torch.from_numpy(images()))
    seen = InceptionV3(str(fid_weights), CPU)(images())
    assert features.std() > 0.01 and (features[0] - features[1]).abs().max() > 0.01  # not all alike
    np.testing.assert_allclose(seen.features_NF, features.numpy(), rtol=1e-3, atol=1e-4 * features.max().item())
    assert seen.probabilities_NK is not None
    np.testing.assert_allclose(seen.probabilities_NK, logits.softmax(1).numpy(), rtol=1e-2, atol=1e-5)


def test_torchvisions_layout(tmp_path: Path) -> None:
    network = lively(Inception3(num_classes=1000, aux_logits=True, transform_input=False, init_weights=False))
    weights = {name: value for name, value in network.state_dict().items() if "num_batches_tracked" not in name}
    torch.save(weights, tmp_path / "inception.pth")  # old files lack the counters, and have the auxiliary head
    seen = InceptionV3(str(tmp_path / "inception.pth"), CPU)(images())
    resized = F.interpolate(torch.from_numpy(images()).float(), (299, 299), mode="bilinear", antialias=True)
    with torch.inference_mode():
        expected = network(resized / 127.5 - 1).softmax(1).numpy()
    np.testing.assert_allclose(seen.probabilities_NK, expected, rtol=1e-2, atol=1e-5)
    assert seen.features_NF.shape == (2, 2048)


def test_grey_images(fid_weights: Path) -> None:
    extractor = InceptionV3(str(fid_weights), CPU)
    grey = images(1)
    both = extractor(grey).features_NF, extractor(np.repeat(grey, 3, 1)).features_NF
    np.testing.assert_allclose(*both, rtol=1e-3, atol=1e-3)


def test_resizing_reads_from_i_times_scale() -> None:
    image = torch.tensor([[[[0.0, 10.0], [20.0, 30.0]]]])
    found = resize_as_tensorflow(image, 4)[0, 0]
    # Rows and columns 0, ½, 1 and 1½ of the small image; beyond the last pixel it is repeated.
    expected = torch.tensor([[0.0, 5, 10, 10], [10, 15, 20, 20], [20, 25, 30, 30], [20, 25, 30, 30]])
    assert torch.equal(found, expected)


class Anything:
    """What a pickle could make run."""


@pytest.mark.parametrize("kind", ["missing", "text", "pickled object", "list", "other network", "half"])
def test_a_file_that_is_not_its_weights_is_named(tmp_path: Path, kind: str, fid_weights: Path) -> None:
    path = tmp_path / "weights.pth"
    expected = {
        "missing": "no such weight file",
        "text": "no file of weights alone",
        "pickled object": "no file of weights alone",
        "list": "expected a state dict.*found list",
        "other network": r"not the weights of an Inception-v3.*found `fc.weight` of \(10, 3\)",
        "half": "do not fit Inception3 .*missing.*Conv2d_1a_3x3",
    }[kind]
    if kind == "text":
        path.write_text("<html>not found</html>")
    elif kind == "pickled object":
        torch.save({"fc.weight": Anything()}, path)
    elif kind == "list":
        torch.save([1, 2], path)
    elif kind == "other network":
        torch.save({"fc.weight": torch.zeros(10, 3)}, path)
    elif kind == "half":
        torch.save({name: v for name, v in torch.load(fid_weights).items() if name.startswith("fc.")}, path)
    with pytest.raises(DataError, match=rf"(?s)weights\.pth: .*{expected}"):
        InceptionV3(str(path), CPU)
