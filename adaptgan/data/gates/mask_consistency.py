"""The gate of label maps: what a mask outlines must still be there."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from adaptgan.data.gates.base import Trial, Verdict, beside, full_precision, refuse_noise
from adaptgan.data.gates.place_gate import PlaceGate
from adaptgan.data.gates.places import FLOOR, boundaries, edges, fit
from adaptgan.errors import ParamsError


class MaskConsistency(PlaceGate):
    """Boundaries of the record's `mask` must be edges of the new image, as they were of the image before.

    With f the advantage of the own place over places further off (`places.fit`), the score of an image is

        f(boundaries of the mask, edges after) / f(boundaries of the mask, edges before):

    1 when they agree as well as before, about 0 when the new image shows nothing of the mask, negative when it shows it
    elsewhere. Where the mask could not be seen in the image before either, nothing is asked: the score is 1.

    What is asked for is set by the source: its masks are held against other source images, and moved by `tolerance` + 1
    pixels to all sides against their own; all but `quantile` of either must fail. It is never below 0.05, for a blank
    image scores 0.

    Args:
        tolerance: pixels by which boundaries and edges may differ.
        quantile: share of the wrong masks that may pass.
        threshold: the smallest score, instead of one set by the source.
    """

    name = "mask_consistency"
    needs_masks = True
    lost = "the mask's outlines are not where they were"

    @full_precision
    def calibrate(self, source: Trial) -> None:
        """Score wrong masks of the source."""
        if self.threshold is not None:
            return
        outlines_NHW, before_NHW = self._maps(source)
        visible_N = fit(outlines_NHW, before_NHW, self.tolerance) >= FLOOR
        if not visible_N.any():
            raise ParamsError(
                f"the gate {self.name}: the boundaries of the masks are no edges in any of the source images; nothing "
                "can be asked of new ones. Leave it out of `gate`."
            )
        self.reject(source, before_NHW, lambda false_NHW: self._scores(outlines_NHW, before_NHW, false_NHW)[visible_N])

    @full_precision
    def __call__(self, trial: Trial) -> Verdict:
        """Judge new images."""
        refuse_noise(self.name, trial)
        outlines_NHW, before_NHW = self._maps(trial)
        return self.verdict(self._scores(outlines_NHW, before_NHW, edges(trial.after_NCHW, self.tolerance)))

    def _maps(self, trial: Trial) -> tuple[torch.Tensor, torch.Tensor]:
        """Outlines of the masks and edges of the images before, both (N, H', W') as the new images are."""
        if trial.masks_NHW is None:
            raise ParamsError(f"the gate {self.name} needs records with a `mask`. Leave it out of `gate`.")
        masks_NHW, size = trial.masks_NHW, trial.after_NCHW.shape[2:]
        if masks_NHW.shape[1:] != size:
            masks_NHW = F.interpolate(masks_NHW[:, None].double(), size, mode="nearest-exact")[:, 0].long()
        return boundaries(masks_NHW, self.tolerance), edges(beside(trial), self.tolerance)

    def _scores(self, outlines_NHW: torch.Tensor, before_NHW: torch.Tensor, after_NHW: torch.Tensor) -> torch.Tensor:
        seen_N = fit(outlines_NHW, before_NHW, self.tolerance)
        scores_N = fit(outlines_NHW, after_NHW, self.tolerance) / seen_N.clamp(min=FLOOR)
        return torch.where(seen_N < FLOOR, torch.ones_like(scores_N), scores_N)
