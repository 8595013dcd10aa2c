"""The gate of collapse: different images must not become one."""

from __future__ import annotations

import math
from typing import Annotated, Any

import torch
from pydantic import Field

from adaptgan.data.gates.base import Trial, Verdict, enough, full_precision, settled
from adaptgan.data.gates.distances import nearest, pairwise, standardized


class NearDuplicates:
    """An image must not be nearly equal to an earlier one of its batch, unless what they were made from was.

    With d the root mean square difference of pixels, of images that are set to mean 0 and variance 1 first (so that
    fainter images are no nearer), an image j is a duplicate when for some i before it in the batch

        d(after_i, after_j) < threshold   and   d(after_i, after_j) < ½ d(before_i, before_j):

    nearer than source images come to each other, and drawn together by the translator. The threshold is the `quantile`
    of the distances of source images to their nearest neighbours among up to 1,024: in a batch, which is smaller,
    neighbours are further apart. A target domain that is much plainer than the source needs a lower `threshold`. From
    noise there is nothing before, and the first condition alone counts; then `threshold` must be given, for there is no
    source to set it by.

    The share that is rejected tells of collapse: how likely an image has a twin in a batch of this size. It says
    nothing of one that takes turns between more images than a batch has.

    Args:
        quantile: share of the source's images that come nearer to another than the threshold.
        threshold: the distance below which images are duplicates, instead of one set by the source.
    """

    name = "near_duplicates"

    def __init__(
        self,
        quantile: Annotated[float, Field(ge=0, lt=1)] = 0.01,
        threshold: Annotated[float, Field(ge=0, le=2)] | None = None,
    ) -> None:
        self.quantile, self.threshold = quantile, threshold

    @property
    def thresholds(self) -> dict[str, float]:
        """The distance below which images are duplicates."""
        return {} if self.threshold is None else {"threshold": self.threshold}

    @full_precision
    def calibrate(self, source: Trial) -> None:
        """Measure how near source images come to each other."""
        if self.threshold is None:
            enough(self.name, source)
            self.threshold = torch.quantile(nearest(pairwise(standardized(source.before_NCHW))), self.quantile).item()

    @full_precision
    def __call__(self, trial: Trial) -> Verdict:
        """Judge new images."""
        threshold = settled(self.name, "threshold", self.threshold)
        after_NN = pairwise(standardized(trial.after_NCHW))
        near_NN = after_NN < threshold
        if not trial.from_noise:
            near_NN &= after_NN < pairwise(standardized(trial.before_NCHW)) / 2
        passed_N = ~near_NN.tril(-1).any(1)
        nearest_N = nearest(after_NN).tolist()
        scores: list[dict[str, Any]] = [{self.name: round(d, 4) if math.isfinite(d) else None} for d in nearest_N]
        return Verdict(passed_N, scores, [f"nearly equal to another: {d:.3f} apart" for d in nearest_N])
