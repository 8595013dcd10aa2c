"""Inception-v3 from a weight file of one's own: the space of the published FID, KID and Inception Scores."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch.nn import functional as F

from adaptgan.errors import DataError
from adaptgan.metrics.extractors.base import Compute, Extractor, Features
from adaptgan.metrics.extractors.weights import fill, read_weights, to_colour
from adaptgan.metrics.inference import in_batches
from adaptgan.networks.inception import (
    FEATURES,
    FID_CLASSES,
    SIZE,
    inception_v3,
    logits_and_features,
    resize_as_tensorflow,
)


class InceptionV3(Extractor):
    """The 2,048 features and the classes of Inception-v3 (Szegedy 2016). The weight file tells the layout.

    With 1,008 classes it is the network that defines the FID (`pt_inception-2015-12-05-6726825d.pth` of pytorch-fid,
    or `weights-inception-2015-12-05-6726825d.pth` of torch-fidelity): images are resized as TensorFlow 1 did and
    normalized by (x − 128) / 128, and probabilities leave out the last layer's bias, as the Inception Score's code
    does. With 1,000 classes it is torchvision's (`inception_v3_google-0cc3c7bd.pth`): a common bilinear resize to
    299×299 and [−1, 1]; its distances are not the published FID. Nothing is downloaded.

    Args:
        path: the weight file, torch's (a state dict alone) or safetensors.
        compute: where it runs.

    Raises:
        DataError: the file is missing, is no state dict, or does not fit.
    """

    fixed: ClassVar[bool] = True

    def __init__(self, path: str, compute: Compute) -> None:
        self.compute = compute
        weights = {name: value for name, value in read_weights(Path(path)).items() if not name.startswith("AuxLogits.")}
        last = weights.get("fc.weight")
        if last is None or last.ndim != 2 or last.shape[1] != FEATURES:
            found = "no `fc.weight`" if last is None else f"`fc.weight` of {tuple(last.shape)}"
            raise DataError(
                f"{path}: these are not the weights of an Inception-v3: expected `fc.weight` of (1008, {FEATURES}), "
                f"the FID's network, or (1000, {FEATURES}), torchvision's; found {found}."
            )
        self.original = len(last) == FID_CLASSES
        network = inception_v3(len(last))
        fill(network, weights, Path(path))
        self.bias_K = weights["fc.bias"].to(compute.device)
        self.network = network.to(compute.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]

    def __call__(self, images_NCHW: np.ndarray) -> Features:
        """Of images of any size, grey or colour."""
        found = in_batches(self._forward, images_NCHW, self.compute.device, self.compute.batch())
        return Features(found[1], found[0])

    def _forward(self, batch_NCHW: torch.Tensor) -> tuple[torch.Tensor, ...]:
        images = to_colour(batch_NCHW)
        if self.original:
            images = (resize_as_tensorflow(images, SIZE) - 128) / 128
        else:
            images = F.interpolate(images, (SIZE, SIZE), mode="bilinear", align_corners=False, antialias=True)
            images = images / 127.5 - 1
        images = images.contiguous(memory_format=torch.channels_last)
        logits_NK, features_NF = logits_and_features(self.network, images)
        if self.original:
            logits_NK = logits_NK - self.bias_K
        return logits_NK.softmax(1), features_NF
