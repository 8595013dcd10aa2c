"""The gate of places: the edges of an image must still be where they were."""

from __future__ import annotations

import torch

from adaptgan.data.gates.base import Trial, Verdict, beside, full_precision, refuse_noise
from adaptgan.data.gates.place_gate import PlaceGate
from adaptgan.data.gates.places import FLOOR, edges, fit


class EdgeConsistency(PlaceGate):
    """Edges of the image before must be edges of the new one, at the same place to within a tolerance.

    Edges are lengths of gradients of the smoothed image, so inverted or changed colours do not matter. With f the
    advantage of the own place over places further off (`places.fit`), the score of an image is

        f(edges before, edges after) / f(edges before, edges before):

    1 when all edges are where they were, about 0 when the new edges have nothing to do with the old, negative when they
    fit better elsewhere: the image was moved. New texture lowers it, and does not turn its sign.

    What is asked for is set by the source: false translations of its images are scored, namely other source images in
    their place, and the images themselves moved by `tolerance` + 1 pixels to all sides; all but `quantile` of either
    must fail. It is never below 0.05, for a blank image scores 0.

    Args:
        tolerance: pixels by which edges may move.
        quantile: share of the false translations that may pass.
        threshold: the smallest score, instead of one set by the source; -100 rejects nothing.
    """

    name = "edge_consistency"
    lost = "edges are not where they were"

    @full_precision
    def calibrate(self, source: Trial) -> None:
        """Score false translations of the source."""
        if self.threshold is None:
            edges_NHW = edges(source.before_NCHW, self.tolerance)
            self.reject(source, edges_NHW, lambda false_NHW: self._scores(edges_NHW, false_NHW))

    @full_precision
    def __call__(self, trial: Trial) -> Verdict:
        """Judge new images."""
        refuse_noise(self.name, trial)
        before_NHW = edges(beside(trial), self.tolerance)
        return self.verdict(self._scores(before_NHW, edges(trial.after_NCHW, self.tolerance)))

    def _scores(self, before_NHW: torch.Tensor, after_NHW: torch.Tensor) -> torch.Tensor:
        own_N = fit(before_NHW, before_NHW, self.tolerance).clamp(min=FLOOR)
        scores_N = fit(before_NHW, after_NHW, self.tolerance) / own_N
        # Nothing was there that could have moved.
        return torch.where(before_NHW.flatten(1).amax(1) < 1e-3, torch.ones_like(scores_N), scores_N)
