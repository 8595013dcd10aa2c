"""Distances, and what the gates of extremes and of collapse make of them, against NumPy and SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from adaptgan.data.gates import DistanceToSource, NearDuplicates, Trial
from adaptgan.data.gates.distances import nearest, pairwise, rms, standardized
from adaptgan.errors import ParamsError
from adaptgan.testing.gates import pictures


def images(n: int = 12, shape: tuple[int, ...] = (1, 6, 5), seed: int = 0) -> torch.Tensor:
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def reference(one: torch.Tensor) -> np.ndarray:
    flat = one.flatten(1).double().numpy()
    return cdist(flat, flat) / math.sqrt(flat.shape[1])


def test_distances() -> None:
    one, other = images(seed=1), images(seed=2)
    np.testing.assert_allclose(pairwise(one).numpy(), reference(one), atol=1e-6)
    expected = [math.sqrt(float(((a - b).double() ** 2).mean())) for a, b in zip(one, other, strict=True)]
    np.testing.assert_allclose(rms(one, other).numpy(), expected, rtol=1e-6)
    expected = [min(row[j] for j in range(len(one)) if j != i) for i, row in enumerate(reference(one))]
    np.testing.assert_allclose(nearest(pairwise(one)).numpy(), expected, atol=1e-6)


def test_nearly_equal_images_keep_their_distance() -> None:
    one = torch.full((1, 3, 32, 32), 0.9)
    assert pairwise(torch.cat([one, one - 1e-4]))[0, 1].item() == pytest.approx(1e-4, rel=0.01)


def test_large_images_are_compared_small() -> None:
    tall = images(4, (1, 128, 64))
    small = tall.view(4, 1, 64, 2, 32, 2).mean((3, 5))
    np.testing.assert_allclose(pairwise(tall).numpy(), reference(small), atol=1e-6)
    torch.testing.assert_close(rms(tall[:2], tall[2:]), rms(small[:2], small[2:]))


def test_standardized_distances_are_correlations() -> None:
    one = images()
    r = np.corrcoef(one.flatten(1).double().numpy())
    np.testing.assert_allclose(pairwise(standardized(one)).numpy(), np.sqrt(2 - 2 * r.clip(-1, 1)), atol=1e-5)
    torch.testing.assert_close(standardized(0.2 * one + 0.4), standardized(one), atol=1e-5, rtol=0)
    assert standardized(torch.full((2, 1, 4, 4), 0.3)).abs().max() < 1e-4


def test_bounds_come_from_the_source() -> None:
    source = images()
    gate = DistanceToSource(identity=0.2, quantile=0.3)
    gate.calibrate(Trial(source, source))
    distances = reference(source)
    np.fill_diagonal(distances, np.inf)
    assert gate.thresholds["smallest"] == pytest.approx(0.2 * np.sort(distances.min(1))[5], rel=1e-5)
    assert gate.thresholds["largest"] == pytest.approx(np.quantile(distances[np.triu_indices(12, 1)], 0.3), rel=1e-5)
    given = DistanceToSource(smallest=0.0, largest=0.5)
    given.calibrate(Trial(source, source))
    assert given.thresholds == {"smallest": 0.0, "largest": 0.5}


def test_identity_and_runaway() -> None:
    before = images(4)
    after = before + torch.tensor([0.0, 0.05, 0.2, 0.6])[:, None, None, None]
    verdict = DistanceToSource(smallest=0.1, largest=0.4)(Trial(before, after))
    assert verdict.passed_N.tolist() == [False, False, True, False]
    assert [score["distance_to_source"] for score in verdict.scores] == pytest.approx([0, 0.05, 0.2, 0.6], abs=1e-4)
    assert "unchanged: 0.050" in verdict.reason[1]
    assert "ran away: 0.600" in verdict.reason[3]


def test_before_of_other_size_and_channels() -> None:
    before = torch.tensor([0.5, -0.5])[:, None, None, None].expand(2, 1, 4, 4)
    after = before.repeat(1, 3, 2, 2) + 0.1
    found = DistanceToSource(smallest=0.0, largest=2.0)(Trial(before, after)).scores
    assert [score["distance_to_source"] for score in found] == [0.1, 0.1]
    colour = torch.stack([torch.full((4, 4), level) for level in (0.0, 0.3, 0.6)])[None]
    found = DistanceToSource(smallest=0.0, largest=2.0)(Trial(colour, torch.full((1, 1, 4, 4), 0.4))).scores
    assert found == [{"distance_to_source": 0.1}]


def test_a_collapse_is_seen_and_the_first_is_kept() -> None:
    before = images(6)
    after = images(6, seed=1)
    after[3] = 0.5 * after[1] + 0.2  # the same, fainter
    after[5] = after[1]
    verdict = NearDuplicates(threshold=0.1)(Trial(before, after))
    assert verdict.passed_N.tolist() == [True, True, True, False, True, False]
    assert verdict.scores[1]["near_duplicates"] < 0.01 < verdict.scores[0]["near_duplicates"]
    twins = before.clone()
    twins[3] = twins[1]  # one drawing, in the source twice
    assert NearDuplicates(threshold=0.1)(Trial(twins, after)).passed_N.tolist() == [True, True, True, True, True, False]
    assert not NearDuplicates(threshold=0.1)(Trial(after, after, from_noise=True)).passed_N[3]
    assert NearDuplicates(threshold=0.1)(Trial(after, after)).passed_N.all()
    assert NearDuplicates(threshold=0.1)(Trial(before[:1], after[:1])).scores == [{"near_duplicates": None}]


def test_the_threshold_is_how_near_source_images_come() -> None:
    source = pictures(40, seed=3)
    gate = NearDuplicates(quantile=0.25)
    gate.calibrate(source)
    r = np.corrcoef(source.after_NCHW.flatten(1).double().numpy())
    np.fill_diagonal(r, -np.inf)
    assert gate.thresholds["threshold"] == pytest.approx(np.quantile(np.sqrt(2 - 2 * r.max(1)), 0.25), rel=1e-4)


@pytest.mark.parametrize("gate", [DistanceToSource(), NearDuplicates()])
def test_without_a_source(gate: DistanceToSource | NearDuplicates) -> None:
    with pytest.raises(ParamsError, match="no source here. Give the option a value"):
        gate(Trial(images(), images(seed=1)))
    with pytest.raises(ParamsError, match="there is only one"):
        gate.calibrate(Trial(images(1), images(1)))
