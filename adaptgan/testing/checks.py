"""Checks of networks, objectives and whole plugins."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import torch
from torch import nn

from adaptgan.components import ComponentSpec
from adaptgan.datainfo import DataInfo
from adaptgan.plugins import components, plugins
from adaptgan.testing.data import tiny_info


def check_component(kind: str, name: str) -> ComponentSpec:
    """It is registered under a summary, can be imported, and every option of it is explained in its docstring.

    Returns:
        Its spec.
    """
    spec = components().find(kind, name)
    assert spec.summary, f"the {kind} {name!r} has no summary: `adaptgan components {kind}` would show an empty line"
    unexplained = [option.name for option in components().schema(spec).options if not option.help]
    assert not unexplained, f"the {kind} {name!r}: no help for {unexplained} under `Args:` of its docstring"
    return spec


def check_network(config: Any, *inputs: torch.Tensor, info: DataInfo | None = None) -> nn.Module:
    """A network gives finite values, trains all of itself, and treats each image of a batch alike when evaluated.

    One that grows (`growths`, `grow(growth)`, as in `networks.progressive`) must train all of itself over its growths.

    Args:
        config: its name, or `{name: …, option: …}`.
        inputs: what its forward takes, first dimension N; eight made-up images when none are given.
        info: the data it is built for.

    Returns:
        The network, in eval mode.
    """
    info = info or tiny_info()
    check_component("network", config if isinstance(config, str) else config["name"])
    torch.manual_seed(0)
    network: nn.Module = components().build("network", config, "network", [info])
    assert isinstance(network, nn.Module), (
        f"{config}: a network is a torch.nn.Module, this is a {type(network).__name__}"
    )
    if not inputs:
        inputs = (torch.rand(8, info.channels, info.height, info.width) * 2 - 1,)
    network.train()
    for growth in getattr(network, "growths", (None,)):
        if growth is not None:
            network.grow(growth)  # type: ignore[operator]
        output = network(*inputs)
        assert torch.isfinite(output).all(), f"{config}: values that are not finite"
        output.float().square().mean().backward()
    idle = [
        name for name, parameter in network.named_parameters() if parameter.requires_grad and parameter.grad is None
    ]
    assert not idle, f"{config}: no gradient reaches {idle}"
    network.eval().requires_grad_(False)
    whole = network(*inputs)
    assert torch.equal(whole, network(*inputs)), (
        f"{config}: random when evaluated; dropout and noise must be off in eval mode"
    )
    single = torch.cat([network(*[value[i : i + 1] for value in inputs]) for i in range(len(inputs[0]))])
    assert torch.allclose(whole, single, atol=1e-4), (
        f"{config}: when evaluated, an image's result depends on its neighbours"
    )
    twin: nn.Module = components().build("network", config, "network", [info])
    twin.load_state_dict(network.state_dict())
    assert torch.equal(whole, twin.eval()(*inputs)), f"{config}: state_dict() does not hold all of its state"
    return network


def check_objective(config: Any) -> Any:
    """An adversarial objective: values per logit, finite far out, and gradients that point the right way.

    On real images D's loss falls as logits rise, on generated ones it rises; the generator's falls. Gradients are
    compared with finite differences in float64.

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
        assert not plugin.blocked, f"{plugin.title} is blocked by ADAPTGAN_DISABLE_PLUGINS"
    claims = [f"{kind} {name}" for (kind, name), who in found.components.conflicts.items() if distribution in who]
    assert not claims, f"{distribution}: names that others claim too: {', '.join(claims)}"
    code = "import sys; from adaptgan.plugins import plugins; plugins(); sys.exit('torch' in sys.modules)"
    heavy = subprocess.run([sys.executable, "-c", code], check=False).returncode
    assert not heavy, (
        f"{distribution}: registering imports torch, which every command would pay for; name targets as text"
    )
    specs = [spec for spec in found.components.specs() if spec.distribution == distribution]
    return [check_component(spec.kind, spec.name) for spec in specs]
