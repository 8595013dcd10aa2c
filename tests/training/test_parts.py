"""Statistics, EMA, image history, schedules and checkpoints."""

from __future__ import annotations

import csv
import io
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from adaptgan.errors import RunLockedError
from adaptgan.training.checkpoints import Checkpoints, CheckpointWarning, exclusive
from adaptgan.training.ema import EMA
from adaptgan.training.engine import scheduled
from adaptgan.training.image_history import ImageHistory
from adaptgan.training.seeding import derive, seed_all
from adaptgan.training.statistics import NonFiniteLoss, Statistics

CPU = torch.device("cpu")


def test_statistics_give_means_and_start_anew() -> None:
    statistics = Statistics(CPU)
    for step, value in enumerate([1.0, 2.0, 6.0]):
        statistics.add({"d/real": torch.tensor(value)}, step)
    statistics.add({"g/adversarial": torch.tensor(5.0)}, 2)
    assert statistics.read() == {"d/real": pytest.approx(3.0), "g/adversarial": pytest.approx(5.0)}
    assert statistics.read() == {}


def test_statistics_name_the_first_bad_step_and_term() -> None:
    statistics = Statistics(CPU)
    for step, value in enumerate([1.0, math.nan, math.inf, 1.0]):
        statistics.add({"d/real": torch.tensor(1.0), "d/fake": torch.tensor(value)}, step)
    with pytest.raises(NonFiniteLoss) as caught:
        statistics.check()
    with pytest.raises(NonFiniteLoss) as caught_again:
        statistics.read()
    for error in (caught.value, caught_again.value):
        assert (error.step, error.term) == (1, "d/fake")


def test_statistics_survive_a_round_trip() -> None:
    first, second = Statistics(CPU), Statistics(CPU)
    first.add({"a": torch.tensor(2.0)}, 0)
    second.load_state_dict(first.state_dict())
    second.add({"a": torch.tensor(4.0)}, 1)
    assert second.read() == {"a": 3.0}


def test_ema_follows_the_formula() -> None:
    network = nn.Linear(2, 1, bias=False)
    ema = EMA(network, decay=0.9)
    expected = network.weight.detach().clone()
    for n in range(30):
        with torch.no_grad():
            network.weight.add_(1.0)
        decay = min(0.9, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * network.weight.detach()
        ema.update(network)
    assert torch.allclose(ema.network.weight, expected, atol=1e-5)
    assert not ema.network.weight.requires_grad


def test_ema_follows_batchnorm_statistics_too() -> None:
    network = nn.BatchNorm1d(3)
    ema = EMA(network, decay=0.5)
    network(torch.randn(16, 3) + 5)
    for _ in range(40):
        ema.update(network)
    assert torch.allclose(ema.network.running_mean, network.running_mean, atol=1e-4)
    assert ema.network.num_batches_tracked == network.num_batches_tracked


def numbered(start: int, n: int = 8) -> torch.Tensor:
    """Images that carry their own number."""
    return torch.arange(start, start + n, dtype=torch.float32).view(n, 1, 1, 1).expand(n, 1, 2, 2).clone()


def test_history_stores_fills_and_gives_back() -> None:
    """A buffer that never stores would give back only fresh images for ever."""
    torch.manual_seed(0)
    history = ImageHistory(16, (1, 2, 2))
    first = history.mix(numbered(0))
    assert sorted(first[:, 0, 0, 0].tolist()) == list(range(8))
    assert history.filled == 4
    for turn in range(1, 40):
        mixed = history.mix(numbered(8 * turn))[:, 0, 0, 0]
        fresh = (mixed >= 8 * turn).sum().item()
        assert fresh == 4
    assert history.filled == 16
    stored = history.images[:, 0, 0, 0]
    assert len(stored.unique()) > 12
    assert stored.max() >= 8 * 38  # new images keep coming in
    assert (stored < 8 * 38).any()  # and old ones stay


def test_history_replaces_uniformly() -> None:
    """After t turns a slot is still unreplaced with probability (1 − half/capacity)^t."""
    torch.manual_seed(0)
    survivors = 0
    for _ in range(200):
        history = ImageHistory(8, (1, 1, 1))
        history.images.fill_(-1)
        history.filled.fill_(8)
        for _ in range(3):
            history.mix(torch.zeros(4, 1, 1, 1))
        survivors += int((history.images == -1).sum())
    expected = (1 - 2 / 8) ** 3
    assert survivors / 1600 == pytest.approx(expected, abs=0.04)


def test_history_state_is_in_the_state_dict() -> None:
    history = ImageHistory(8, (1, 2, 2))
    history.mix(numbered(1, 4))
    other = ImageHistory(8, (1, 2, 2))
    other.load_state_dict(history.state_dict())
    assert torch.equal(other.images, history.images) and other.filled == 2


def test_history_smaller_than_half_a_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="enlarge it"):
        ImageHistory(2, (1, 2, 2)).mix(numbered(0))


