"""`inside_forward`: a network's gradient as part of a loss, plain, under mixed precision, compiled, and over ranks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from adaptgan.objectives.penalties import Penalty, inside_forward
from adaptgan.training.devices import make_fabric
from tests.conftest import torchrun
from tests.training.players import Discriminator, batch, slope

CPU = torch.device("cpu")


def network() -> Discriminator:
    torch.manual_seed(0)
    return Discriminator()


def by_hand(discriminator: Discriminator, images: torch.Tensor) -> torch.Tensor:
    """E (‖∇D(x)‖ − 1)² in float64, the gradient by central differences."""
    exact = Discriminator().double()
    exact.load_state_dict({name: value.double() for name, value in discriminator.state_dict().items()})
    x_NP, h = images.double().flatten(1), 1e-5
    with torch.no_grad():
        steps_PP = h * torch.eye(64, dtype=torch.float64)
        rows = [
            (exact((x + steps_PP).view(-1, 1, 8, 8)) - exact((x - steps_PP).view(-1, 1, 8, 8))) / (2 * h) for x in x_NP
        ]
    return (torch.stack(rows).norm(dim=1) - 1).square().mean()


@pytest.mark.parametrize("precision", [None, "32-true", "bf16-mixed"])
def test_the_gradients_norm_is_that_of_finite_differences(precision: str | None) -> None:
    plain = network()
    images = batch().source.images_NCHW
    expected = by_hand(plain, images)
    fabric = make_fabric(CPU, precision or "32-true")
    wrapped: Any = plain if precision is None else fabric.setup_module(plain)
    penalty = inside_forward(wrapped, slope, images)
    assert penalty.dtype == torch.float32
    assert penalty.item() == pytest.approx(expected.item(), rel=1e-4 if precision != "bf16-mixed" else 0.02)
    fabric.backward(penalty)
    weights = [layer.weight.grad for layer in (plain.first, plain.second, plain.last)]
    assert all(gradient is not None and gradient.isfinite().all() and gradient.any() for gradient in weights)


def test_mixed_precision_is_the_networks_own() -> None:
    wrapped: Any = make_fabric(CPU, "bf16-mixed").setup_module(network())
    seen: list[torch.dtype] = []

    def function(forward: Any, images: torch.Tensor) -> torch.Tensor:
        logits = forward(images)
        seen.append(logits.dtype)
        return logits.sum()

    inside_forward(wrapped, function, batch().source.images_NCHW)
    assert seen == [torch.bfloat16]


def test_several_inputs_and_several_calls() -> None:
    wrapped: Any = make_fabric(CPU, "32-true").setup_module(network())
    one, other = batch(1).source.images_NCHW, batch(2).source.images_NCHW

    def function(forward: Any, a: torch.Tensor, b: torch.Tensor, none: None) -> torch.Tensor:
        assert none is None
        return forward(a) - forward(b)

    torch.testing.assert_close(inside_forward(wrapped, function, one, other, None), wrapped(one) - wrapped(other))
    assert wrapped.module.calls == 4


def test_the_forward_is_put_back_whatever_happens() -> None:
    plain = network()
    images = batch().source.images_NCHW
    before = plain(images)

    def breaks(forward: Any, images: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        inside_forward(plain, breaks, images)
    assert "forward" not in plain.__dict__ and torch.equal(plain(images), before)
    own = plain.forward
    plain.forward = lambda images: own(images) + 1  # type: ignore[method-assign,assignment]
    shifted = plain.forward
    assert torch.equal(inside_forward(plain, lambda forward, x: forward(x), images), before + 1)
    assert plain.forward is shifted


def test_a_compiled_network_is_looked_through() -> None:
    class Compiled(nn.Module):
        """As torch.compile wraps one."""

        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self._orig_mod = inner

        def forward(self, *inputs: Any) -> Any:
            return self._orig_mod(*inputs)

    plain = network()
    images = batch().source.images_NCHW
    expected = inside_forward(plain, slope, images).item()
    wrapped: Any = make_fabric(CPU, "32-true").setup_module(Compiled(plain))
    assert inside_forward(wrapped, slope, images).item() == pytest.approx(expected, rel=1e-6)


def test_a_penalty_is_called_by_its_class() -> None:
    class WeightOfPath(Penalty):
        pass

    assert WeightOfPath().name == "weight_of_path"
    assert WeightOfPath().terms(network(), batch().source.images_NCHW, batch().source.images_NCHW) == {}


RANK = """
import copy
import torch
from torch import distributed
from players import Critic, Slope, batch, players, slope
from adaptgan.training.devices import make_fabric
from adaptgan.training.engine import Engine

torch.set_num_threads(1)
fabric = make_fabric(torch.device("cpu"), "32-true")
rank = fabric.global_rank


def agree(network):
    for name, parameter in network.named_parameters():
        if parameter.grad is not None:  # a slope does not depend on the last bias
            both = fabric.all_gather(parameter.grad)
            assert torch.equal(both[0], both[1]) and (both[0].any() or "bias" in name), name


def check(by_batch):
    method = players(adversarial=Critic(), penalties=[Slope(every=2), Slope()], repeats=2).train()
    method.discriminator.by_batch = by_batch
    plain = copy.deepcopy(method.discriminator)
    engine = Engine(fabric, method, 10)
    phases = {phase.name: phase for phase in engine.phases}
    torch.manual_seed(rank)
    given = batch(rank, count=8)
    # The lazy penalty alone: its gradient is the mean of what each rank has by itself.
    engine.phases = [phases["slope"]]
    engine.step([given])
    (2 * 10 * slope(plain, (given.source.images_NCHW + given.shared["fake"].detach()) / 2)).backward()
    agree(method.discriminator)
    mine = dict(method.discriminator.named_parameters())
    for name, parameter in plain.named_parameters():
        if parameter.grad is not None:
            distributed.all_reduce(parameter.grad)
            (wrapped,) = (value for key, value in mine.items() if key.endswith(name))
            torch.testing.assert_close(wrapped.grad, parameter.grad / 2, rtol=1e-4, atol=1e-6)
    # Whole steps: G's images of D's first turn serve both players on both ranks.
    engine.phases = list(phases.values())
    for step in range(3):
        torch.manual_seed(10 * step + rank)
        engine.step([batch(100 * step + 2 * rank + turn, count=8, step=step) for turn in range(2)])
        agree(method.generator)
        agree(method.discriminator)
    for parameter in method.parameters():
        both = fabric.all_gather(parameter)
        assert torch.equal(both[0], both[1])


check(by_batch=False)
check(by_batch=True)
print(f"rank {rank} agrees\\n", end="", flush=True)
"""


def test_two_processes_have_equal_gradients(tmp_path: Path) -> None:
    (tmp_path / "rank.py").write_text(RANK)
    helpers = str(Path(__file__).parents[1] / "training")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": helpers}
    done = subprocess.run(
        [sys.executable, *torchrun(2), str(tmp_path / "rank.py")],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "rank 0 agrees" in done.stdout and "rank 1 agrees" in done.stdout
