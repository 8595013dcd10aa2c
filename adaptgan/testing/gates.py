"""The check of a gate: what it is shown, what it says, and what it must not remember."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from adaptgan.data.gates import Gate, Trial, Verdict
from adaptgan.data.gates.places import moved
from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.methods.base import Guard
from adaptgan.plugins import components
from adaptgan.testing.checks import check_component
from adaptgan.testing.data import tiny_info
from adaptgan.testing.devices import moved as moved_to
from adaptgan.testing.devices import other_device

N = 24


def check_gate(config: Any) -> Gate:
    """A gate keeps its promises: see the messages of the assertions.

    It is built for made-up pictures of 32×32 pixels with labels and masks, and a guard that reads them. Having seen the
    source, it judges translations that are good, bad and useless: it lets some image pass and rejects some, says for
    each what it measured and why not, on the images' device, and says the same again after other batches, under
    autocast, and without changing what it is shown. Where it cannot judge (images from noise, without labels, without
    masks), it raises a ParamsError and nothing else. Where there is a GPU, it judges there, too.

    Args:
        config: its name, or `{name: …, option: …}`.

    Returns:
        The gate, calibrated.
    """
    name = config if isinstance(config, str) else config["name"]
    check_component("gate", name)
    source = pictures(N, seed=0)
    gate: Gate = _built(config, source)
    assert getattr(gate, "name", None) == name, f"{name}: its `name` is {getattr(gate, 'name', None)!r}"
    if hasattr(gate, "calibrate"):
        _check_calibration(gate, config, source)
    trials = translations(pictures(N, seed=1))
    verdicts = {what: _verdict(gate, trial, f"{name}, {what}") for what, trial in trials.items()}
    passed = torch.cat([verdict.passed_N for verdict in verdicts.values()])
    assert passed.any(), f"{name}: it rejects every image, of whatever translation"
    assert not passed.all(), f"{name}: it lets every image pass: moved, exchanged, unchanged, collapsed to one"
    for what, trial in reversed(trials.items()):
        _same(verdicts[what], _verdict(gate, trial, name), f"{name}, {what}: judged differently after other batches")
        alone = _verdict(copy.deepcopy(gate), trial, name)
        _same(verdicts[what], alone, f"{name}, {what}: a copy of the gate judges differently")
        with torch.autocast("cpu", torch.bfloat16):
            _verdict(gate, trial, f"{name}, {what}, under autocast")
    _check_lacking(gate, name, trials["identity"])
    if torch.cuda.is_available():
        there = _built(config, moved_to(source, other_device()))
        for what, trial in trials.items():
            _verdict(there, moved_to(trial, other_device()), f"{name}, {what}, on a GPU")
    return gate


def pictures(n: int, seed: int, info: DataInfo | None = None) -> Trial:
    """Made-up source images as their own translations: a bright shape for each class, somewhere on a dim ground.

    Class k is a rectangle of k + 1 horizontal bars; its pixels are 1 in the mask.

    Args:
        n: how many.
        seed: equal seeds give equal pictures.
        info: their shape and classes.
    """
    info = info or tiny_info()
    generator = torch.Generator().manual_seed(seed)
    labels_N = torch.arange(n) % info.n_classes
    masks_NHW = torch.zeros(n, info.height, info.width, dtype=torch.int64)
    for mask, label in zip(masks_NHW, labels_N.tolist(), strict=True):
        bars, gap = label + 1, 3
        height = 2 * gap * bars - gap
        width = int(torch.randint(6, 14, (), generator=generator))
        top = int(torch.randint(3, info.height - height - 3, (), generator=generator))
        left = int(torch.randint(3, info.width - width - 3, (), generator=generator))
        for bar in range(bars):
            mask[top + 2 * gap * bar : top + 2 * gap * bar + gap, left : left + width] = 1
    levels = torch.tensor([-0.6, 0.7])[masks_NHW]
    noise = torch.randn(n, info.channels, info.height, info.width, generator=generator) * 0.05
    images = (levels[:, None] + noise).clamp(-1, 1)
    return Trial(images, images.clone(), labels_N, masks_NHW)


def translations(source: Trial) -> dict[str, Trial]:
    """What translators make of a source: good, useless and wrong."""
    before = source.before_NCHW
    generator = torch.Generator().manual_seed(7)
    noise = torch.randn(before.shape, generator=generator)
    after = {
        "identity": before.clone(),
        "colours": (-0.6 * before + 0.2 + 0.1 * noise).clamp(-1, 1),
        "moved": moved(before, 3, 2),
        "exchanged": before.roll(1, 0),
        "collapsed": (before[:1] + 0.01 * noise).clamp(-1, 1),
        "grey": torch.zeros_like(before),
    }
    return {what: dataclasses.replace(source, after_NCHW=images) for what, images in after.items()}


class Reader(nn.Module):
    """A classifier of `pictures` without training: (N, C, H, W) -> logits (N, K), by the number of bright rows."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """Minus the squared distance of the number of rows to that of each class."""
        bright_N = (images_NCHW.float().mean(1) > 0).sum(2).gt(2).sum(1)
        rows_K = 3 * torch.arange(1, self.classes + 1, device=bright_N.device)
        return -0.5 * (bright_N[:, None] - rows_K).float().square()


def reading_guard(info: DataInfo) -> Guard:
    """A guard that reads `pictures`."""
    return Guard(SimpleNamespace(predictor=lambda: Reader(info.n_classes), info=info))


def _built(config: Any, source: Trial) -> Any:
    info = tiny_info()
    gate = components().build("gate", config, "gate", [info, reading_guard(info)])
    if hasattr(gate, "calibrate"):
        gate.calibrate(source)
    return gate


def _check_calibration(gate: Any, config: Any, source: Trial) -> None:
    thresholds = getattr(gate, "thresholds", None)
    assert isinstance(thresholds, dict) and thresholds, (
        f"{gate.name}: it is calibrated, so it must say what it asks for, in `thresholds: dict[str, float]`"
    )
    for option, value in thresholds.items():
        assert type(value) is float and math.isfinite(value), (
            f"{gate.name}.thresholds[{option!r}]: expected a finite number, found {value!r}"
        )
    again = _built(config, source).thresholds
    assert again == thresholds, f"{gate.name}: calibrated twice by the same images, {thresholds} became {again}"


def _verdict(gate: Any, trial: Trial, what: str) -> Verdict:
    shown = copy.deepcopy(trial)
    verdict = gate(trial)
    n = len(trial.after_NCHW)
    for field in dataclasses.fields(trial):
        mine, theirs = getattr(shown, field.name), getattr(trial, field.name)
        assert not isinstance(mine, torch.Tensor) or torch.equal(mine, theirs), f"{what}: it changed {field.name}"
    assert isinstance(verdict, Verdict), f"{what}: expected a Verdict, found a {type(verdict).__name__}"
    passed_N = verdict.passed_N
    assert passed_N.shape == (n,) and passed_N.dtype == torch.bool, (
        f"{what}: passed_N must be bool of shape ({n},), not {passed_N.dtype} of {tuple(passed_N.shape)}"
    )
    assert passed_N.device == trial.after_NCHW.device, f"{what}: passed_N lies on {passed_N.device}"
    assert len(verdict.scores) == len(verdict.reason) == n, f"{what}: scores and reasons are wanted for each image"
    for scores, reason, good in zip(verdict.scores, verdict.reason, passed_N.tolist(), strict=True):
        text = json.dumps(scores, allow_nan=False)  # they become part of a record
        assert json.loads(text) == scores, f"{what}: scores must be plain data, found {scores}"
        assert isinstance(reason, str) and (good or reason), f"{what}: an image is rejected without a reason"
    return verdict


def _same(one: Verdict, other: Verdict, message: str) -> None:
    alike = torch.equal(one.passed_N, other.passed_N) and one.scores == other.scores and one.reason == other.reason
    assert alike, f"{message}; a verdict depends on its own batch alone"


def _check_lacking(gate: Any, name: str, trial: Trial) -> None:
    """Trials that some gate cannot judge."""
    noise = dataclasses.replace(trial, before_NCHW=trial.after_NCHW, from_noise=True)
    unlabelled, unmasked = dataclasses.replace(trial, labels_N=None), dataclasses.replace(trial, masks_NHW=None)
    for what, lacking, needs in (
        ("images from noise", noise, None),
        ("no labels", unlabelled, "needs_labels"),
        ("no masks", unmasked, "needs_masks"),
    ):
        try:
            _verdict(gate, lacking, f"{name}, {what}")
        except ParamsError:
            assert needs is None or getattr(gate, needs, False), f"{name}: {what}: it refuses, and has no `{needs}`"
        else:
            assert needs is None or not getattr(gate, needs, False), f"{name}: {what}: it says `{needs}` and judges"
