"""What goes still works, and says so once: functions, components, names, options, hooks, numbers of the plugin API."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator

import pytest
import torch

from adaptgan import hookspecs
from adaptgan.components import ComponentSpec, Registry
from adaptgan.deprecation import AdaptganDeprecationWarning, deprecated, notice, warn_once
from adaptgan.errors import ParamsError
from adaptgan.plugins import Plugins, PluginWarning, components
from tests.docs.pages import EXAMPLES

Install = Callable[..., None]


@pytest.fixture(autouse=True)
def _as_a_new_process() -> Iterator[None]:
    warn_once.cache_clear()
    yield
    warn_once.cache_clear()


@pytest.fixture
def registry(third_party: Install) -> Registry:
    third_party("hinges", (EXAMPLES / "renamed_component.py").read_text())
    return components()


@deprecated(since="0.2", removal="0.3", instead="use `sum`")
def add(one: int, other: int = 1) -> int:
    """The sum of two numbers."""
    return one + other


def test_a_function_works_and_says_it_once() -> None:
    with pytest.warns(AdaptganDeprecationWarning) as caught:
        assert (add(2), add(2, other=3)) == (3, 5)
    (message,) = [str(warning.message) for warning in caught]
    assert message == f"`{__name__}.add` is deprecated since 0.2 and goes in 0.3: use `sum`."
    assert caught[0].filename == __file__  # where it was called
    assert (add.__name__, add.__doc__) == ("add", "The sum of two numbers.")
    assert add.__deprecated__ == message  # type: ignore[attr-defined]


def test_as_an_error_it_stays_one() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            with pytest.raises(AdaptganDeprecationWarning):
                add(1)


def test_a_components_old_name_and_an_options_mean_the_new_ones(registry: Registry) -> None:
    with pytest.warns(AdaptganDeprecationWarning) as caught:
        resolved = registry.resolve("objective", {"name": "wide_hinge", "size": 3}, "gan.method.adversarial")
    assert resolved == registry.resolve("objective", {"name": "margin", "width": 3}, "")
    assert [str(warning.message) for warning in caught] == [
        "gan.method.adversarial: the objective 'wide_hinge' is called 'margin' now; the old name will go.",
        "gan.method.adversarial.size: the option is called 'width' now; the old name will go.",
    ]
    loss = registry.build("objective", resolved).real(torch.tensor([-1.0, 2.0, 5.0]))
    assert loss.tolist() == [4, 1, 0]  # the new names say nothing


def test_both_names_of_an_option_are_refused(registry: Registry) -> None:
    with pytest.raises(ParamsError, match=r"`size` is the old name of `width`, and both are given. Leave out `size`"):
        registry.resolve("objective", {"name": "margin", "size": 3, "width": 3}, "x")


def test_a_deprecated_component_is_warned_about_when_it_is_built(registry: Registry) -> None:
    registry.resolve("objective", "old_hinge", "x")  # not when params are read: they are read often
    with pytest.warns(AdaptganDeprecationWarning, match="x: the objective 'old_hinge' is deprecated: use 'margin'"):
        registry.build("objective", "old_hinge", "x")
    registry.build("objective", "old_hinge", "x")


def test_the_command_line_shows_it(registry: Registry, run_cli: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = run_cli("components", "objective")
    assert code == 0 and "(deprecated: use 'margin'; goes in 0.4)" in out
    shown = {item["name"]: item for item in json.loads(run_cli("components", "objective", "--json")[1])}
    assert shown["old_hinge"]["deprecated"] == "use 'margin'; goes in 0.4"
    assert shown["margin"]["deprecated"] == shown["hinge"]["deprecated"] == ""


def test_a_name_of_today_goes_before_one_of_the_past() -> None:
    heir = ComponentSpec("network", "new", "a:b", formerly=("old",))
    other = ComponentSpec("network", "old", "c:d")
    assert Registry([heir, other]).find("network", "old") is other
    hash(heir)


def test_a_hook_that_will_go_is_told_to_who_implements_it(
    third_party: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    going = notice("adaptgan_save_state", "0.2", "0.3", "use another")
    monkeypatch.setitem(hookspecs.adaptgan_save_state.adaptgan_spec, "warn_on_impl", going)  # type: ignore[attr-defined]
    third_party("saver", "from adaptgan import hookimpl\n@hookimpl\ndef adaptgan_save_state(): return {'saver': 1}")
    with pytest.warns(AdaptganDeprecationWarning, match=r"adaptgan_save_state is deprecated since 0\.2") as caught:
        found = Plugins()
    assert [str(warning.filename).endswith("saver.py") for warning in caught] == [True]
    assert {"saver": 1} in found.fire("adaptgan_save_state", run=None)  # it works on


SPEC = """
from adaptgan import ComponentSpec, hookimpl
@hookimpl
def adaptgan_register_components():
    return [ComponentSpec("network", "net", "torch.nn:Linear", api={api})]
"""


@pytest.mark.parametrize(("api", "accepted"), [(1, False), (2, True), (3, True), (4, False)])
def test_numbers_of_the_plugin_api(
    third_party: Install, monkeypatch: pytest.MonkeyPatch, api: int, accepted: bool
) -> None:
    """As if this adaptgan had 3 and still served 2."""
    monkeypatch.setattr(hookspecs, "PLUGIN_API", 3)
    monkeypatch.setattr(hookspecs, "SUPPORTED_API", range(2, 4))
    monkeypatch.setattr("adaptgan.plugins.BUILTINS", ())
    third_party("acme", SPEC.format(api=api))
    if accepted:
        assert Plugins().components.find("network", "net").api == api
        return
    with pytest.warns(PluginWarning, match=f"written for plugin API {api}, this adaptgan has 3 and accepts from 2"):
        assert not Plugins().components.specs("network")


def test_this_adaptgan_accepts_its_own_number() -> None:
    assert hookspecs.SUPPORTED_API[-1] == hookspecs.PLUGIN_API
