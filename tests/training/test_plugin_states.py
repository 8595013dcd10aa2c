"""Plugins in the real loop: their states in checkpoints, their failures, and who ends a training."""

from __future__ import annotations

import enum
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adaptgan.errors import PluginError, TrainingError
from adaptgan.params import Training
from adaptgan.plugins import PluginWarning, plugins
from adaptgan.testing.data import Stop, TinyFeeds, tiny_info, tiny_side
from adaptgan.training.checkpoints import Checkpoints
from adaptgan.training.devices import make_fabric
from adaptgan.training.loop import fit
from adaptgan.training.plugin_states import unreadable
from adaptgan.training.run import Run
from adaptgan.training.seeding import seed_all

Install = Callable[..., None]
CONFIG = {"name": "supervised", "classifier": {"name": "conv_classifier", "widths": [4], "hidden": 8}}
CPU = torch.device("cpu")

COUNTER = """
from adaptgan import hookimpl
got = []

@hookimpl(observes=True)
def adaptgan_save_state(run): return {"counter": {"steps": [run.step], "mean": __import__("torch").ones(2)}}
@hookimpl(observes=True)
def adaptgan_load_state(run, state): got.append(state["counter"]["steps"])
"""


def train(folder: Path, stop_at: int | None = None, method: Any = None) -> Run:
    seed_all(0, "weights")
    method = method or plugins().components.build("method", CONFIG, "method", [tiny_info()])
    training = Training(steps=6, batch_size=4, log_every=2, checkpoint_every=2)
    run = Run("trial", "0" * 64, folder, folder / "log", {}, 6, method, CPU)
    feeds = TinyFeeds(info=tiny_info(), size=4, stop_at=stop_at, held_out=tiny_side(tiny_info(), 4, 99))
    fit(make_fabric(CPU, "32-true"), run, feeds, training, seed=0)
    return run


def newest(folder: Path) -> dict[str, Any]:
    state = Checkpoints(folder / "checkpoints").load(CPU)
    assert state is not None
    return state


def interrupted(folder: Path, at: int) -> None:
    with pytest.raises(Stop):
        train(folder, stop_at=at)


def weights(run: Run) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in run.method.state_dict().items()}


class Colour(enum.StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"a": [1, 2.5, True, None, "x", b"y", (torch.ones(1), torch.nn.Parameter(torch.ones(1)))]}, ""),
        (
            {"a": [0, np.float64(1.0)]},
            "a value of type float64 at s.a[1]",
        ),  # a float to isinstance, not to a checkpoint
        ({"a": {"b": Path("x")}}, "a value of type PosixPath at s.a.b"),
        ({"a": np.zeros(2)}, "a value of type ndarray at s.a"),
        ([{"c": Colour.RED}], "a value of type Colour at s[0].c"),
        ({("x",): 1}, "a key of type tuple in s"),
        ({1, 2}, "a value of type set at s"),
    ],
)
def test_what_a_checkpoint_gives_back(tmp_path: Path, value: Any, found: str) -> None:
    assert unreadable(value, "s") == found
    if not found:  # it is true: torch reads it back
        Checkpoints(tmp_path).save(1, {"value": value})
        assert Checkpoints(tmp_path).load(CPU)["value"].keys() == value.keys()


def test_a_state_comes_back(third_party: Install, tmp_path: Path) -> None:
    third_party("count-gan", COUNTER)
    interrupted(tmp_path, at=5)
    train(tmp_path)
    assert plugins().manager.get_plugin("count-gan").got == [[4]]
    assert newest(tmp_path)["plugin_owners"] == {"counter": "count-gan"}


def test_the_state_of_a_plugin_that_is_away_is_kept_until_it_is_back(
    third_party: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    third_party("count-gan", COUNTER)
    interrupted(tmp_path, at=3)
    monkeypatch.setenv("ADAPTGAN_DISABLE_PLUGINS", "count-gan")
    plugins.cache_clear()
    interrupted(tmp_path, at=5)
    state = newest(tmp_path)
    assert (state["step"], state["plugins"]["counter"]["steps"]) == (4, [2])
    monkeypatch.delenv("ADAPTGAN_DISABLE_PLUGINS")
    plugins.cache_clear()
    train(tmp_path)
    assert plugins().manager.get_plugin("count-gan").got == [[2]]
    assert newest(tmp_path)["plugins"]["counter"]["steps"] == [6]


def test_a_state_that_cannot_be_taken_back_is_kept_and_the_run_goes_on(third_party: Install, tmp_path: Path) -> None:
    third_party("count-gan", COUNTER.replace("got.append(", "raise KeyError("))
    interrupted(tmp_path, at=3)
    with pytest.warns(PluginWarning, match="count-gan 1.0 .* adaptgan_load_state raised KeyError"):
        run = train(tmp_path)
    assert (run.resumed_from, run.step) == (2, 6)
    assert newest(tmp_path)["plugins"]["counter"]["steps"] == [2]


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        ("{'count': __import__('numpy').float64(1)}", "gave a value of type float64 at count; a checkpoint keeps"),
        ("[1]", "gave list, not {plugin name: state}"),
    ],
)
def test_a_state_that_would_spoil_the_checkpoint_stays_out_of_it(
    third_party: Install, tmp_path: Path, given: str, cause: str
) -> None:
    code = f"from adaptgan import hookimpl\n@hookimpl\ndef adaptgan_save_state(): return {given}"
    third_party("spoil-gan", code)
    with pytest.warns(PluginWarning, match=f"spoil-gan 1.0 .* adaptgan_save_state {cause}"):
        interrupted(tmp_path, at=3)
    assert train(tmp_path).resumed_from == 2  # the checkpoint can be read


