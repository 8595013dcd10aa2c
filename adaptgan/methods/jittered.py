"""What translators share that change source images at random before they translate them."""

from __future__ import annotations

import torch

from adaptgan.data.augmentation import Augmentation
from adaptgan.data.batch import Batch


class Jittered:
    """Mixed into a method that has `jitter`."""

    jitter: Augmentation

    def synthetic(self, batch: Batch) -> torch.Tensor:
        """x: the source images, jittered once for all that look at them."""
        if "synthetic" not in batch.shared:
            batch.shared["synthetic"] = self.jitter(batch.source.images_NCHW, batch.source.seeds_N)
        x_NCHW: torch.Tensor = batch.shared["synthetic"]
        return x_NCHW
