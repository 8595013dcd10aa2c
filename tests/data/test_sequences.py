"""Frames of sequences: who belongs together, who is drawn, and who goes with whom."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adaptgan.data.dataset import ShardDataset
from adaptgan.data.loader import Loader
from adaptgan.data.records import Record
from adaptgan.data.sequences import Sequences
from adaptgan.data.shards import ShardWriter
from adaptgan.errors import DataError, ParamsError

LENGTHS = {"a": 5, "b": 2, "c": 7}


def written(folder: Path, frames: list[tuple[str, int]], paired: bool = False) -> ShardDataset:
    """One grey level for each sequence and frame: 40 * sequence + frame; pairs are the inverse."""
    folder.mkdir()
    with ShardWriter(folder, ("x",), shard_size=4) as writer:
        for name, number in frames:
            level = 40 * "abc".index(name) + number
            image = np.full((8, 8), level, np.uint8)
            annotations = {"sequence": name, "frame": number}
            writer.write(Record(f"{name}{number}", image, 0, annotations, paired=255 - image if paired else None))
    return ShardDataset(folder)


@pytest.fixture
def mixed(tmp_path: Path) -> ShardDataset:
    """Three sequences, their records out of order."""
    frames = [(name, number) for name, length in LENGTHS.items() for number in range(length)]
    order = np.random.default_rng(0).permutation(len(frames))
    return written(tmp_path / "mixed", [frames[i] for i in order], paired=True)


def told(data: ShardDataset, index: Any) -> tuple[str, int]:
    level = int(data.images_NCHW[int(index), 0, 0, 0])
    return "abc"[level // 40], level % 40


def test_random_companions_are_others_of_the_same_sequence(mixed: ShardDataset) -> None:
    sequences = Sequences(mixed, 3)
    assert {told(mixed, i)[0] for i in sequences.drawable} == {"a", "c"}  # b is too short
    assert len(sequences.drawable) == 12
    index_N = sequences.drawable.repeat(500)
    others_NT = sequences.companions(index_N, np.arange(len(index_N)))
    pairs: Counter[tuple[int, int]] = Counter()
    for index, others in zip(index_N, others_NT, strict=True):
        name, number = told(mixed, index)
        found = [told(mixed, other) for other in others]
        assert {other for other, _ in found} == {name}
        assert len({number, *(place for _, place in found)}) == 4
        pairs.update((int(index), int(other)) for other in others)
    for index in sequences.drawable:  # every other frame as often: 3 of 4, or 3 of 6
        length = LENGTHS[told(mixed, index)[0]]
        counts = [count for (one, _), count in pairs.items() if one == index]
        assert len(counts) == length - 1
        assert np.allclose(counts, 1500 / (length - 1), rtol=0.25)


def test_companions_depend_on_the_seed_alone(mixed: ShardDataset) -> None:
    sequences = Sequences(mixed, 2)
    index_N, seeds_N = sequences.drawable, np.arange(100, 100 + len(sequences.drawable))
    whole = sequences.companions(index_N, seeds_N)
    alone = np.concatenate([sequences.companions(index_N[i : i + 1], seeds_N[i : i + 1]) for i in range(len(index_N))])
    assert np.array_equal(whole, alone)
    assert not np.array_equal(whole, sequences.companions(index_N, seeds_N + 1))


def test_following_frames_follow(mixed: ShardDataset) -> None:
    sequences = Sequences(mixed, 2, "following")
    assert len(sequences.drawable) == 3 + 0 + 5
    others_NT = sequences.companions(sequences.drawable, np.zeros(8, np.int64))
    for index, others in zip(sequences.drawable, others_NT, strict=True):
        name, number = told(mixed, index)
        assert [told(mixed, other) for other in others] == [(name, number + 1), (name, number + 2)]


@pytest.mark.parametrize("loading", ["device", "stream"])
def test_batches_carry_frames_and_their_pairs(mixed: ShardDataset, loading: Any) -> None:
    sequences = Sequences(mixed, 2, "following")
    loader = Loader(
        mixed, batch_size=8, seed=0, device="cpu", loading=loading, workers=0, pairs=True, sequences=sequences
    )
    side = loader.batch(3)
    assert side.frames.shape == (8, 2, 1, 8, 8) and side.paired_frames.shape == (8, 2, 1, 8, 8)
    levels_NT = ((torch.cat([side.images_NCHW[:, None], side.frames], 1) + 1) * 127.5).round()[:, :, 0, 0, 0]
    assert torch.equal(levels_NT - levels_NT[:, :1], torch.tensor([[0.0, 1.0, 2.0]]).expand(8, 3))
    torch.testing.assert_close(side.paired_frames, -side.frames)
    torch.testing.assert_close(side.paired, -side.images_NCHW)


@pytest.mark.parametrize("loading", ["device", "stream"])
def test_batches_carry_conditions_of_their_records(mixed: ShardDataset, loading: Any) -> None:
    conditions = mixed.images_NCHW[:, 0, 0, :2].astype(np.int64)
    loader = Loader(mixed, batch_size=8, seed=0, device="cpu", loading=loading, workers=1, conditions=conditions)
    side = loader.batch(1)
    loader.close()
    assert side.conditions.dtype == torch.int64
    assert torch.equal(side.conditions, ((side.images_NCHW[:, 0, 0, :2] + 1) * 127.5).round().long())


def test_what_a_batch_does_not_carry_is_named(mixed: ShardDataset) -> None:
    side = Loader(mixed, batch_size=2, seed=0, device="cpu").batch(0)
    for name in ("frames", "paired_frames", "conditions"):
        with pytest.raises(RuntimeError, match=f"{name}`" if name != "paired_frames" else "needs_pairs"):
            getattr(side, name)


def test_gaps_short_sequences_and_missing_names_are_told(tmp_path: Path, tiny_source: Path) -> None:
    with pytest.raises(DataError, match=r"'a' has the frames 0, 2; expected 0, 1, 2"):
        Sequences(written(tmp_path / "gap", [("a", 0), ("a", 2)]), 1)
    with pytest.raises(DataError, match=r"longest sequence has 2 frame\(s\), and 3 are needed"):
        Sequences(written(tmp_path / "short", [("a", 0), ("a", 1)]), 2)
    with pytest.raises(DataError, match="annotation `sequence`"):
        Sequences(ShardDataset(tiny_source), 1)


def test_transforms_would_part_the_frames(mixed: ShardDataset) -> None:
    with pytest.raises(ParamsError, match="other frames of its sequence"):
        Loader(
            mixed, batch_size=2, seed=0, device="cpu", transforms=[{"name": "HorizontalFlip"}],
            sequences=Sequences(mixed, 1),
        )  # fmt: skip
