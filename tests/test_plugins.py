"""The plugin manager: discovery, blocking, and failures that are named and hurt nobody else."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from adaptgan.errors import ComponentError, Interrupted
from adaptgan.plugins import Plugins, PluginWarning

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


def test_a_plugin_may_stop_a_run_on_purpose(third_party: Install) -> None:
    third_party(
        "watch-gan",
        "from adaptgan import hookimpl\nfrom adaptgan.errors import Interrupted\n"
        "@hookimpl\ndef adaptgan_on_losses(step): raise Interrupted('enough')",
    )
    found = Plugins()
    with pytest.raises(Interrupted, match="enough"):
        found.fire("adaptgan_on_losses", run=RUN, step=1, means={})
    assert not found.known["watch-gan"].failure


def test_hooks_of_third_parties_run_before_the_built_ins_and_results_are_collected(third_party: Install) -> None:
    code = "from adaptgan import hookimpl\n@hookimpl\ndef adaptgan_save_state(): return {__name__: 1}"
    third_party("aaa-gan", code)
    third_party("bbb-gan", code)
    results = Plugins().fire("adaptgan_save_state", run=RUN)
    assert results[:2] == [{"bbb_gan": 1}, {"aaa_gan": 1}]  # last registered first
