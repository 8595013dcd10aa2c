"""The gate of extremes: a translation that changed nothing, or one that kept nothing."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field

from adaptgan.data.gates.base import Trial, Verdict, beside, enough, full_precision, refuse_noise, settled
from adaptgan.data.gates.distances import nearest, pairwise, rms


class DistanceToSource:
    """A new image must differ from what it was made from, but not as much as another image would.

    The distance d is the root mean square difference of pixels, in [0, 2]; an image passes when
    smallest ≤ d ≤ largest. Both are set by the source's own spread, unless they are given:

    - smallest = `identity` · the median distance of a source image to its nearest neighbour. What is far below what
      tells the most alike of source images apart is the image itself, handed on.
    - largest = the `quantile` of the distances between two different source images. What is further from its source
      than that has no more to do with it than another image has.

    It compares colours where they are, so it suits translators that stay near their input (SimGAN). One that changes
    colours or backgrounds altogether needs a `largest` of its own, or `edge_consistency` in its place.

    Args:
        identity: how far a translation must go, as a share of the distance between neighbours of the source.
        quantile: share of the source's other images that may be nearer than the translation.
        smallest: the smallest distance, instead of one set by the source; 0 lets unchanged images pass.
        largest: the largest distance, instead of one set by the source; 2 lets everything pass.
    """

    name = "distance_to_source"

    def __init__(
        self,
        identity: Annotated[float, Field(ge=0)] = 0.1,
        quantile: Annotated[float, Field(gt=0, le=1)] = 0.5,
        smallest: Annotated[float, Field(ge=0, le=2)] | None = None,
        largest: Annotated[float, Field(ge=0, le=2)] | None = None,
    ) -> None:
        self.identity, self.quantile, self.smallest, self.largest = identity, quantile, smallest, largest

    @property
    def thresholds(self) -> dict[str, float]:
        """Both bounds, as far as they are known."""
        bounds = {"smallest": self.smallest, "largest": self.largest}
        return {name: bound for name, bound in bounds.items() if bound is not None}

    @full_precision
    def calibrate(self, source: Trial) -> None:
        """Measure the source's own spread."""
        if self.smallest is not None and self.largest is not None:
            return
        enough(self.name, source)
        distances_NN = pairwise(source.before_NCHW)
        if self.smallest is None:
            self.smallest = self.identity * nearest(distances_NN).median().item()
        if self.largest is None:
            n = len(distances_NN)
            pairs = distances_NN[torch.ones(n, n, dtype=torch.bool, device=distances_NN.device).triu(1)]
            self.largest = torch.quantile(pairs, self.quantile).item()

    @full_precision
    def __call__(self, trial: Trial) -> Verdict:
        """Judge new images."""
        refuse_noise(self.name, trial)
        smallest = settled(self.name, "smallest", self.smallest)
        largest = settled(self.name, "largest", self.largest)
        distances_N = rms(beside(trial), trial.after_NCHW)
        values = distances_N.tolist()
        reasons = [
            f"as good as unchanged: {d:.3f} from its source" if d < smallest else f"ran away: {d:.3f} from its source"
            for d in values
        ]
        scores: list[dict[str, Any]] = [{self.name: round(d, 4)} for d in values]
        return Verdict((distances_N >= smallest) & (distances_N <= largest), scores, reasons)
