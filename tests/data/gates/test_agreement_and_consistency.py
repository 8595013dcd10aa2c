"""What the gates of labels, edges and masks ask for, and what they let pass."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from adaptgan.data.gates import ClassifierAgreement, EdgeConsistency, MaskConsistency, Trial
from adaptgan.data.gates.places import directions, moved
from adaptgan.errors import ParamsError
from adaptgan.methods.base import Guard
from adaptgan.testing.data import tiny_info
from adaptgan.testing.gates import pictures, reading_guard

Places = EdgeConsistency | MaskConsistency
SOURCE = pictures(60, seed=0)
OTHERS = pictures(60, seed=1)


def with_after(trial: Trial, images: torch.Tensor) -> Trial:
    return dataclasses.replace(trial, after_NCHW=images)


def share(gate: Places, trial: Trial) -> float:
    return gate(trial).passed_N.float().mean().item()


def confidences(trial: Trial) -> np.ndarray:
    """What the guard of the tests gives the label, by the shortest way."""
    assert trial.labels_N is not None
    logits = reading_guard(tiny_info()).classifier(trial.after_NCHW).double().numpy()
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return p[np.arange(len(p)), trial.labels_N.numpy()]


def test_labels_are_read_and_believed() -> None:
    guard = reading_guard(tiny_info())
    wrong = dataclasses.replace(SOURCE, labels_N=(SOURCE.labels_N + 1) % 3)  # type: ignore[operator]
    assert ClassifierAgreement(guard)(SOURCE).passed_N.all()
    verdict = ClassifierAgreement(guard)(wrong)
    assert not verdict.passed_N.any()
    assert verdict.reason[0] == "read as class 0, not class 1"
    assert [score["classifier_agreement"] for score in verdict.scores] == pytest.approx(confidences(wrong), abs=1e-4)


def test_confidence_from_the_source() -> None:
    """A share of the source's own images is below, to within one image; a fixed confidence is never lowered."""
    torch.manual_seed(0)
    noisy = with_after(SOURCE, SOURCE.after_NCHW + 0.5 * torch.randn(SOURCE.after_NCHW.shape))
    gate = ClassifierAgreement(reading_guard(tiny_info()), quantile=0.3)
    gate.calibrate(noisy)
    assert gate.thresholds["min_confidence"] == pytest.approx(np.quantile(confidences(noisy), 0.3), abs=1e-5)
    stricter = ClassifierAgreement(reading_guard(tiny_info()), min_confidence=0.999999, quantile=0.3)
    stricter.calibrate(noisy)
    assert stricter.thresholds == {"min_confidence": 0.999999}
    fixed = ClassifierAgreement(reading_guard(tiny_info()), min_confidence=0.5)
    fixed.calibrate(noisy)
    assert fixed.thresholds == {"min_confidence": 0.5}


def test_what_agreement_cannot_do_without() -> None:
    with pytest.raises(ParamsError, match="no classifier to ask"):
        ClassifierAgreement(Guard())(SOURCE)
    with pytest.raises(ParamsError, match="no labels to ask about"):
        ClassifierAgreement(reading_guard(tiny_info()))(dataclasses.replace(SOURCE, labels_N=None))
    with pytest.raises(ParamsError, match="Give `min_confidence` instead"):
        ClassifierAgreement(reading_guard(tiny_info()), quantile=0.1)(SOURCE)


@pytest.mark.parametrize("kind", [EdgeConsistency, MaskConsistency])
def test_false_translations_of_the_source_fail(kind: type[Places]) -> None:
    """At most the quantile of moved and of exchanged images passes, on the sample and about so on others."""
    gate = kind(quantile=0.1)
    gate.calibrate(SOURCE)
    assert share(gate, SOURCE) == 1
    assert share(gate, with_after(SOURCE, torch.full_like(SOURCE.after_NCHW, 0.2))) == 0
    for way in directions(2):
        assert share(gate, with_after(SOURCE, moved(SOURCE.after_NCHW, *way))) < 0.25
        assert share(gate, with_after(OTHERS, moved(OTHERS.after_NCHW, *way))) < 0.25
    by = torch.tensor([share(gate, with_after(SOURCE, SOURCE.after_NCHW.roll(k, 0))) for k in (1, 2, 3)])
    assert by.mean() <= 0.1 + 1e-6
    assert share(gate, with_after(OTHERS, OTHERS.after_NCHW.roll(5, 0))) < 0.3


@pytest.mark.parametrize("kind", [EdgeConsistency, MaskConsistency])
def test_good_translations_pass(kind: type[Places]) -> None:
    gate = kind()
    gate.calibrate(SOURCE)
    after = OTHERS.after_NCHW
    noise = torch.randn(after.shape, generator=torch.Generator().manual_seed(1))
    ramp = torch.linspace(-0.4, 0.4, 32)[None, None, :, None]
    good = {
        "inverted": -after,
        "faint": 0.3 * after,
        "noisy": after + 0.1 * noise,
        "lit": 0.6 * after + ramp,
        "colour": torch.cat([after, -after, 0 * after], 1),
        "one pixel": moved(after, 0, 1),
    }
    for name, images in good.items():
        assert share(gate, with_after(OTHERS, images.clamp(-1, 1))) > 0.9, name
    large = F.interpolate(after, scale_factor=2.0, mode="bilinear", align_corners=False)
    assert share(kind(threshold=0.3), with_after(OTHERS, large)) > 0.9


def test_scores() -> None:
    verdict = EdgeConsistency(threshold=0.0)(SOURCE)
    assert [score["edge_consistency"] for score in verdict.scores] == pytest.approx([1.0] * 60, abs=1e-4)
    grey = with_after(SOURCE, torch.zeros_like(SOURCE.after_NCHW))
    assert all(abs(score["edge_consistency"]) < 1e-3 for score in EdgeConsistency(threshold=0.1)(grey).scores)
    flat = Trial(torch.zeros(2, 1, 32, 32), SOURCE.after_NCHW[:2])  # nothing was there that could have moved
    assert EdgeConsistency(threshold=0.5)(flat).passed_N.all()


def test_a_mask_that_could_not_be_seen_asks_nothing() -> None:
    blank = dataclasses.replace(SOURCE, masks_NHW=torch.zeros_like(SOURCE.masks_NHW))  # type: ignore[arg-type]
    assert MaskConsistency(threshold=0.5)(with_after(blank, OTHERS.after_NCHW)).passed_N.all()
    with pytest.raises(ParamsError, match="no edges in any of the source images"):
        MaskConsistency().calibrate(blank)
    with pytest.raises(ParamsError, match="needs records with a `mask`"):
        MaskConsistency(threshold=0.5)(dataclasses.replace(SOURCE, masks_NHW=None))


@pytest.mark.parametrize("kind", [EdgeConsistency, MaskConsistency])
def test_without_source_or_before(kind: type[Places]) -> None:
    with pytest.raises(ParamsError, match="sets its `threshold` by the source"):
        kind()(SOURCE)
    with pytest.raises(ParamsError, match="made from nothing"):
        kind(threshold=0.1)(dataclasses.replace(SOURCE, from_noise=True))
