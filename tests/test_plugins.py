"""The plugin manager: discovery, blocking, and failures that are named and hurt nobody else."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from adaptgan import hookspecs
from adaptgan.errors import ComponentError, Interrupted, PluginError
from adaptgan.plugins import ERROR_HOOKS, REGISTRATION_HOOKS, STAGE_HOOKS, TRAINING_HOOKS, Plugins, PluginWarning

Install = Callable[..., None]

ONE_NETWORK = """
from adaptgan import ComponentSpec, hookimpl

class Net:
    def __init__(self, width: int = 3):
        self.width = width

@hookimpl
def adaptgan_register_components():
    return [ComponentSpec("network", "acme_net", __name__ + ":Net", "a network of Acme's")]
"""

LISTENER = """
from adaptgan import hookimpl
heard = []

@hookimpl
def adaptgan_on_losses(step, means):
    heard.append((step, means))
"""

GROUCH = """
from adaptgan import hookimpl
calls = []

@hookimpl
def adaptgan_on_losses(step):
    calls.append(step)
    raise KeyError("no such thing")
"""


RUN = SimpleNamespace(rank=1)
"""A rank on which the built-in listeners have nothing to do."""


def module_of(found: Plugins, name: str) -> Any:
    return found.manager.get_plugin(name)


def test_the_built_ins_load_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = Plugins()
    assert {plugin.name for plugin in found.known.values() if plugin.builtin} >= {"adaptgan.builtin"}
    assert not [plugin for plugin in found.known.values() if plugin.failure]


def test_a_third_partys_component_is_built(third_party: Install) -> None:
    third_party("acme-gan", ONE_NETWORK, version="1.2")
    found = Plugins()
    assert found.components.build("network", {"name": "acme_net", "width": 5}).width == 5
    spec = found.components.find("network", "acme_net")
    assert spec.distribution == "acme-gan"
    assert found.known["acme-gan"].version == "1.2"
    assert found.components_of("acme-gan") == ["network/acme_net"]


@pytest.mark.parametrize("given", ["acme-gan", "ACME_gan", "other, acme.gan", "point"])
def test_blocking_by_distribution_or_entry_point(
    third_party: Install, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    third_party("acme-gan", "raise RuntimeError('must not be imported')", point="point")
    monkeypatch.setenv("ADAPTGAN_DISABLE_PLUGINS", given)
    found = Plugins()
    assert found.known["point"].blocked
    with pytest.raises(ComponentError, match=r"acme-gan 1\.0 .* is blocked by ADAPTGAN_DISABLE_PLUGINS"):
        found.components.find("network", "acme_net")


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("import no_such_module_at_all", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
        ("def (", "SyntaxError"),
        (
            "from adaptgan import hookimpl\n@hookimpl\ndef adaptgan_register_components(): raise OSError('no disk')",
            "OSError: no disk",
        ),
        (
            "from adaptgan import hookimpl\n@hookimpl\ndef adaptgan_register_components(): return ['net']",
            "gave 'net', not a ComponentSpec",
        ),
        (
            "from adaptgan import hookimpl, ComponentSpec\n@hookimpl\n"
            "def adaptgan_register_components(): return [ComponentSpec('netwrok', 'x', 'a:b')]",
            "unknown kind 'netwrok'. Did you mean 'network'",
        ),
        (
            "from adaptgan import hookimpl, ComponentSpec\n@hookimpl\n"
            "def adaptgan_register_components(): return [ComponentSpec('network', 'x', 'a:b', api=99)]",
            "written for plugin API 99",
        ),
        ("from adaptgan import hookimpl\n@hookimpl\ndef adaptgan_on_lossses(step): ...", "adaptgan_on_lossses"),
        ("from adaptgan import hookimpl\n@hookimpl\ndef adaptgan_on_losses(stepp): ...", "stepp"),
        ("from adaptgan import hookimpl\n@hookimpl(wrapper=True)\ndef adaptgan_on_losses(): yield", "hook wrapper"),
    ],
)
def test_a_broken_plugin_is_named_and_the_others_load(third_party: Install, code: str, cause: str) -> None:
    third_party("broken-gan", code, version="0.3")
    third_party("acme-gan", ONE_NETWORK)
    with pytest.warns(PluginWarning) as caught:
        found = Plugins()
    (message,) = [str(warning.message) for warning in caught]
    assert "broken-gan 0.3" in message
    assert cause in message
    assert found.known["broken-gan"].failure
    assert not found.manager.has_plugin("broken-gan")
    assert found.components.find("network", "acme_net")
    assert found.components.find("method", "simgan")
    with pytest.raises(ComponentError) as asked:
        found.components.find("network", "broken_net", "refiner.method.refiner")
    assert "broken-gan 0.3" in str(asked.value)
    assert cause in str(asked.value)


def test_strict_raises_and_names_it(third_party: Install) -> None:
    third_party("broken-gan", "import no_such_module_at_all")
    with pytest.raises(ComponentError, match="broken-gan 1.0.*no_such_module_at_all"):
        Plugins(strict=True)


def test_two_claims_to_a_name_warn_and_using_it_names_both(third_party: Install) -> None:
    third_party("acme-gan", ONE_NETWORK)
    third_party("bolt-gan", ONE_NETWORK)
    with pytest.warns(PluginWarning, match="network 'acme_net' is claimed by acme-gan and bolt-gan"):
        found = Plugins()
    with pytest.raises(ComponentError, match="claimed by acme-gan and bolt-gan"):
        found.components.find("network", "acme_net")


def test_a_claim_to_a_built_ins_name_names_both(third_party: Install) -> None:
    third_party("acme-gan", ONE_NETWORK.replace('"network", "acme_net"', '"method", "simgan"'))
    with pytest.warns(PluginWarning, match="method 'simgan' is claimed by adaptgan and acme-gan"):
        Plugins()


def test_two_plugins_of_one_name_the_first_stays_healthy(third_party: Install) -> None:
    third_party("acme-gan", ONE_NETWORK, point="same")
    third_party("bolt-gan", LISTENER, point="same")
    with pytest.warns(PluginWarning, match="the name is taken by acme-gan"):
        found = Plugins()
    assert not found.known["same"].failure
    assert [plugin.distribution for plugin in found.known.values() if plugin.failure] == ["bolt-gan"]


def test_a_hook_that_fails_is_left_out_and_the_others_go_on(third_party: Install) -> None:
    third_party("aaa-listener", LISTENER)
    third_party("mmm-grouch", GROUCH, version="2.0")
    third_party("zzz-listener", LISTENER)
    found = Plugins()
    grouch = module_of(found, "mmm-grouch")
    means = {"critic/wasserstein": 0.5}
    with pytest.warns(PluginWarning, match=r"mmm-grouch 2.0 .*adaptgan_on_losses raised KeyError: 'no such thing'"):
        found.fire("adaptgan_on_losses", run=RUN, step=1, means=means)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # named once, not at every step
        found.fire("adaptgan_on_losses", run=RUN, step=2, means=means)
    assert grouch.calls == [1]
    for name in ("aaa-listener", "zzz-listener"):
        assert module_of(found, name).heard == [(1, means), (2, means)]
    assert "KeyError" in found.known["mmm-grouch"].failure


def test_a_hook_that_fails_under_strict_stops_the_run(third_party: Install) -> None:
    third_party("mmm-grouch", GROUCH)
    with pytest.raises(ComponentError, match="mmm-grouch"):
        Plugins(strict=True).fire("adaptgan_on_losses", run=RUN, step=1, means={})


MUST = """
from adaptgan import AdaptganError, hookimpl
from adaptgan.errors import Interrupted

