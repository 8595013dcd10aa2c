"""`adaptgan plugins`."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

Cli = Callable[..., tuple[int, str, str]]

CLAIM = """
from adaptgan import ComponentSpec, hookimpl
@hookimpl
def adaptgan_register_components():
    return [ComponentSpec("network", "acme_net", "acme:Net")]
"""


@pytest.mark.filterwarnings("ignore::adaptgan.plugins.PluginWarning")
def test_loaded_blocked_failed_and_conflicts(
    run_cli: Cli, third_party: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    third_party("acme-gan", CLAIM, version="1.5")
    third_party("bolt-gan", CLAIM)
    third_party("gone-gan", CLAIM)
    third_party("sick-gan", "import no_such_module_at_all")
    monkeypatch.setenv("ADAPTGAN_DISABLE_PLUGINS", "gone-gan")
    code, out, _ = run_cli("plugins", "--json")
    assert code == 0
    shown = json.loads(out)
    status = {plugin["name"]: plugin["status"] for plugin in shown["plugins"]}
    assert (status["acme-gan"], status["gone-gan"], status["sick-gan"]) == ("loaded", "blocked", "failed")
    by_name = {plugin["name"]: plugin for plugin in shown["plugins"]}
    assert "no_such_module_at_all" in by_name["sick-gan"]["cause"]
    assert by_name["acme-gan"]["version"] == "1.5"
    assert by_name["acme-gan"]["components"] == ["network/acme_net"]
    assert shown["conflicts"] == [{"kind": "network", "name": "acme_net", "claimed_by": ["acme-gan", "bolt-gan"]}]
    code, out, _ = run_cli("plugins")
    assert code == 0
    assert "network acme_net: acme-gan and bolt-gan" in out
    assert "no_such_module_at_all" in out


@pytest.mark.filterwarnings("always::adaptgan.plugins.PluginWarning")
def test_a_warning_names_a_broken_plugin_on_any_command(run_cli: Cli, third_party: Callable[..., None]) -> None:
    third_party("sick-gan", "import no_such_module_at_all", version="0.2")
    code, _, err = run_cli("components")
    assert code == 0
    assert "warning: Plugin sick-gan 0.2" in err


@pytest.mark.filterwarnings("always::adaptgan.plugins.PluginWarning")
def test_strict_plugins(run_cli: Cli, third_party: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADAPTGAN_STRICT_PLUGINS", "")
    third_party("sick-gan", "import no_such_module_at_all")
    code, _, err = run_cli("--strict-plugins", "components")
    assert code == 2
    assert "sick-gan" in err
    assert "Traceback" not in err
