"""What the gates of places share: a score of each image, and the least one, set by false translations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import Field

from adaptgan.data.gates.base import Trial, Verdict, enough, settled
from adaptgan.data.gates.places import FLOOR, directions, moved


class PlaceGate:
    """Scores that are 1 where things are where they were, and about 0 where nothing tells."""

    name: str
    lost: str
    """The reason why an image is rejected."""

    def __init__(
        self,
        tolerance: Annotated[int, Field(ge=1)] = 1,
        quantile: Annotated[float, Field(gt=0, lt=1)] = 0.05,
        threshold: float | None = None,
    ) -> None:
        self.tolerance, self.quantile, self.threshold = tolerance, quantile, threshold

    @property
    def thresholds(self) -> dict[str, float]:
        """The smallest score."""
        return {} if self.threshold is None else {"threshold": self.threshold}

    def reject(self, source: Trial, edges_NHW: torch.Tensor, scores: Callable[[torch.Tensor], torch.Tensor]) -> None:
        """Set the threshold so that false translations of the source fail, each kind of them but for `quantile`.

        They are other source images in an image's place, and the image moved by `tolerance` + 1 pixels to all sides.

        Args:
            source: the images.
            edges_NHW: theirs.
            scores: of edges in the place of `edges_NHW`.

        Raises:
            ParamsError: there are too few images.
        """
        enough(self.name, source)
        others = [edges_NHW.roll(by, 0) for by in (1, 2, 3) if by < len(edges_NHW)]
        shifts = [moved(edges_NHW, *way) for way in directions(self.tolerance + 1)]
        worst = [
            torch.quantile(torch.cat([scores(false) for false in kind]), 1 - self.quantile) for kind in (others, shifts)
        ]
        self.threshold = max(FLOOR, *(value.item() for value in worst))  # a blank image scores 0

    def verdict(self, scores_N: torch.Tensor) -> Verdict:
        """Whether scores reach the threshold."""
        threshold = settled(self.name, "threshold", self.threshold)
        scores = scores_N.tolist()
        return Verdict(
            scores_N >= threshold,
            [{self.name: round(score, 4)} for score in scores],
            [f"{self.lost}: {score:.2f}" for score in scores],
        )
