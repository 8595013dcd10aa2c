"""Whether tensors stay together where they are put: on the GPU where there is one, else on torch's meta device."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ContextDecorator, contextmanager
from typing import Any, TypeVar
from unittest import mock

import torch
from torch.overrides import TorchFunctionMode, resolve_name

T = TypeVar("T")

_ALLOWED = {
    torch.Tensor.to,
    torch.Tensor.copy_,
    torch.Tensor.type_as,
    torch.Tensor.__getitem__,
    torch.Tensor.__setitem__,
    torch.Tensor.backward,
    torch.Tensor.data.__set__,  # type: ignore[attr-defined]
    torch._has_compatible_shallow_copy_type,  # what `Module.to` asks
}
"""What may see tensors of two devices: copies, and indices, which may lie on the CPU."""


class MixedDevices(AssertionError):
    """An operation was given tensors of two devices."""


def other_device() -> torch.device:
    """Where components are tried beside the CPU: a GPU, or the meta device, which has shapes and no values."""
    return torch.device("cuda" if torch.cuda.is_available() else "meta")


@contextmanager
def elsewhere(what: str) -> Iterator[None]:
    """Run a component with all it was given on `other_device()`; tensors that it made on the CPU are told of.

    The meta device has no values: where the block asks for some (`.item()`, `x[mask]`), it ends there, and what would
    come after is not judged.

    Args:
        what: the component, for messages.

    Raises:
        MixedDevices: an operation met tensors of two devices.
    """
    try:
        with _Watch(what), _without_autocast():
            yield
    except MixedDevices:
        raise
    except (RuntimeError, NotImplementedError, TypeError) as error:
        if other_device().type != "meta" or re.search("(expected|same|different|two) devices?", str(error)):
            raise MixedDevices(
                f"{what}: it runs on the CPU and not on another device: {type(error).__name__}: {error}"
            ) from error


def moved(value: T, device: torch.device) -> T:
    """The same on a device: tensors, modules, and dataclasses, tuples, lists and dicts of them."""
    found: Any = value
    if isinstance(value, torch.Tensor | torch.nn.Module):
        found = value.to(device)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        found = dataclasses.replace(value, **{name: moved(one, device) for name, one in fields.items()})
    elif isinstance(value, dict):
        found = {key: moved(one, device) for key, one in value.items()}
    elif isinstance(value, list | tuple):
        found = type(value)(moved(one, device) for one in value)
    return found  # type: ignore[no-any-return]


def check_place(what: str, *tensors: torch.Tensor) -> None:
    """What came out lies where the input lay."""
    kind = other_device().type
    strays = {str(tensor.device) for tensor in tensors if tensor.device.type != kind}
    assert not strays, f"{what} came out on {', '.join(strays)}; its input lay on {kind}"


@contextmanager
def _without_autocast() -> Iterator[None]:
    """The meta device has none, and components name their input's device to it."""
    if other_device().type != "meta":
        yield
        return

    class Nothing(ContextDecorator):
        def __init__(self, *args: Any, **options: Any) -> None: ...

        def __enter__(self) -> None: ...

        def __exit__(self, *error: object) -> None: ...

    with mock.patch.object(torch, "autocast", Nothing):
        yield


class _Watch(TorchFunctionMode):
    """Looks at what every operation is given. Numbers without a dimension may lie on the CPU, as torch has it."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func not in _ALLOWED:
            places = {tensor.device.type for tensor in _tensors((args, list(kwargs.values()))) if tensor.ndim}
            if len(places) > 1:
                name, met = resolve_name(func) or func.__name__, " and ".join(sorted(places))
                raise MixedDevices(
                    f"{self.what}: {name} is given tensors on {met}. Make new tensors on their input's device "
                    "(`x.new_zeros(…)`, `device=x.device`), and keep constants in buffers: they move with the module"
                )
        return func(*args, **kwargs)


def _tensors(values: Any) -> Iterator[torch.Tensor]:
    if isinstance(values, torch.Tensor):
        yield values
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _tensors(value)
