"""One phase's turn: freeze the others, minimize, count. Built on Lightning Fabric."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn

from adaptgan.data.batch import Batch
from adaptgan.methods.base import Method, OptimizerOptions, Phase
from adaptgan.networks.layers import to_channels_last
from adaptgan.training.statistics import Statistics


class Engine:
    """Drives a method's phases with their optimizers.

    Args:
        fabric: launched; places modules, applies precision and synchronizes gradients.
        method: its trained children are wrapped in place, one by one.
        steps: length of the whole training, for learning-rate schedules.
        compile: compile the networks (generators; torch.compile cannot differentiate twice).
        channels_last: memory format of convolution weights.
    """

    def __init__(
        self, fabric: Fabric, method: Method, steps: int, *, compile: bool = False, channels_last: bool = True
    ) -> None:
        self.fabric = fabric
        self.method = method
        self.steps = steps
        self.phases: Sequence[Phase] = [phase.scheduled(steps) for phase in method.phases()]
        self.statistics = Statistics(fabric.device)
        self._scales = getattr(fabric.strategy.precision, "scaler", None) is not None
        _check_phases(method, self.phases)
        if channels_last:
            to_channels_last(method)
        method.to(fabric.device)
        self.networks = _trained(method, self.phases)
        self.optimizers: list[Any] = []  # torch optimizers behind Fabric's wrapper
        self._optimizer_of: dict[str, int] = {}
        self._build_optimizers()
        for name, child in self.networks.items():
            network: Any = torch.compile(child) if compile and name not in method.eager else child
            setattr(method, name, fabric.setup_module(network))
        # Asked once more: bound to the wrapped modules, should a method capture one.
        self.phases = [phase.scheduled(steps) for phase in method.phases()]

    def step(self, batches: Sequence[Batch]) -> dict[str, torch.Tensor]:
        """One training step: every active phase, in order; repeat r uses `batches[r]`.

        Returns:
            Detached scalars on the device, losses and measures, keyed `phase/term`.
        """
        step = batches[0].step
        seen: dict[str, torch.Tensor] = {}
        for phase in self.phases:
            if not phase.active(step):
                continue
            optimizer = self.optimizers[self._optimizer_of[phase.name]]
            self._set_rate(phase, optimizer, step)
            with self._turn(phase):
                for turn, batch in enumerate(batches[: phase.repeats]):
                    batch.turn = turn
                    losses = self._minimize(phase, optimizer, batch)
                    seen.update(losses)
                    self.statistics.add(losses, step)
        return seen

    def state_dict(self) -> dict[str, Any]:
        """The method, the optimizers and the running sums."""
        return {
            "method": self.method.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "statistics": self.statistics.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back a state, bit for bit."""
        own = self.method.state_dict()
        if own.keys() != state["method"].keys():
            raise RuntimeError(f"the checkpoint's entries differ: {sorted(own.keys() ^ state['method'].keys())[:5]}")
        with torch.no_grad():
            for name, value in own.items():
                value.copy_(state["method"][name])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.statistics.load_state_dict(state["statistics"])

    def _minimize(self, phase: Phase, optimizer: torch.optim.Optimizer, batch: Batch) -> dict[str, torch.Tensor]:
        optimizer.zero_grad(set_to_none=True)
        with self.fabric.autocast():  # the wrapped networks have it anyway; this is for teachers and guards
            batch.measures.clear()
            terms = phase.loss(batch)
        self.fabric.backward(torch.stack(list(terms.values())).sum())
        if self._scales:  # 16-mixed: what a hook saw is a multiple that changes, and infinite now and then
            batch.measures.pop("image_gradient", None)
        if phase.partial and self.fabric.world_size > 1:
            self._exchange(phase)
        if phase.optimizer.clip:
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            nn.utils.clip_grad_norm_(parameters, phase.optimizer.clip)
        optimizer.step()
        if phase.after is not None:
            with torch.no_grad():
                phase.after(batch)
        seen = {**terms, **batch.measures}
        return {f"{phase.name}/{term}": value.detach() for term, value in seen.items()}

    @contextmanager
    def _turn(self, phase: Phase) -> Iterator[None]:
        """Freeze all but the phase's modules, so that no gradient is computed or exchanged for the others."""
        with ExitStack() as stack:
            for name in self.networks:
                learns = name in phase.trains or name in phase.keeps
                module = getattr(self.method, name)
                for parameter in module.parameters():
                    parameter.requires_grad_(learns)
                if self.fabric.world_size > 1 and (phase.partial or not learns):
                    stack.enter_context(self.fabric.no_backward_sync(module))
            yield

    def _exchange(self, phase: Phase) -> None:
        """Each gradient becomes its mean over the ranks; DDP does it while it computes them, and waits for all."""
        modules = [getattr(self.method, name) for name in phase.trains]
        gradients = [p.grad for module in modules for p in module.parameters() if p.grad is not None]
        means = self.fabric.all_reduce(torch.cat([gradient.flatten() for gradient in gradients]), reduce_op="mean")
        assert isinstance(means, torch.Tensor)
        for gradient, mean in zip(gradients, means.split([gradient.numel() for gradient in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))

    def _set_rate(self, phase: Phase, optimizer: torch.optim.Optimizer, step: int) -> None:
        end = self.steps if phase.stop is None else min(phase.stop, self.steps)
        taken = step - phase.start
        rate = phase.optimizer.lr * scheduled(phase.optimizer.schedule, taken / max(1, end - phase.start))
        if phase.optimizer.warmup:
            rate *= min(1.0, 0.2 + 0.8 * taken / phase.optimizer.warmup)
        for group in optimizer.param_groups:
            group["lr"] = rate

    def _build_optimizers(self) -> None:
        shared: dict[tuple[tuple[str, ...], OptimizerOptions], int] = {}
        for phase in self.phases:
            key = (phase.trains, phase.optimizer)
            if key not in shared:
                parameters = [p for name in phase.trains for p in self.networks[name].parameters()]
                optimizer = make_optimizer(parameters, phase.optimizer, self.fabric.device)
                shared[key] = len(self.optimizers)
                self.optimizers.append(self.fabric.setup_optimizers(optimizer))
            self._optimizer_of[phase.name] = shared[key]


def make_optimizer(
    parameters: list[nn.Parameter], options: OptimizerOptions, device: torch.device
) -> torch.optim.Optimizer:
    """The optimizer that the options describe; Adam and SGD in their fused form, on CPU and GPU."""
    fused = device.type in ("cpu", "cuda")
    if options.name in ("adam", "adamw"):
        kind = torch.optim.AdamW if options.name == "adamw" else torch.optim.Adam
        return kind(
            parameters,
            lr=options.lr,
            betas=(float(options.betas[0]), float(options.betas[1])),
            eps=options.eps,
            weight_decay=options.weight_decay,
            fused=fused,
        )
    if options.name == "sgd":
        sgd = torch.optim.SGD(
            parameters, options.lr, momentum=options.momentum, weight_decay=options.weight_decay, fused=fused
        )
        if options.momentum:  # the fused form fails where some weights got their first gradient later than others
            for parameter in parameters:
                sgd.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        return sgd
    return torch.optim.RMSprop(parameters, options.lr, weight_decay=options.weight_decay)


def scheduled(schedule: str, p: float) -> float:
    """The factor on the learning rate at progress p in [0, 1) (see `OptimizerOptions.schedule`)."""
    if schedule == "linear":
        return min(1.0, 2 - 2 * p)
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * p))
    if schedule == "one_cycle":
        return 0.04 + 0.96 * p / 0.1 if p < 0.1 else 0.5 * (1 + math.cos(math.pi * (p - 0.1) / 0.9))
    if schedule == "inverse_decay":
        return float((1 + 10 * p) ** -0.75)
    return 1.0


def _trained(method: Method, phases: Sequence[Phase]) -> dict[str, nn.Module]:
    names = dict.fromkeys(name for phase in phases for name in phase.trains)
    return {name: getattr(method, name) for name in names}


def _check_phases(method: Method, phases: Sequence[Phase]) -> None:
    names = [phase.name for phase in phases]
    if not phases or len(set(names)) < len(names):
        raise ValueError(f"{type(method).__name__}.phases() must give at least one phase, each with a name of its own")
    children = dict(method.named_children())
    for phase in phases:
        for name in phase.trains + phase.keeps:
            if name not in children:
                raise ValueError(f"phase {phase.name!r} names {name!r}, which is no child of {type(method).__name__}")
