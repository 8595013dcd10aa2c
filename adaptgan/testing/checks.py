"""Checks of networks, objectives and whole plugins."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from adaptgan.components import ComponentSpec
from adaptgan.datainfo import DataInfo
from adaptgan.plugins import components, plugins
from adaptgan.testing.chance import chance
from adaptgan.testing.data import tiny_info, tiny_side
from adaptgan.testing.devices import check_place, elsewhere, moved, other_device
from adaptgan.testing.pickles import check_source, check_state

CLOSE = 0.2
"""Root mean square error of a network in mixed precision, as a share of its values'."""


def check_component(kind: str, name: str) -> ComponentSpec:
    """It is registered under a summary, can be imported, every option of it is explained, and it pickles nothing.

    Options are explained under `Args:` of its docstring. The module that defines it neither uses pickle nor a library
    of that kind (dill, joblib, cloudpickle), and calls `torch.load` with `weights_only=True`.

    Returns:
        Its spec.
    """
    spec = components().find(kind, name)
    assert spec.summary, f"the {kind} {name!r} has no summary: `adaptgan components {kind}` would show an empty line"
    unexplained = [option.name for option in components().schema(spec).options if not option.help]
    assert not unexplained, f"the {kind} {name!r}: no help for {unexplained} under `Args:` of its docstring"
    check_source(components().load(spec), f"the {kind} {name!r}")
    return spec


def check_network(config: Any, *inputs: torch.Tensor, info: DataInfo | None = None) -> nn.Module:
    """A network gives finite values, trains all of itself, and treats each image of a batch alike when evaluated.

    It is built, trained and evaluated the same for the same seed; what it gives is close to that in mixed precision
    (bf16); it leaves its inputs alone; moved to another device, all of it moves; its state_dict is all of its state,
    and tensors only. One that grows (`growths`, `grow(growth)`, as in `networks.progressive`) must train all of itself
    over its growths.

    Args:
        config: its name, or `{name: …, option: …}`.
        inputs: what its forward takes, first dimension N; eight made-up images when none are given.
        info: the data it is built for.

    Returns:
        The network, in eval mode.
    """
    info = info or tiny_info()
    check_component("network", config if isinstance(config, str) else config["name"])
    inputs = inputs or (tiny_side(info, 8, 0).images_NCHW,)
    given = [value.clone() for value in inputs]
    network, twin = _built(config, info), _built(config, info)
    same = [torch.equal(mine, theirs) for mine, theirs in zip(*(_values(n) for n in (network, twin)), strict=True)]
    assert all(same), f"{config}: built twice with the same seed, its weights differ; draw them with torch's generators"
    check_state(network.state_dict(), str(config))
    _check_training(config, network, twin, inputs)
    network.eval().requires_grad_(False)
    whole = network(*inputs)
    assert torch.equal(whole, network(*inputs)), (
        f"{config}: random when evaluated; dropout and noise must be off in eval mode"
    )
    single = torch.cat([network(*[value[i : i + 1] for value in inputs]) for i in range(len(inputs[0]))])
    assert torch.allclose(whole, single, atol=1e-4), (
        f"{config}: when evaluated, an image's result depends on its neighbours"
    )
    fresh = _built(config, info, seed=1)
    fresh.load_state_dict(network.state_dict())
    fresh.eval().requires_grad_(False)  # as above: some kernels round differently when a gradient may follow
    assert torch.equal(whole, fresh(*inputs)), f"{config}: state_dict() does not hold all of its state"
    _check_mixed_precision(config, network, inputs, whole)
    assert all(map(torch.equal, given, inputs)), f"{config}: it changes what it is given, in place"
    network, placed = moved(network, other_device()), moved(inputs, other_device())
    with elsewhere(str(config)):
        check_place(str(config), network(*placed))
    return fresh.requires_grad_(False)


def _built(config: Any, info: DataInfo, seed: int = 0) -> nn.Module:
    with chance(seed):
        network: nn.Module = components().build("network", config, "network", [info])
    assert isinstance(network, nn.Module), (
        f"{config}: a network is a torch.nn.Module, this is a {type(network).__name__}"
    )
    return network.train()


def _values(network: nn.Module) -> list[torch.Tensor]:
    return [value for value in network.state_dict().values() if isinstance(value, torch.Tensor)]