def test_schedules_at_known_points() -> None:
    assert scheduled("constant", 0.7) == 1
    assert scheduled("linear", 0.5) == 1 and scheduled("linear", 0.75) == pytest.approx(0.5)
    assert scheduled("cosine", 0) == 1 and scheduled("cosine", 0.5) == pytest.approx(0.5)
    assert scheduled("one_cycle", 0.1) == pytest.approx(1) and scheduled("one_cycle", 0.0) == pytest.approx(0.04)
    assert scheduled("inverse_decay", 0.5) == pytest.approx(6**-0.75)


def test_seeds_are_stable_and_differ() -> None:
    assert derive(1, "a", 2) == derive(1, "a", 2)
    assert len({derive(seed, name, step) for seed in range(5) for name in "ab" for step in range(50)}) == 500
    seed_all(3, "x")
    first = torch.rand(3)
    seed_all(3, "x")
    assert torch.equal(first, torch.rand(3))


def test_checkpoints_keep_two_and_load_the_newest(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in (10, 20, 30):
        checkpoints.save(step, {"step": step, "weights": torch.full((3,), float(step)), "memo": {"run": "x"}})
    names = sorted(path.name for path in tmp_path.glob("*.pt"))
    assert names == ["step-000000020.pt", "step-000000030.pt"]
    assert (tmp_path / "latest").read_text() == "step-000000030.pt"
    state = checkpoints.load(CPU)
    assert state is not None and state["step"] == 30 and state["weights"].tolist() == [30, 30, 30]


def test_a_damaged_newest_falls_back_and_says_so(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(10, {"step": 10})
    newest = checkpoints.save(20, {"step": 20})
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 0xFF
    newest.write_bytes(bytes(content))
    with pytest.warns(CheckpointWarning, match="damaged"):
        state = checkpoints.load(CPU)
    assert state == {"step": 10}


def test_a_checkpoint_without_its_digest_was_never_published(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(10, {"step": 10})
    checkpoints.save(20, {"step": 20}).with_suffix(".sha256").unlink()
    assert checkpoints.load(CPU) == {"step": 10}


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(10, {"step": 10})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path / "x"))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            checkpoints.save(20, {"step": 20})
    assert checkpoints.load(CPU) == {"step": 10}
    assert not list(tmp_path.glob(".*.tmp"))


def test_a_second_process_is_refused_at_once(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom adaptgan.training.checkpoints import exclusive\n"
        f"with exclusive(Path({str(tmp_path)!r}), 'x'):\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None and holder.stdin is not None
        assert holder.stdout.readline().strip() == "held"
        with pytest.raises(RunLockedError, match=f"process {holder.pid}"), exclusive(tmp_path, "x"):
            pass
        holder.kill()
    with exclusive(tmp_path, "x"):  # the lock went with the process
        pass


def test_losses_as_a_table_keep_every_term_of_every_phase() -> None:
    from adaptgan.tracking.logfolder import _table

    history = [{"step": 1, "losses": {"a/x": 0.5}}, {"step": 2, "losses": {"b/y": -1.25, "a/x": 3e-9}}]
    rows = list(csv.DictReader(io.StringIO(_table(history))))
    assert rows == [{"step": "1", "a/x": "0.5", "b/y": ""}, {"step": "2", "a/x": "3e-09", "b/y": "-1.25"}]
