"""What plugins keep inside checkpoints: only what can be read back, and nothing of a plugin that is away is lost."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch

from adaptgan.plugins import PluginWarning, plugins
from adaptgan.training.run import Run

_PLAIN = (int, float, bool, str, bytes, type(None))
_TENSORS = (torch.Tensor, torch.nn.Parameter)


class PluginStates:
    """The states of all plugins, as the newest checkpoint holds them.

    The entries of a plugin that is blocked, or was left out, go from checkpoint to checkpoint until it is back.

    Attributes:
        entries: state by key.
        owners: the plugin that gave it, by key.
    """

    def __init__(self) -> None:
        self.entries: dict[str, Any] = {}
        self.owners: dict[str, str] = {}

    def restore(self, run: Run, saved: Mapping[str, Any]) -> None:
        """Hand a checkpoint's states back to their plugins."""
        self.entries, self.owners = dict(saved["plugins"]), dict(saved.get("plugin_owners", {}))
        plugins().fire("adaptgan_load_state", run=run, state=dict(self.entries))

    def collect(self, run: Run) -> dict[str, Any]:
        """The plugins' part of a checkpoint, `run.memo` and `run.alarms` too: plugins write there.

        What a checkpoint cannot give back would keep the whole of it from being read: a plugin that gives such a state
        is left out, and such a value of `run.memo` or `run.alarms` is not kept; a warning names either.
        """
        answers = dict(plugins().ask("adaptgan_save_state", run=run))
        for name, given in answers.items():
            if problem := self._problem(name, given, answers):
                plugins().leave_out(name, "adaptgan_save_state", f"gave {problem}")
                continue
            mine = {key for key, owner in self.owners.items() if owner == name}
            for key in mine - set(given or {}):
                del self.entries[key], self.owners[key]
            for key, state in (given or {}).items():
                self.entries[key], self.owners[key] = state, name
        _drop_unreadable(run)
        return {"plugins": self.entries, "plugin_owners": self.owners, "memo": run.memo, "alarms": run.alarms}

    def _problem(self, name: str, given: Any, answers: Mapping[str, Any]) -> str:
        if given is None:
            return ""
        if not isinstance(given, dict) or not all(type(key) is str for key in given):
            return f"{type(given).__name__}, not {{plugin name: state}}"
        for key, state in given.items():
            owner = self.owners.get(key, name)
            if owner != name and owner in answers:
                return f"a state under {key!r}, which is the plugin {owner!r}'s"
            if found := unreadable(state, key):
                return f"{found}; a checkpoint keeps tensors, numbers, texts, lists and dicts"
        return ""


def unreadable(value: Any, where: str) -> str:
    """What in a value a checkpoint could not give back, and where: subclasses are not what they are derived from."""
    if type(value) in _PLAIN or type(value) in _TENSORS:
        return ""
    if type(value) in (list, tuple):
        inner = [(f"{where}[{i}]", item) for i, item in enumerate(value)]
    elif type(value) is dict:
        if strange := [key for key in value if type(key) not in _PLAIN]:
            return f"a key of type {type(strange[0]).__name__} in {where}"
        inner = [(f"{where}.{key}", item) for key, item in value.items()]
    else:
        return f"a value of type {type(value).__name__} at {where}"
    return next((found for place, item in inner if (found := unreadable(item, place))), "")


def _drop_unreadable(run: Run) -> None:
    for key in list(run.memo):
        if found := unreadable(run.memo[key], f"run.memo.{key}"):
            del run.memo[key]
            _warn(found)
    for alarm in list(run.alarms):
        if found := unreadable(alarm, "run.alarms"):
            run.alarms.remove(alarm)
            _warn(found)


def _warn(found: str) -> None:
    warnings.warn(f"A plugin left {found}; a checkpoint cannot keep that: it is dropped.", PluginWarning, stacklevel=3)