def _check_training(config: Any, network: nn.Module, twin: nn.Module, inputs: Sequence[torch.Tensor]) -> None:
    """Finite, the same for the same seed, and a gradient for every weight."""
    given = [value.clone() for value in inputs]
    for growth in getattr(network, "growths", (None,)):
        outputs = []
        for one in (network, twin):
            if growth is not None:
                one.grow(growth)  # type: ignore[operator]
            with chance(2):
                outputs.append(one(*inputs))
            assert all(map(torch.equal, given, inputs)), f"{config}: it changes what it is given, in place"
        assert torch.isfinite(outputs[0]).all(), f"{config}: values that are not finite"
        assert torch.equal(*outputs), (
            f"{config}: in training, the same seed gives other values; draw dropout and noise with torch's generators"
        )
        outputs[0].float().square().mean().backward()
    idle = [
        name for name, parameter in network.named_parameters() if parameter.requires_grad and parameter.grad is None
    ]
    assert not idle, f"{config}: no gradient reaches {idle}"


def _check_mixed_precision(
    config: Any, network: nn.Module, inputs: Sequence[torch.Tensor], expected: torch.Tensor
) -> None:
    """Under autocast, as the loop runs it with `bf16-mixed`."""
    with torch.autocast("cpu", torch.bfloat16):
        try:
            found = network(*inputs).float()
        except RuntimeError as error:
            raise AssertionError(f"{config}: it fails in mixed precision (bf16): {error}") from error
    assert torch.isfinite(found).all(), f"{config}: values that are not finite in mixed precision (bf16)"
    off = (found - expected).square().mean().sqrt() / expected.float().square().mean().sqrt().clamp(min=1e-6)
    assert off < CLOSE, (
        f"{config}: in mixed precision (bf16) its values are off by {off:.0%}; compute what needs precision (sums over "
        "many values, small differences, coordinates) in float32, with autocast off"
    )


def check_objective(config: Any) -> Any:
    """An adversarial objective: values per logit, finite far out, and gradients that point the right way.

    On real images D's loss falls as logits rise, on generated ones it rises; the generator's falls. Gradients are
    compared with finite differences in float64. In bfloat16 values are finite, too, and on another device they are
    computed there.

    Args:
        config: its name, or `{name: …, option: …}`.

    Returns:
        The objective.
    """
    check_component("objective", config if isinstance(config, str) else config["name"])
    objective = components().build("objective", config, "objective")
    far = torch.tensor([-80.0, -1.0, 0.0, 1.0, 80.0])
    # Where each must push: least squares is content with fakes at 0, so theirs are judged at 1.
    for name, place, direction in (("real", 0.0, -1), ("fake", 1.0, 1), ("generator", 0.0, -1)):
        function = getattr(objective, name)
        for shape in ((5,), (5, 1, 1)):
            values = function(far.view(shape))
            assert values.shape == shape, (
                f"{config}.{name}: one value per logit is expected, {shape} gave {values.shape}"
            )
            assert torch.isfinite(values).all(), f"{config}.{name}: not finite for logits of {far.tolist()}"
        assert torch.isfinite(function(far.bfloat16())).all(), f"{config}.{name}: not finite in bfloat16"
        with elsewhere(f"{config}.{name}"):
            check_place(f"{config}.{name}", function(moved(far, other_device())))
        logit = torch.tensor([place], dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(function(logit).sum(), logit)
        step = torch.tensor([1e-6], dtype=torch.float64)
        numeric = (function(place + step) - function(place - step)) / 2e-6
        assert torch.allclose(slope, numeric, atol=1e-6), (
            f"{config}.{name}: gradient {slope} is not the slope {numeric}"
        )
        assert slope.item() * direction > 0, (
            f"{config}.{name}: at logit {place:.0f} the slope is {slope.item():.3g}, of the wrong sign"
        )
    return objective


def check_plugin(distribution: str) -> list[ComponentSpec]:
    """An installed plugin loads, is free of torch until a component is used, and all it offers can be used.

    Returns:
        What it registered.
    """
    found = plugins()
    own = [plugin for plugin in found.known.values() if plugin.distribution == distribution]
    assert own, f"{distribution}: no entry point in the group `adaptgan`, or it is not installed"
    for plugin in own:
        assert not plugin.failure, f"{plugin.title}: {plugin.failure}"
        assert not plugin.blocked, f"{plugin.title} is {plugin.blocked}. {plugin.remedy}"
    claims = [f"{kind} {name}" for (kind, name), who in found.components.conflicts.items() if distribution in who]
    assert not claims, f"{distribution}: names that others claim too: {', '.join(claims)}"
    code = "import sys; from adaptgan.plugins import plugins; plugins(); sys.exit('torch' in sys.modules)"
    heavy = subprocess.run([sys.executable, "-c", code], check=False).returncode
    assert not heavy, (
        f"{distribution}: registering imports torch, which every command would pay for; name targets as text"
    )
    specs = [spec for spec in found.components.specs() if spec.distribution == distribution]
    return [check_component(spec.kind, spec.name) for spec in specs]