def test_a_state_that_must_be_saved_stops_the_run(third_party: Install, tmp_path: Path) -> None:
    code = (
        "from adaptgan import hookimpl\n@hookimpl(must_succeed=True)\ndef adaptgan_save_state(): return {'a': object()}"
    )
    third_party("spoil-gan", code)
    with pytest.raises(
        PluginError, match="its adaptgan_save_state must succeed, and it gave a value of type object at a"
    ):
        train(tmp_path)


def test_nobody_writes_over_anothers_state(third_party: Install, tmp_path: Path) -> None:
    third_party("count-gan", COUNTER)
    interrupted(tmp_path, at=3)
    third_party("aaa-gan", "from adaptgan import hookimpl\n@hookimpl\ndef adaptgan_save_state(): return {'counter': 0}")
    with pytest.warns(
        PluginWarning, match="aaa-gan 1.0 .* gave a state under 'counter', which is the plugin 'count-gan'"
    ):
        train(tmp_path)
    assert newest(tmp_path)["plugins"]["counter"]["steps"] == [6]


def test_a_plugin_that_saves_no_more_has_no_old_state(third_party: Install, tmp_path: Path) -> None:
    third_party("count-gan", COUNTER.replace("ones(2)}}", "ones(2)}} if run.step < 4 else None"))
    interrupted(tmp_path, at=3)
    assert newest(tmp_path)["plugin_owners"] == {"counter": "count-gan"}
    train(tmp_path)
    assert (newest(tmp_path)["plugins"], newest(tmp_path)["plugin_owners"]) == ({}, {})


def test_the_memo_and_the_alarms_are_held_to_the_same(third_party: Install, tmp_path: Path) -> None:
    code = (
        "import numpy\nfrom adaptgan import hookimpl\n@hookimpl\ndef adaptgan_on_step_end(run, step):\n"
        "    run.memo.setdefault('id', 'x')\n    if step == 1:\n        run.memo['best'] = numpy.float64(1)\n"
        "        run.alarms.append({'step': numpy.int64(1), 'alarm': 'a', 'message': 'm'})\n"
    )
    third_party("memo-gan", code)
    with pytest.warns(PluginWarning) as caught:
        interrupted(tmp_path, at=3)
    assert sorted(str(one.message) for one in caught) == [
        f"A plugin left a value of type {kind} at {where}; a checkpoint cannot keep that: it is dropped."
        for kind, where in (("float64", "run.memo.best"), ("int64", "run.alarms.step"))
    ]
    assert newest(tmp_path)["memo"] == {"id": "x"}


HOOKS = ("before_train", "on_step_end", "on_losses", "on_samples", "on_evaluated", "on_checkpoint", "save_state")


@pytest.mark.parametrize("hook", HOOKS)
def test_a_failing_plugin_stops_no_training_and_changes_no_weight(
    third_party: Install, tmp_path: Path, hook: str
) -> None:
    expected = weights(train(tmp_path / "without"))
    code = (
        "import torch\nfrom adaptgan import AdaptganError, hookimpl\n@hookimpl\ndef adaptgan_{}():\n    torch.rand(3)\n"
    )
    third_party("fail-gan", code.format(hook) + "    raise AdaptganError('no')")
    with pytest.warns(PluginWarning, match=f"fail-gan 1.0 .* adaptgan_{hook} raised AdaptganError: no") as caught:
        run = train(tmp_path / "with")
    assert len(caught) == 1
    assert run.step == 6
    for name, value in weights(run).items():
        assert torch.equal(value, expected[name]), name


@pytest.mark.parametrize("hook", HOOKS)
def test_where_it_must_succeed_it_stops_it(third_party: Install, tmp_path: Path, hook: str) -> None:
    code = f"from adaptgan import hookimpl\n@hookimpl(must_succeed=True)\ndef adaptgan_{hook}(): 1 / 0"
    third_party("must-gan", code)
    with pytest.raises(PluginError, match=f"must-gan 1.0 .* its adaptgan_{hook} must succeed, and it raised ZeroDiv"):
        train(tmp_path)


def test_halting_is_the_polite_way(third_party: Install, tmp_path: Path) -> None:
    code = (
        "from adaptgan import hookimpl\n@hookimpl\ndef adaptgan_on_losses(run, step): run.halt = 'enough' * (step == 4)"
    )
    third_party("halt-gan", code)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(TrainingError, match="^enough$"):
            train(tmp_path)
    assert newest(tmp_path)["step"] == 4
