"""CycleGAN's pool: fills first, then swaps half of what comes, and never loses an image. Images carry their number.

The tests of SimGAN's `mix` are in test_parts.py.
"""

from __future__ import annotations

import random

import pytest
import torch

from adaptgan.training.image_history import ImageHistory


def numbered(start: int, n: int) -> torch.Tensor:
    """Images that carry their own number."""
    return torch.arange(start, start + n, dtype=torch.float32).view(n, 1, 1, 1).expand(n, 1, 2, 2).clone()


def numbers(images: torch.Tensor) -> list[int]:
    """What they carry, of every pixel alike."""
    assert (images == images[:, :1, :1, :1]).all(), "an image was mixed of others"
    return [int(value) for value in images[:, 0, 0, 0]]


class Pool:
    """The authors' loop, an image at a time (Zhu 2017, `util/image_pool.py`), here told what was drawn."""

    def __init__(self, capacity: int, draws: random.Random) -> None:
        self.capacity, self.draws, self.images = capacity, draws, list[int]()

    def swap(self, image: int) -> int:
        if len(self.images) < self.capacity:
            self.images.append(image)
            return image
        if self.draws.random() < 0.5:
            return image
        place = self.draws.randrange(self.capacity)
        old, self.images[place] = self.images[place], image
        return old


@pytest.mark.parametrize(("capacity", "batch"), [(50, 1), (50, 4), (7, 3), (5, 5), (8, 4)])
def test_it_fills_first_and_returns_what_came(capacity: int, batch: int) -> None:
    torch.manual_seed(0)
    history = ImageHistory(capacity, (1, 2, 2))
    for start in range(0, capacity - batch + 1, batch):
        assert numbers(history.swap(numbered(start, batch))) == list(range(start, start + batch))
        assert numbers(history.images[: start + batch]) == list(range(start + batch))
        assert history.filled == start + batch


@pytest.mark.parametrize(("capacity", "before", "batch"), [(5, 4, 3), (5, 3, 5), (6, 5, 6), (4, 1, 4), (3, 2, 1)])
def test_a_batch_that_fills_the_last_places_swaps_with_the_others(capacity: int, before: int, batch: int) -> None:
    """The images that no longer fit must not land on those that this very batch has put in."""
    for seed in range(40):
        torch.manual_seed(seed)
        history = ImageHistory(capacity, (1, 2, 2))
        history.swap(numbered(0, before))
        given = list(range(100, 100 + batch))
        returned, fitting = numbers(history.swap(numbered(100, batch))), capacity - before
        assert returned[:fitting] == given[:fitting]
        assert numbers(history.images[before:]) == given[:fitting]
        for image, back in zip(given[fitting:], returned[fitting:], strict=True):
            assert back == image or back < before
        assert sorted(numbers(history.images) + returned) == sorted([*range(before), *given, *given[:fitting]])


@pytest.mark.parametrize(("capacity", "batch"), [(50, 1), (50, 16), (8, 8), (6, 4), (4, 10), (1, 3)])
def test_no_image_is_lost_or_doubled(capacity: int, batch: int) -> None:
    """Every image that came in has left, or is stored; none is stored twice. The first `capacity` also came back."""
    torch.manual_seed(1)
    history, gone = ImageHistory(capacity, (1, 2, 2)), list[int]()
    for turn in range(30):
        gone += numbers(history.swap(numbered(turn * batch, batch)))
    stored = numbers(history.images[: int(history.filled)])
    assert len(set(stored)) == len(stored) == min(capacity, 30 * batch)
    assert sorted(gone + stored) == sorted([*range(30 * batch), *range(len(stored))])


def test_half_of_them_are_swapped() -> None:
    torch.manual_seed(2)
    history = ImageHistory(50, (1, 2, 2))
    history.swap(numbered(0, 50))
    old = 0
    for turn in range(1, 251):
        old += sum(number < 50 * turn for number in numbers(history.swap(numbered(50 * turn, 16))))
    # 4,000 throws of a coin: 32 is their standard deviation.
    assert abs(old - 2000) < 4 * 32


def test_every_place_is_taken_alike() -> None:
    """χ² of the places that swaps take in a full history, 9 degrees of freedom: below 27.9 but once in a thousand."""
    torch.manual_seed(3)
    taken, swaps = torch.zeros(10), 0
    for _ in range(700):
        history = ImageHistory(10, (1, 2, 2))
        history.swap(numbered(0, 10))
        history.swap(numbered(100, 4))
        changed = history.images[:, 0, 0, 0] >= 100
        taken += changed
        swaps += int(changed.sum())
    expected = swaps / 10
    assert ((taken - expected) ** 2 / expected).sum() < 27.9


@pytest.mark.parametrize("batch", [1, 4])
def test_images_stay_as_long_as_in_the_authors_loop(batch: int) -> None:
    """The mean age of what the discriminator gets to see, in steps of one image, is that of an image at a time."""
    torch.manual_seed(4)
    history, pool = ImageHistory(20, (1, 2, 2)), Pool(20, random.Random(0))
    ours, theirs = [], []
    for start in range(0, 16000, batch):
        returned = numbers(history.swap(numbered(start, batch)))
        if start >= 1000:
            ours += [start + i - back for i, back in enumerate(returned)]
            theirs += [start + i - pool.swap(start + i) for i in range(batch)]
        else:
            for i in range(batch):
                pool.swap(start + i)
    mine, expected = sum(ours) / len(ours), sum(theirs) / len(theirs)
    # By Little's law 20 places, of which one image in two takes one, hold a swapped one for 40 images on average.
    assert expected == pytest.approx(20, rel=0.06)
    assert mine == pytest.approx(20, rel=0.06)


def test_an_interrupted_history_goes_on_alike() -> None:
    torch.manual_seed(5)
    history = ImageHistory(6, (1, 2, 2))
    for turn in range(3):
        history.swap(numbered(4 * turn, 4))
    resumed = ImageHistory(6, (1, 2, 2))
    resumed.load_state_dict(history.state_dict())
    assert resumed.filled == 6
    found = []
    for one in (history, resumed):
        torch.manual_seed(6)
        found.append(torch.cat([one.swap(numbered(100 + 4 * turn, 4)) for turn in range(5)]))
    assert torch.equal(*found)
    assert torch.equal(history.images, resumed.images)


def test_it_keeps_the_given_type_and_makes_no_graph() -> None:
    history = ImageHistory(4, (1, 2, 2))
    given = numbered(0, 4).bfloat16().requires_grad_()
    for _ in range(2):
        returned = history.swap(given)
        assert returned.dtype == torch.bfloat16 and not returned.requires_grad
    assert history.images.dtype == torch.float32


def test_what_was_returned_does_not_change_later() -> None:
    torch.manual_seed(7)
    history = ImageHistory(4, (1, 2, 2))
    returned = history.swap(numbered(0, 4))
    copy = returned.clone()
    for turn in range(1, 5):
        history.swap(numbered(10 * turn, 4))
    assert torch.equal(returned, copy)


def test_mix_loses_none_of_the_images_that_fill_the_last_places() -> None:
    """A history of 5 takes images in pairs: the third pair has room for one, the other replaces one of the four."""
    for seed in range(40):
        torch.manual_seed(seed)
        history = ImageHistory(5, (1, 2, 2))
        for turn in range(3):
            history.mix(numbered(10 * turn, 4))
        stored = numbers(history.images)
        assert len(set(stored)) == 5 and sum(number >= 20 for number in stored) == 2
