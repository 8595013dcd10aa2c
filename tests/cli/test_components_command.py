"""`adaptgan components`."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from adaptgan.components import KINDS
from adaptgan.plugins import components

Cli = Callable[..., tuple[int, str, str]]


def test_kinds(run_cli: Cli) -> None:
    code, out, _ = run_cli("components")
    assert code == 0
    assert all(kind in out for kind in KINDS)
    code, out, _ = run_cli("components", "--json")
    assert [item["kind"] for item in json.loads(out)] == list(KINDS)


def test_of_a_kind(run_cli: Cli) -> None:
    code, out, _ = run_cli("components", "method", "--json")
    assert code == 0
    listed = {item["name"]: item for item in json.loads(out)}
    assert listed["simgan"]["paper"] == "Shrivastava 2017"
    assert listed["simgan"]["distribution"] == "adaptgan"
    code, out, _ = run_cli("components", "method")
    assert "Shrivastava 2017" in out


def test_a_kind_without_members(run_cli: Cli, third_party: Callable[..., None]) -> None:
    code, out, _ = run_cli("components", "penalty")
    assert code == 0
    assert "name" in out


def test_one_component_with_its_options(run_cli: Cli) -> None:
    code, out, _ = run_cli("components", "network", "patch_discriminator", "--json")
    assert code == 0
    shown = json.loads(out)
    options = {option["name"]: option for option in shown["options"]}
    assert options["layers"]["type"] == "simgan|strided"
    assert options["channels"]["type"] == "int"
    assert isinstance(options["channels"]["default"], int)
    assert options["channels"]["help"]
    assert "data" not in options
    code, out, _ = run_cli("components", "method", "simgan")
    assert "paper: Shrivastava 2017" in out
    assert "adaptgan components network" in out  # what its nested options can be


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["methods"], "Did you mean 'method'"),
        (["method", "simgam"], "Did you mean 'simgan'"),
        (["netwrk", "x"], "no component kind 'netwrk'"),
    ],
)
def test_unknown_names(run_cli: Cli, arguments: list[str], said: str) -> None:
    code, _, err = run_cli("components", *arguments)
    assert code == 2
    assert said in err
    assert "Traceback" not in err


def test_every_component_shows_its_options(run_cli: Cli) -> None:
    """Each one can be imported, and every option of it is explained."""
    unexplained = []
    for spec in components().specs():
        code, out, err = run_cli("components", spec.kind, spec.name, "--json")
        assert code == 0, err
        unexplained += [f"{spec.kind} {spec.name}: {o['name']}" for o in json.loads(out)["options"] if not o["help"]]
    assert not unexplained
