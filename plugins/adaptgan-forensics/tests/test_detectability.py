"""The metric: nothing to detect between halves of one set, everything in sets that differ."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from adaptgan_forensics.detectability import Detectability
from pictures import generated_images, real_images

from adaptgan.errors import DataError
from adaptgan.metrics.realism import explained, measure_images, wants

QUICK = {"steps": 40, "batch_size": 32}


def test_it_is_given_images_and_explains_its_numbers() -> None:
    metric = Detectability(**QUICK)
    assert wants(metric) == "images"
    found = metric(generated_images(40, 1)[:, None], real_images(40, 2)[:, None], 0)
    assert found.keys() == explained([metric]).keys()


def test_halves_of_one_set_and_a_set_that_differs() -> None:
    sets = {"target": real_images(600, 0)[:, None], "adapted": generated_images(300, 1)[:, None]}
    found = measure_images(sets, "target", {"detectability": Detectability(**QUICK)}, seed=0)
    floor, made = found["floor"], found["adapted"]
    assert 0.38 < floor["detectability"] < 0.62 and 0.38 < floor["spectral_detectability"] < 0.62
    assert abs(floor["detection_bits"]) < 0.1  # calibration makes a detector that knows nothing say so
    assert made["detectability"] > 0.95 and made["spectral_detectability"] > 0.95
    assert made["detection_accuracy"] > 0.9
    assert 0.6 < made["detection_bits"] <= 1 and 0 <= made["detection_ece"] < 0.1


def test_the_seed_decides_and_nobody_elses_draws_are_touched() -> None:
    one, other = generated_images(60, 1)[:, None], real_images(50, 2)[:, None]
    metric = Detectability(steps=3)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = metric(one, other, 0)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert metric(one, other, 0) == first
    assert metric(one, other, 1) != first


def test_more_images_than_asked_for_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    metric = Detectability(images=30, steps=1)
    seen: list[tuple[int, ...]] = []
    trained = metric._trained

    def keep(images: torch.Tensor, labels: np.ndarray, seed: int) -> torch.nn.Module:
        seen.append((len(images), int(labels.sum())))
        return trained(images, labels, seed)

    monkeypatch.setattr(metric, "_trained", keep)
    metric(real_images(90, 1)[:, None], real_images(50, 2)[:, None], 0)
    assert seen == [(30, 15)]  # half of 30 of either set


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(DataError, match=r"\(1, 16, 16\) and \(3, 16, 16\)"):
        Detectability()(real_images(40, 0)[:, None], np.repeat(real_images(40, 0)[:, None], 3, 1), 0)
    with pytest.raises(DataError, match="20 images of each set; found 19"):
        Detectability()(real_images(19, 0)[:, None], real_images(40, 0)[:, None], 0)
