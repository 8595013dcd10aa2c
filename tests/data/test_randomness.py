from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from adaptgan.data import randomness
from adaptgan.data.randomness import mix64, mix64_torch, normal, record_seeds, uniform

SEEDS = torch.from_numpy(np.random.default_rng(1).integers(0, 2**63, 4000))


def test_mixer_gives_the_published_splitmix64_sequence() -> None:
    # The well-known first outputs for the state 1234567.
    expected = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    states = [(1234567 + (i + 1) * 0x9E3779B97F4A7C15) % 2**64 for i in range(5)]
    assert mix64(np.array(states, np.uint64)).tolist() == expected
    signed = torch.from_numpy(np.array(states, np.uint64).view(np.int64))
    assert mix64_torch(signed).numpy().view(np.uint64).tolist() == expected


def test_uniform_is_uniform_and_stays_below_one() -> None:
    draws = uniform(SEEDS, 0, 8)
    assert draws.shape == (4000, 8) and draws.dtype == torch.float32
    assert draws.min() >= 0 and draws.max() < 1
    assert stats.kstest(draws.flatten().numpy(), "uniform").pvalue > 0.01


def test_neighbouring_seeds_counters_views_and_streams_are_uncorrelated() -> None:
    seeds = torch.arange(4000)
    draws = uniform(seeds, 0, 2)
    others = [uniform(seeds + 1, 0, 1)[:, 0], draws[:, 1], uniform(seeds, 1, 1)[:, 0], uniform(seeds, 0, 1, 1)[:, 0]]
    assert stats.kstest(draws[:, 0].numpy(), "uniform").pvalue > 0.01
    for other in others:
        # 3.9 standard deviations of a correlation of 4000 pairs.
        assert abs(np.corrcoef(draws[:, 0].numpy(), other.numpy())[0, 1]) < 3.9 / np.sqrt(4000)
        assert not torch.equal(draws[:, 0], other)


def test_view_and_stream_do_not_stand_in_for_each_other() -> None:
    assert not torch.equal(uniform(SEEDS, 1, 1, 0), uniform(SEEDS, 0, 1, 1))


def test_normal_is_normal_and_its_columns_are_independent() -> None:
    draws = normal(SEEDS, 0, 5)
    assert draws.shape == (4000, 5)
    assert stats.kstest(draws.flatten().numpy(), "norm").pvalue > 0.01
    assert np.abs(np.corrcoef(draws.numpy().T) - np.eye(5)).max() < 3.9 / np.sqrt(4000)


@pytest.mark.parametrize("function", [uniform, normal])
def test_a_record_draws_the_same_in_any_batch(function: object) -> None:
    whole = function(SEEDS, 3, 7)  # type: ignore[operator]
    parts = torch.cat([function(SEEDS[i : i + 1], 3, 7) for i in range(20)])  # type: ignore[operator]
    assert torch.equal(whole[:20], parts)


def test_record_seeds_are_63_bits_and_differ_by_key_epoch_and_index() -> None:
    epochs = np.repeat(np.arange(50), 400)
    indices = np.tile(np.arange(400), 50)
    seeds = record_seeds(randomness.stream_key("a"), epochs, indices)
    assert seeds.dtype == np.int64 and seeds.min() >= 0
    assert len(set(seeds.tolist())) == len(seeds)
    assert not np.intersect1d(seeds, record_seeds(randomness.stream_key("b"), epochs, indices)).size
    assert stats.kstest(seeds / 2**63, "uniform").pvalue > 0.01