@hookimpl{options}
def {hook}(): raise {error}
"""


def failing(hook: str, error: str, options: str = "") -> str:
    return MUST.format(hook=hook, error=error, options=options)


EVENTS = {
    "adaptgan_on_losses": {"run": RUN, "step": 1, "means": {}},
    "adaptgan_before_train": {"run": SimpleNamespace(rank=1, steps=1, history=[], method=None, halt="", alarms=[])},
    "adaptgan_after_stage": {"stage": SimpleNamespace(name="ingest")},
}


@pytest.mark.parametrize("hook", EVENTS)
@pytest.mark.parametrize(
    "error", ["Interrupted('enough')", "AdaptganError('no')", "MemoryError()", "OSError(28, 'full')"]
)
def test_whatever_an_observing_hook_raises_the_run_goes_on(third_party: Install, hook: str, error: str) -> None:
    third_party("watch-gan", failing(hook, error))
    found = Plugins()
    with pytest.warns(PluginWarning, match=f"watch-gan 1.0 .* is left out: {hook} raised {error.split('(')[0]}"):
        found.fire(hook, **EVENTS[hook])
    assert not found.manager.has_plugin("watch-gan")
    assert found.left_out()["watch-gan==1.0"].startswith(f"{hook} raised")
    assert found.active() == []


def test_who_wanted_to_stop_a_training_is_told_how(third_party: Install) -> None:
    third_party("watch-gan", failing("adaptgan_on_losses", "Interrupted('enough')"))
    with pytest.warns(
        PluginWarning, match=r"enough \(A plugin ends a training by `run.halt`; only a hook that `must_succ"
    ):
        Plugins().fire("adaptgan_on_losses", run=RUN, step=1, means={})


@pytest.mark.parametrize("hook", EVENTS)
def test_a_hook_that_must_succeed_stops_the_run(third_party: Install, hook: str) -> None:
    third_party("must-gan", failing(hook, "Interrupted('enough')", "(must_succeed=True)"))
    found = Plugins()
    with pytest.raises(Interrupted, match="^enough$"):  # as it is
        found.fire(hook, **EVENTS[hook])
    assert found.known["must-gan"].status == "loaded"
    assert found.known["must-gan"].must_succeed == (hook,)


def test_any_other_exception_of_one_names_the_plugin_and_the_way_on(third_party: Install) -> None:
    third_party("must-gan", failing("adaptgan_on_losses", "KeyError('kid')", "(must_succeed=True)"), version="3.1")
    with pytest.raises(PluginError) as caught:
        Plugins().fire("adaptgan_on_losses", run=RUN, step=1, means={})
    assert str(caught.value) == (
        "must-gan 3.1 (entry point 'must-gan') says that its adaptgan_on_losses must succeed, and it raised KeyError: "
        "'kid'. To go on without the plugin, block it: `plugins: {block: [must-gan]}` in params.yaml."
    )
    assert isinstance(caught.value.__context__, KeyError)


@pytest.mark.parametrize("hook", ["adaptgan_on_train_error", "adaptgan_on_stage_error"])
def test_no_error_takes_the_place_of_the_one_that_is_told(third_party: Install, hook: str) -> None:
    third_party("must-gan", failing(hook, "Interrupted('enough')", "(must_succeed=True)"))
    found = Plugins()
    stage = SimpleNamespace(name="ingest", title="ingest")
    subject = {"stage": stage} if "stage" in hook else {"run": RUN}
    with pytest.warns(PluginWarning, match="must-gan"):
        found.fire(hook, **subject, error=OSError())


def test_no_command_can_be_forbidden_by_a_plugin(third_party: Install) -> None:
    third_party("must-gan", failing("adaptgan_register_commands", "OSError('no')", "(must_succeed=True)"))
    with pytest.warns(PluginWarning, match="must-gan"):
        Plugins().fire("adaptgan_register_commands", app=None)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_ends_a_process_passes_through(third_party: Install, error: type[BaseException]) -> None:
    third_party("end-gan", failing("adaptgan_on_losses", error.__name__))
    with pytest.raises(error):
        Plugins().fire("adaptgan_on_losses", run=RUN, step=1, means={})


HOOKS = """
from adaptgan import hookimpl

