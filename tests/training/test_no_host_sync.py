"""A training step never makes the host wait for the device: nothing is read back, no shape depends on values.

On a GPU the host then runs ahead and the device never idles. Counted on the CPU, where the same calls are made. A
generator is looked at by a guard on the way, and its discriminator sees images through an augmentation.
"""

from __future__ import annotations

import dataclasses
import sys
import traceback
from pathlib import Path
from typing import Any

import kornia.filters  # noqa: F401 - makes constants when it is imported, late, by the blur
import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import adaptgan
from adaptgan.data.batch import Batch
from adaptgan.datainfo import DataInfo
from adaptgan.methods.base import Guard, Method
from adaptgan.methods.generative import GenerativeMethod, TwoPlayers
from adaptgan.plugins import components, plugins
from adaptgan.testing import tiny_batch, tiny_info
from adaptgan.testing.data import tiny_side
from adaptgan.training.devices import make_fabric
from adaptgan.training.engine import Engine
from adaptgan.training.seeding import seed_all
from tests.testing.test_methods import CONFIGS, INFOS

INFO, LARGER = tiny_info(size=16), tiny_info(size=32)
SMALL: dict[str, dict[str, Any]] = {
    "classifier": {"name": "conv_classifier", "widths": [4, 4], "hidden": 8},
    "refiner": {"name": "simgan_refiner", "channels": 4, "blocks": 1},
    "discriminator": {"name": "patch_discriminator", "layers": "strided", "channels": 4, "depth": 2},
}
EVERYTHING = {
    "name": "warp",
    "elastic": 1.0,
    "stroke": [-0.5, 1.0],
    "blur": 1.0,
    "gain": [0.8, 1.2],
    "contrast": 0.2,
    "brightness": 0.1,
    "noise": 0.05,
    "cutout": 6,
}
OPTIONS: dict[str, dict[str, Any]] = {
    "dsn": {
        "source_private": {"name": "private_encoder", "hidden": 8},
        "target_private": {"name": "private_encoder", "hidden": 8},
        "decoder": {"name": "shared_decoder", "hidden": 8},
    },
    "simgan": {"pretrain_refiner": 1, "pretrain_discriminator": 1, "semantic": 0.1},
}
"""What a method needs beyond small networks, so that every phase has its turn within `STEPS`."""
STEPS = 6

READS = {"_local_scalar_dense", "equal", "is_nonzero", "item"}
VALUE_SHAPED = {
    "nonzero", "masked_select", "unique", "_unique", "_unique2", "unique_dim", "unique_consecutive", "bincount",
    "repeat_interleave", "histc", "argwhere", "linalg_eigvals",
}  # fmt: skip
LEAVES_TORCH = {"tolist", "numpy", "cpu", "__array__"}
COPIED_IN = {"tensor", "new_tensor", "as_tensor", "from_numpy"}
FACTORIES = {"arange", "empty", "eye", "full", "linspace", "ones", "rand", "randint", "randn", "randperm", "zeros"}
"""Without `device` these make a tensor on the host; to use it, a GPU is waited for while it is copied there."""

OWN, TORCH = (str(Path(str(package.__file__)).parent) for package in (adaptgan, torch))


