from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pytest

from adaptgan.data.sampler import Sampler
from adaptgan.errors import DataError, ParamsError


def test_each_epoch_holds_every_record_once_even_where_batches_straddle_epochs() -> None:
    sampler = Sampler(10, 4, seed=0)
    stream = np.concatenate([sampler.draw(number)[0] for number in range(10)])
    for epoch in range(4):
        assert sorted(stream[epoch * 10 : epoch * 10 + 10].tolist()) == list(range(10))
    assert stream[:10].tolist() != stream[10:20].tolist()


def test_batches_do_not_depend_on_the_order_of_calls() -> None:
    forwards = [Sampler(50, 16, seed=3).draw(number) for number in range(12)]
    sampler = Sampler(50, 16, seed=3)
    for number in (11, 0, 7, 7, 3):
        for a, b in zip(sampler.draw(number), forwards[number], strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("world", [2, 4])
def test_rank_slices_concatenate_to_the_whole_batch(world: int) -> None:
    whole = Sampler(30, 8, seed=1)
    ranks = [Sampler(30, 8, seed=1, rank=rank, world_size=world) for rank in range(world)]
    for number in (0, 3, 4):
        for part in (0, 1):
            joined = np.concatenate([rank.draw(number)[part] for rank in ranks])
            np.testing.assert_array_equal(joined, whole.draw(number)[part])


def test_a_batch_larger_than_the_data_takes_several_epochs() -> None:
    indices, seeds = Sampler(3, 9, seed=0).draw(0)
    assert Counter(indices.tolist()) == {0: 3, 1: 3, 2: 3}
    assert len(set(seeds.tolist())) == 9


def test_seeds_follow_epoch_and_index_not_the_batch() -> None:
    def by_record(batch_size: int) -> list[tuple[int, int]]:
        sampler = Sampler(12, batch_size, seed=5)
        draws = [sampler.draw(number) for number in range(24 // batch_size)]
        return [pair for indices, seeds in draws for pair in zip(indices.tolist(), seeds.tolist(), strict=True)]

    assert by_record(4) == by_record(12) == by_record(2)


def test_seed_and_salt_change_order_and_seeds() -> None:
    base = Sampler(100, 100, seed=0, salt="source").draw(0)
    for other in (Sampler(100, 100, seed=1, salt="source").draw(0), Sampler(100, 100, seed=0, salt="target").draw(0)):
        assert base[0].tolist() != other[0].tolist()
        assert set(base[1].tolist()).isdisjoint(other[1].tolist())


def test_first_places_are_evenly_taken() -> None:
    first = Counter(int(Sampler(5, 1, seed=seed).draw(0)[0][0]) for seed in range(1000))
    # 200 expected each; the standard deviation is 12.6.
    assert all(140 < first[record] < 260 for record in range(5))


def test_it_travels_to_a_worker() -> None:
    sampler = Sampler(20, 5, seed=2)
    sampler.draw(1)
    copy = pickle.loads(pickle.dumps(sampler))
    np.testing.assert_array_equal(copy.draw(6)[0], sampler.draw(6)[0])


def test_unequal_slices_and_no_records_are_refused() -> None:
    with pytest.raises(ParamsError, match="multiple of 3"):
        Sampler(10, 4, seed=0, world_size=3)
    with pytest.raises(DataError, match="no records"):
        Sampler(0, 4, seed=0)