@hookimpl{options}
def {hook}(): ...
"""


@pytest.mark.parametrize(
    ("hook", "options", "training", "stage"),
    [
        ("adaptgan_on_step_end", "", True, False),
        ("adaptgan_load_state", "", True, False),
        ("adaptgan_before_stage", "", True, True),
        ("adaptgan_on_step_end", "(observes=True)", False, False),
        ("adaptgan_on_step_end", "(observes=True, tryfirst=True)", False, False),
        ("adaptgan_after_train", "", False, False),  # the result is written
        ("adaptgan_after_stage", "", False, False),
        ("adaptgan_on_stage_error", "", False, False),
        ("adaptgan_register_commands", "", False, False),
    ],
)
def test_who_may_have_a_hand_in_a_result(
    third_party: Install, hook: str, options: str, training: bool, stage: bool
) -> None:
    third_party("hand-gan", HOOKS.format(hook=hook, options=options), version="2.2")
    third_party("acme-gan", ONE_NETWORK)
    found = Plugins()
    expected = {"hand-gan": "2.2"}
    assert found.deciding(TRAINING_HOOKS) == (expected if training else {})
    assert found.deciding(STAGE_HOOKS) == (expected if stage else {})
    assert found.known["hand-gan"].hooks == (hook,)
    assert found.active() == ["acme-gan==1.0", "hand-gan==2.2"]
    assert found.record() == {"active": found.active()}


def test_who_failed_on_the_way_had_a_hand_in_it_all_the_same(third_party: Install) -> None:
    third_party("mmm-grouch", GROUCH, version="2.0")
    found = Plugins()
    with pytest.warns(PluginWarning):
        found.fire("adaptgan_on_losses", run=RUN, step=1, means={})
    assert found.deciding(TRAINING_HOOKS) == {"mmm-grouch": "2.0"}
    assert found.record() == {
        "active": [],
        "left_out": {"mmm-grouch==2.0": "adaptgan_on_losses raised KeyError: 'no such thing'"},
    }


def test_every_hook_has_its_place() -> None:
    """A hook that is added is either one that can have a hand in a result, or is named here as one that cannot."""
    after = {"adaptgan_after_stage", "adaptgan_after_train"}
    named = {*TRAINING_HOOKS, *ERROR_HOOKS, *REGISTRATION_HOOKS, *after}
    assert named == {name for name in dir(hookspecs) if name.startswith("adaptgan_")}


def test_hooks_of_third_parties_run_before_the_built_ins_and_results_are_collected(third_party: Install) -> None:
    code = "from adaptgan import hookimpl\n@hookimpl\ndef adaptgan_save_state(): return {__name__: 1}"
    third_party("aaa-gan", code)
    third_party("bbb-gan", code)
    results = Plugins().fire("adaptgan_save_state", run=RUN)
    assert results[:2] == [{"bbb_gan": 1}, {"aaa_gan": 1}]  # last registered first
