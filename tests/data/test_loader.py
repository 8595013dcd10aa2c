from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from adaptgan.data.dataset import ShardDataset, load_dataset
from adaptgan.data.loader import Loader
from adaptgan.errors import DataError, ParamsError, SealedLabelsError

FLIP = {"name": "HorizontalFlip", "p": 1.0}


@pytest.fixture
def dataset(tiny_source: Path) -> ShardDataset:
    return load_dataset(tiny_source)


@pytest.fixture
def make(dataset: ShardDataset) -> Iterator[Any]:
    made: list[Loader] = []

    def build(data: ShardDataset = dataset, **options: Any) -> Loader:
        made.append(Loader(data, **{"batch_size": 16, "seed": 0, "device": "cpu", **options}))
        return made[-1]

    yield build
    for loader in made:
        loader.close()


def same(a: Any, b: Any) -> bool:
    return all(torch.equal(getattr(a, name), getattr(b, name)) for name in ("images_NCHW", "labels_N", "seeds_N"))


def test_a_batch_is_made_of_records_of_the_data_set(make: Any, dataset: ShardDataset) -> None:
    side = make(batch_size=120).batch(0)
    assert side.images_NCHW.shape == (120, 1, 32, 32) and side.images_NCHW.dtype == torch.float32
    assert side.labels_N.dtype == side.seeds_N.dtype == torch.int64
    # One epoch is a permutation: every image comes once, beside its own label.
    by_pixels = {
        image.tobytes(): int(label) for image, label in zip(dataset.images_NCHW, dataset.labels_N, strict=True)
    }
    pixels = ((side.images_NCHW + 1) * 127.5).round().to(torch.uint8).numpy()
    assert {image.tobytes() for image in pixels} == set(by_pixels)
    assert [by_pixels[image.tobytes()] for image in pixels] == side.labels_N.tolist()


@pytest.mark.parametrize("workers", [0, 2])
def test_device_and_stream_give_bit_equal_batches_in_any_order(make: Any, workers: int) -> None:
    device = make(loading="device")
    stream = make(loading="stream", workers=workers)
    assert (device.loading, stream.loading) == ("device", "stream")
    for number in (0, 1, 2, 9, 7, 7, 8, 0, 1000):
        assert same(stream.batch(number), device.batch(number)), number


@pytest.mark.parametrize("workers", [0, 1])
def test_loading_draws_nothing_from_the_generator_that_the_step_was_seeded_by(make: Any, workers: int) -> None:
    stream = make(loading="stream", workers=workers)
    before = torch.get_rng_state()
    for number in (0, 1, 7):  # the last starts the workers anew, as after an interruption
        stream.batch(number)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("loading", ["device", "stream"])
def test_rank_slices_concatenate_to_the_one_rank_batch(make: Any, loading: str) -> None:
    whole = make(loading=loading, workers=0)
    ranks = [make(loading=loading, workers=0, rank=rank, world_size=2) for rank in range(2)]
    for number in (0, 7):  # batch 7 straddles two epochs
        parts = [rank.batch(number) for rank in ranks]
        for name in ("images_NCHW", "labels_N", "seeds_N"):
            joined = torch.cat([getattr(part, name) for part in parts])
            assert torch.equal(joined, getattr(whole.batch(number), name))


def test_only_the_given_indices_are_drawn(make: Any, dataset: ShardDataset) -> None:
    chosen = np.arange(3, 120, 10)  # the threes
    for loading in ("device", "stream"):
        loader = make(indices=chosen, loading=loading, workers=0)
        assert set(torch.cat([loader.batch(number).labels_N for number in range(3)]).tolist()) == {3}


def test_transforms_stream_and_are_seeded_by_record(make: Any) -> None:
    rotate = [{"name": "Affine", "rotate": [-30, 30], "p": 1.0}]
    plain, turned = make(), make(transforms=rotate, workers=1)
    assert turned.loading == "stream"
    first = turned.batch(3)
    assert torch.equal(first.labels_N, plain.batch(3).labels_N)
    assert not torch.equal(first.images_NCHW, plain.batch(3).images_NCHW)
    turned.batch(9)
    assert same(turned.batch(3), first)
    assert same(make(transforms=rotate, workers=0).batch(3), first)
    halves = [make(transforms=rotate, workers=0, rank=rank, world_size=2).batch(3) for rank in range(2)]
    assert torch.equal(torch.cat([half.images_NCHW for half in halves]), first.images_NCHW)


def test_a_flip_is_a_flip(make: Any) -> None:
    assert torch.equal(make(transforms=[FLIP], workers=0).batch(0).images_NCHW, make().batch(0).images_NCHW.flip(3))


def test_a_transform_that_changes_the_size_is_one_clear_error_from_a_worker(make: Any) -> None:
    loader = make(transforms=[{"name": "RandomCrop", "height": 8, "width": 8}], workers=1)
    with pytest.raises(DataError, match=r"^training\.transforms: digit_\d+ was \(32, 32\) uint8 and came out \(8, 8\)"):
        loader.batch(0)


def test_transforms_cannot_run_on_the_device(make: Any) -> None:
    with pytest.raises(ParamsError, match=r"training\.loading"):
        make(loading="device", transforms=[FLIP])


def test_sealed_labels_stay_shut(make: Any, tiny_target: Path) -> None:
    target = load_dataset(tiny_target)
    with pytest.raises(SealedLabelsError):
        make(target)
    for loading in ("device", "stream"):
        assert make(target, labels=False, loading=loading).batch(0).labels_N is None


def test_salts_separate_the_streams(make: Any) -> None:
    a, b = make(salt="source").batch(0), make(salt="target").batch(0)
    assert not torch.equal(a.seeds_N, b.seeds_N) and not torch.equal(a.images_NCHW, b.images_NCHW)


class Results(TorchDispatchMode):
    """Notes where each kernel's operands lie and how large its result is."""

    def __init__(self) -> None:
        super().__init__()
        self.indexed: list[set[str]] = []
        self.largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.largest = max(self.largest, result.numel())
        if func.overloadpacket.__name__ == "index":
            self.indexed.append({str(args[0].device), *(str(index.device) for index in args[1])})
        return result


def test_a_batch_of_a_whole_set_in_memory_copies_its_own_records_alone(make: Any, dataset: ShardDataset) -> None:
    loader = make(loading="device")
    assert loader._held["images"].data_ptr() == dataset.images_NCHW.ctypes.data, "the memory map itself, not a copy"
    with Results() as results:
        side = loader.batch(3)
    assert results.largest == side.images_NCHW.numel() < dataset.images_NCHW.size


def test_a_whole_set_on_a_device_is_indexed_there(make: Any) -> None:
    """Torch's `meta` device stands for a GPU: what lies there cannot be read by the host."""
    loader = make(loading="device", device="meta")
    with Results() as results:
        side = loader.batch(3)
    assert results.indexed == [{"meta"}, {"meta"}]
    assert {tensor.device.type for tensor in (side.images_NCHW, side.labels_N, side.seeds_N)} == {"meta"}
