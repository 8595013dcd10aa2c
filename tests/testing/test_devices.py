"""What keeps to its device passes; what mixes devices, or answers from another, is named."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from adaptgan.testing.data import tiny_batch
from adaptgan.testing.devices import MixedDevices, check_place, elsewhere, moved, other_device

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="what the meta device can tell")

HERE = torch.ones(4, 3, 8, 8)


def there() -> torch.Tensor:
    return torch.ones(4, 3, 8, 8, device="meta")


@pytest.mark.parametrize(
    "mix",
    [
        lambda: there() + HERE,
        lambda: torch.cat([there(), HERE]),
        lambda: F.conv2d(there(), torch.ones(2, 3, 3, 3)),
        lambda: F.linear(there(), torch.ones(2, 8)),
        lambda: there() @ HERE,
        lambda: F.embedding(torch.zeros(4, dtype=torch.long, device="meta"), torch.ones(3, 2)),
        lambda: F.cross_entropy(there()[:, :, 0, 0], torch.zeros(4, dtype=torch.long)),
        lambda: torch.where(there() > 0, HERE, there()),
        lambda: nn.BatchNorm2d(3)(there()),
    ],
)
def test_operations_on_two_devices_are_named(mix: Callable[[], object]) -> None:
    message = r"acme: .* is given tensors on cpu and meta|acme: it runs on the CPU"
    with pytest.raises(MixedDevices, match=message), elsewhere("acme"):
        mix()


@pytest.mark.parametrize(
    "fine",
    [
        lambda: there() + there().new_ones(8),
        lambda: there() * torch.tensor(2.0),  # a number, as torch has it
        lambda: there() + HERE.to(there().device),
        lambda: there()[torch.tensor([0, 1])],
        lambda: there().copy_(HERE),
        lambda: nn.Conv2d(3, 2, 3).to("meta")(there()),
        lambda: there().sum().item() or 1 / 0,  # nobody knows: judged no further
        lambda: there()[there() > 0],
        lambda: there().cpu().numpy(),
        lambda: torch.autocast("meta", enabled=False).__enter__(),
    ],
)
def test_what_is_right_or_cannot_be_told_passes(fine: Callable[[], object]) -> None:
    with elsewhere("acme"):
        fine()


def test_other_mistakes_pass_through() -> None:
    with pytest.raises(ZeroDivisionError), elsewhere("acme"):
        _ = 1 / 0


def test_where_a_result_lies() -> None:
    check_place("acme", there(), there().sum())
    with pytest.raises(AssertionError, match="acme came out on cpu; its input lay on meta"):
        check_place("acme", there(), HERE)


def test_all_of_a_batch_is_moved() -> None:
    batch = moved(tiny_batch(), other_device())
    assert batch.source.images_NCHW.is_meta and batch.source.labels.is_meta and batch.real.seeds_N.is_meta
    assert batch.step == 0 and batch.real.labels_N is None
    assert moved([{"a": (HERE, 3)}], other_device())[0]["a"][0].is_meta
