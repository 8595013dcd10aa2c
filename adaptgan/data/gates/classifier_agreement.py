"""The gate of labels: a classifier of the source must still read them."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field

from adaptgan.data.gates.base import Trial, Verdict
from adaptgan.errors import ParamsError
from adaptgan.methods.base import Guard

_CHUNK = 256


class ClassifierAgreement:
    """A frozen classifier of the source must still read the label on the new image.

    An image passes when argmax p(after) = label and p(label | after) ≥ t. With `quantile: q` the guard's own
    confidence on the source decides: t is the q-quantile of p(label | source image), so that a share q of the source's
    own images would be rejected. A translation may well be harder to read than clean source images are: begin with a
    small q, and look at what is rejected. On the pixels' classes of a `mask` it says nothing: see `mask_consistency`.

    CyCADA (Hoffman 2018, eq. 6) trains a translator by the same question.

    Args:
        guard: that classifier.
        min_confidence: smallest probability that it must give the label.
        quantile: raise `min_confidence` to what this share of the source's own images fall below; null leaves it.
    """

    name = "classifier_agreement"
    needs_labels = True

    def __init__(
        self,
        guard: Guard,
        min_confidence: Annotated[float, Field(ge=0, le=1)] = 0.0,
        quantile: Annotated[float, Field(ge=0, lt=1)] | None = None,
    ) -> None:
        self.guard, self.min_confidence, self.quantile = guard, min_confidence, quantile
        self._calibrated: float | None = None

    @property
    def thresholds(self) -> dict[str, float]:
        """The smallest confidence."""
        return {"min_confidence": max(self.min_confidence, self._calibrated or 0.0)}

    def calibrate(self, source: Trial) -> None:
        """Ask the guard about the source's own images."""
        if self.quantile is not None:
            _, given_N = self._read(source)
            self._calibrated = torch.quantile(given_N, self.quantile).item()

    def __call__(self, trial: Trial) -> Verdict:
        """Judge new images."""
        if self.quantile is not None and self._calibrated is None:
            raise ParamsError(
                f"the gate {self.name} sets its confidence by the source (`quantile`), and there is no source here. "
                "Give `min_confidence` instead."
            )
        read_N, given_N = self._read(trial)
        assert trial.labels_N is not None
        passed_N = (read_N == trial.labels_N) & (given_N >= self.thresholds["min_confidence"])
        classes = self.guard.model.info.classes
        reasons = [
            f"read as {classes[read]}, not {classes[label]}" if read != label else f"only {p:.2f} sure of the label"
            for read, label, p in zip(read_N.tolist(), trial.labels_N.tolist(), given_N.tolist(), strict=True)
        ]
        scores: list[dict[str, Any]] = [{self.name: round(p, 4)} for p in given_N.tolist()]
        return Verdict(passed_N, scores, reasons)

    def _read(self, trial: Trial) -> tuple[torch.Tensor, torch.Tensor]:
        """Which class the guard reads, int64 (N,), and how probable it holds the given one, float32 (N,)."""
        if self.guard.model is None or trial.labels_N is None:
            lacking = "classifier to ask (`--guard DIR`)" if self.guard.model is None else "labels to ask about"
            raise ParamsError(f"the gate {self.name} has no {lacking}. Without it: `gate: []`.")
        parts = [self.guard.classifier(part).float().softmax(1) for part in trial.after_NCHW.split(_CHUNK)]
        p_NK = torch.cat(parts)
        return p_NK.argmax(1), p_NK.gather(1, trial.labels_N[:, None])[:, 0]