class Calls(TorchFunctionMode):
    """Notes calls that torch's dispatcher does not see on the CPU, or cannot tell from harmless ones there."""

    def __init__(self, found: set[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, kwargs = getattr(func, "__name__", ""), kwargs or {}
        made = name in COPIED_IN or (name in FACTORIES and "device" not in kwargs)
        if name in LEAVES_TORCH or (made and not sys._getframe(1).f_code.co_filename.startswith(TORCH)):
            _note(self.found, name)
        if name == "one_hot" and len(args) > 1:  # looks at the range of its input, but on the CPU alone
            return (args[0][..., None] == torch.arange(args[1])).long()
        return func(*args, **kwargs)


class Kernels(TorchDispatchMode):
    """Notes kernels that read a number back, or whose result has a shape that depends on values."""

    def __init__(self, found: set[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        masks = name in ("index", "index_put", "index_put_") and any(
            isinstance(index, torch.Tensor) and index.dtype in (torch.bool, torch.uint8) for index in args[1]
        )
        counted = name == "repeat_interleave" and (kwargs or {}).get("output_size") is not None
        if masks or (name in READS | VALUE_SHAPED and not counted):
            _note(self.found, f"{name} by a mask" if masks else name)
        return func(*args, **(kwargs or {}))


def _note(found: set[str], name: str) -> None:
    """The call and the innermost line of adaptgan that made it; calls from outside of it count too."""
    frames = [frame for frame in traceback.extract_stack() if frame.filename.startswith(OWN)]
    place = f"{Path(frames[-1].filename).relative_to(OWN)}:{frames[-1].lineno}" if frames else "?"
    found.add(f"{name} at {place}")


def own_methods() -> list[str]:
    return [spec.name for spec in plugins().components.specs("method") if spec.distribution == "adaptgan"]


def is_generative(name: str) -> bool:
    spec = components().find("method", name)
    return issubclass(components().load(spec), GenerativeMethod)


def is_translator(name: str) -> bool:
    return hasattr(components().load(components().find("method", name)), "translate")


def info_of(name: str) -> DataInfo:
    """Small, but for translators: their networks, as the conformance check has them, halve the sides often."""
    return INFOS.get(name, LARGER if is_translator(name) and name not in OPTIONS else INFO)


def generative(name: str, augmentation: str) -> GenerativeMethod:
    """As the conformance check builds it, watched by a guard."""
    options = {option.name for option in components().schema(components().find("method", name)).options}
    config = {"name": name, **CONFIGS[name]} | ({"augmentation": augmentation} if "augmentation" in options else {})
    guard = components().build("method", {"name": "supervised", "classifier": SMALL["classifier"]}, "guard", [LARGER])
    seed_all("weights")
    method: GenerativeMethod = components().build("method", config, name, [LARGER, Guard()])
    method.info, method.guard = LARGER, Guard(guard.eval().requires_grad_(False))
    return method


def build(name: str) -> Method:
    registry = components()
    schema = registry.schema(registry.find("method", name))
    info = info_of(name)
    config: dict[str, Any] = {"name": name, **OPTIONS.get(name, CONFIGS[name] if is_translator(name) else {})}
    for option in schema.options:
        if option.nested and option.nested.kind == "augmentation":
            config.setdefault(option.name, EVERYTHING)
        elif option.name in SMALL and option.name not in config:
            config[option.name] = SMALL[option.name]
    seed_all("guard")
    reads = dataclasses.replace(info, task="classification", paired=0)
    guard = registry.build("method", {"name": "supervised", "classifier": SMALL["classifier"]}, "guard", [reads])
    seed_all("weights")
    method: Method = registry.build("method", config, name, [info, Guard(guard.eval().requires_grad_(False))])
    return method


def batches(step: int, count: int, info: DataInfo = INFO) -> list[Batch]:
    few = tiny_side(info, 8, step, salt=1)
    return [dataclasses.replace(tiny_batch(info, 8, step=step, steps=STEPS), labelled=few) for _ in range(count)]


def reads_of(method: Method, info: DataInfo = INFO) -> set[str]:
    """What a short training reads back or copies in; every phase has its turn."""
    engine = Engine(make_fabric(torch.device("cpu"), "32-true"), method.train(), STEPS)
    turns = max(phase.repeats for phase in engine.phases)
    found: set[str] = set()
    seen: set[str] = set()
    for step in range(STEPS):
        given = batches(step, turns, info)
        with Calls(found), Kernels(found):
            seen |= set(engine.step(given))
    if isinstance(method, TwoPlayers):
        measures = {name.split("/")[1] for name in seen}
        assert measures >= {"ranking", "diversity", "image_gradient"}, f"the watchdogs miss some of {sorted(measures)}"
    idle = {phase.name for phase in engine.phases} - {name.split("/")[0] for name in seen}
    assert not idle, f"the phases {sorted(idle)} never had their turn: give options in OPTIONS"
    return found


@pytest.mark.parametrize(
    ("name", "augmentation"),
    [("dcgan", "diff_augment"), *((name, "ada") for name in own_methods() if is_generative(name))],
)
def test_a_step_of_a_generator_reads_nothing_back(name: str, augmentation: str) -> None:
    found = reads_of(generative(name, augmentation), LARGER)
    assert not found, f"{name}: the host waits for the device in {sorted(found)}"


@pytest.mark.parametrize("name", [name for name in own_methods() if not is_generative(name)])
def test_a_step_reads_nothing_back(name: str) -> None:
    found = reads_of(build(name), info_of(name))
    assert not found, f"{name}: the host waits for the device in {sorted(found)}"


@pytest.fixture(params=["item", "if", "tolist", "nonzero", "mask", "tensor", "ones"])
def waiting(request: pytest.FixtureRequest) -> Method:
    """A method that waits, each in another way."""
    method: Any = build("supervised")
    plain = method.loss
    ways: dict[str, Any] = {
        "item": lambda task: task.item(),
        "if": lambda task: 1.0 if task > 0 else 2.0,
        "tolist": lambda task: task.detach().tolist(),
        "nonzero": lambda task: len((task > 0).nonzero()),
        "mask": lambda task: task.expand(3)[task.expand(3) > 0].sum(),
        "tensor": lambda task: torch.tensor([1.0, 2.0], device=task.device).sum(),
        "ones": lambda task: torch.ones(2).to(task).sum(),
    }

    def loss(batch: Batch) -> dict[str, torch.Tensor]:
        task = plain(batch)["task"]
        return {"task": task + 0 * ways[request.param](task)}

    method.loss = loss
    return method  # type: ignore[no-any-return]


def test_the_check_sees_a_wait(waiting: Method) -> None:
    assert reads_of(waiting)
