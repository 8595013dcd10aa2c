"""`adaptgan plugins`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from adaptgan.cli import plugins_command

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
    assert by_name["acme-gan"]["hooks"] == ["adaptgan_register_components"]
    assert by_name["acme-gan"]["file"].endswith("acme_gan.py")
    assert by_name["gone-gan"]["cause"] == "blocked by ADAPTGAN_DISABLE_PLUGINS. Take it out of that list to use it."
    assert (by_name["gone-gan"]["module"], by_name["gone-gan"]["file"]) == ("gone_gan", "")
    assert shown["conflicts"] == [{"kind": "network", "name": "acme_net", "claimed_by": ["acme-gan", "bolt-gan"]}]
    code, out, _ = run_cli("plugins")
    assert code == 0
    assert "network acme_net: acme-gan and bolt-gan" in out
    assert "no_such_module_at_all" in out
    assert "blocked by ADAPTGAN_DISABLE_PLUGINS" in out
    assert "module gone_gan, not imported" in out


WHOLE = """
from adaptgan import ComponentSpec, hookimpl

@hookimpl
def adaptgan_register_components():
    return [ComponentSpec("network", "whole_net", "whole:Net", "a network of theirs")]

@hookimpl
def adaptgan_register_commands(app):
    @app.command()
    def whole_greeting(): ...
    @app.command("train")
    def theirs(): print("theirs")

@hookimpl(must_succeed=True)
def adaptgan_on_losses(): ...

@hookimpl(observes=True)
def adaptgan_on_checkpoint(): ...
"""


@pytest.mark.filterwarnings("ignore::adaptgan.plugins.PluginWarning")
def test_all_about_one(run_cli: Cli, third_party: Callable[..., None], tmp_path: Path) -> None:
    third_party("whole-gan", WHOLE, version="0.9", point="whole")
    with (tmp_path / "site" / "whole-gan" / "whole_gan-0.9.dist-info" / "METADATA").open("a") as file:
        file.write("Summary: Does it all\nAuthor: Wholesale\nLicense-Expression: MIT\nRequires-Dist: numpy\n")
        file.write("Project-URL: Source, https://example.org/whole\n")
    for name in ("whole", "Whole_GAN"):
        code, out, _ = run_cli("plugins", name)
        assert code == 0
        assert out.startswith("whole: whole-gan 0.9, loaded\n")
        for line in (
            "summary     Does it all",
            "author      Wholesale",
            "license     MIT",
            "home page   Source, https://example.org/whole",
            "requires    numpy",
            "network/whole_net  a network of theirs",
            "on_losses      stops the run when it fails; its version is part of the fingerprint",
            "on_checkpoint  only observes, by its own account",
            "commands\n        whole-greeting\n        train\n",
        ):
            assert f"    {line}" in out, out
    (shown,) = json.loads(run_cli("plugins", "whole", "--json")[1])["plugins"]
    assert shown["metadata"]["author"] == "Wholesale"
    assert shown["commands"] == ["whole-greeting", "train"]
    assert (shown["must_succeed"], shown["decides"]) == (["adaptgan_on_losses"], ["adaptgan_on_losses"])
    code, _, err = run_cli("plugins", "wohle")
    assert code == 2
    assert "no plugin and no distribution of plugins called 'wohle'. Did you mean 'whole'" in err


def test_a_blocked_one_is_told_of_without_being_imported(
    run_cli: Cli, third_party: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    third_party("whole-gan", "raise RuntimeError('must not be imported')")
    (tmp_path / "params.yaml").write_text("plugins: {block: [whole_gan], allow: [whole-gan, adaptgan-x]}")
    monkeypatch.chdir(tmp_path)
    code, out, err = run_cli("plugins", "whole-gan")
    assert (code, err) == (0, "")
    assert "blocked by plugins.block of params.yaml. Take it out of that list to use it." in out
    assert "unknown: it is not imported" in out
    assert "Not installed: 'adaptgan-x', which plugins.allow of params.yaml names." in run_cli("plugins")[1]


def test_long_lines_are_broken_on_a_terminal_only(
    run_cli: Cli, third_party: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"network_number_{i}" for i in range(12)]
    specs = ", ".join(f"ComponentSpec('network', '{name}', 'a:b')" for name in names)
    third_party("many-gan", CLAIM.replace('ComponentSpec("network", "acme_net", "acme:Net")', specs))
    assert max(len(line) for line in run_cli("plugins")[1].splitlines()) > 200
    monkeypatch.setattr(plugins_command, "_wide", lambda: 90)
    out = run_cli("plugins")[1]
    assert all(f"network/{name}" in out for name in names)
    assert max(len(line) for line in out.splitlines() if "network/" in line) <= 90


@pytest.mark.filterwarnings("always::adaptgan.plugins.PluginWarning")
def test_no_command_of_ours_is_replaced(run_cli: Cli, third_party: Callable[..., None]) -> None:
    third_party("whole-gan", WHOLE)
    code, out, err = run_cli("train", "--help")
    assert code == 0
    assert "Train the method of a section" in out
    assert "warning: The command 'train' of whole_gan is left out: there is a command of that name already." in err
    assert run_cli("whole-greeting")[0] == 0


def test_what_a_blocked_plugin_added_is_gone(
    run_cli: Cli, third_party: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    third_party("greet-gan", WHOLE.replace('@app.command("train")', '@app.command("other")'))
    monkeypatch.chdir(tmp_path)
    assert run_cli("whole-greeting")[0] == 0
    (tmp_path / "params.yaml").write_text("plugins: {allow: []}")
    code, _, err = run_cli("whole-greeting")
    assert code == 2
    assert "No such command 'whole-greeting'" in err
    assert "whole-greeting" not in run_cli("--help")[1]
    (tmp_path / "other.yaml").write_text("")
    assert run_cli("components", "network", "whole_net")[0] == 2
    assert run_cli("ingest", "source", "--out", "x", "--params", "other.yaml")[2].count("whole") == 0


@pytest.mark.filterwarnings("always::adaptgan.plugins.PluginWarning")
def test_a_policy_that_cannot_be_read_is_one_clear_message(
    run_cli: Cli, third_party: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    third_party("acme-gan", "raise RuntimeError('must not be imported')")
    (tmp_path / "params.yaml").write_text("plugins: {allow: acme-gan}")
    monkeypatch.chdir(tmp_path)
    for command in (("components",), ("train", "task", "--out", "x"), ("environment",)):
        code, _, err = run_cli(*command)
        assert code == 2
        (line,) = err.strip().splitlines()
        assert line.startswith("adaptgan: params.yaml: plugins.allow: ")
    code, out, err = run_cli("--help")
    assert (code, err.count("plugins.allow")) == (0, 1)
    code, out, err = run_cli("plugins")
    assert (code, err) == (0, "")
    assert "params.yaml: plugins.allow: expected a list" in out
    assert run_cli("doctor", "--json")[0] == 1


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
