"""Nothing is pickled: neither by a component's source, nor in the state that is saved of it."""

from __future__ import annotations

import ast
import functools
import inspect
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

_PICKLES = {"pickle", "_pickle", "cPickle", "pickle5"}
_OTHERS = {"dill", "joblib", "cloudpickle", "shelve", "marshal"}


def check_source(target: Any, what: str) -> None:
    """The module that defines a component neither reads nor writes pickles.

    Catching `pickle.UnpicklingError` is fine, and so is `torch.load(…, weights_only=True)`.

    Args:
        target: a class or function.
        what: the component, for messages.
    """
    module = sys.modules.get(getattr(target, "__module__", ""))
    try:
        path = inspect.getsourcefile(module) if module is not None else None
    except TypeError:  # built in, or made while running
        path = None
    if path is not None and Path(path).is_file():
        found = pickles_in(Path(path))
        assert not found, f"{what}: {'; '.join(found)}. A pickle runs whatever is in it: keep tensors and plain data"


@functools.cache
def pickles_in(path: Path) -> tuple[str, ...]:
    """What a source file does with pickles, as `file:line what`."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return tuple(f"{path.name}:{line} {what}" for line, what in sorted(_found(tree)))


def check_state(state: Mapping[str, Any], what: str) -> None:
    """A state_dict is tensors only, and safetensors give them back."""
    loose = [key for key, value in state.items() if not isinstance(value, torch.Tensor)]
    assert not loose, (
        f"{what}: its state_dict() holds {loose[:3]}, which are no tensors; a model folder keeps tensors only, without "
        "pickle. Keep numbers in buffers"
    )
    try:
        plain = {key: value.detach().cpu().contiguous().clone() for key, value in state.items()}
        again = safetensors.torch.load(safetensors.torch.save(plain))
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise AssertionError(f"{what}: its state_dict() cannot be kept as safetensors: {error}") from error
    for key, value in plain.items():
        alike = again[key].dtype == value.dtype and again[key].shape == value.shape
        assert alike, f"{what}: {key} of its state_dict() comes back from safetensors as something else"


def _found(tree: ast.AST) -> Iterator[tuple[int, str]]:
    called: dict[str, str] = {}  # names in the file → what they are
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                called[alias.asname or alias.name] = alias.name
                if alias.name.split(".")[0] in _OTHERS:
                    yield node.lineno, f"imports {alias.name}"
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                called[alias.asname or alias.name] = f"{node.module}.{alias.name}"
            names = [alias.name for alias in node.names]
            if node.module.split(".")[0] in _OTHERS:
                yield node.lineno, f"imports {node.module}"
            elif node.module in _PICKLES and (used := [name for name in names if not name.endswith("Error")]):
                yield node.lineno, f"imports {', '.join(used)} of {node.module}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _name(node.value, called) in _PICKLES and node.attr[-5:] != "Error":
            yield node.lineno, f"uses {_name(node, called)}"
        elif isinstance(node, ast.Call):
            name, given = _name(node.func, called), {word.arg: word.value for word in node.keywords}
            if name == "torch.load" and not _is(given.get("weights_only"), True):
                yield node.lineno, "calls torch.load without weights_only=True"
            elif name == "numpy.load" and "allow_pickle" in given and not _is(given["allow_pickle"], False):
                yield node.lineno, "calls numpy.load with allow_pickle"
            elif isinstance(node.func, ast.Attribute) and node.func.attr in ("read_pickle", "to_pickle"):
                yield node.lineno, f"calls {node.func.attr}"


def _name(node: ast.AST, called: Mapping[str, str]) -> str:
    """`torch.load` for `t.load` where `t` is torch; empty for what is no plain name."""
    if isinstance(node, ast.Name):
        return called.get(node.id, "")
    if isinstance(node, ast.Attribute) and (base := _name(node.value, called)):
        return f"{base}.{node.attr}"
    return ""


def _is(node: ast.AST | None, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value
