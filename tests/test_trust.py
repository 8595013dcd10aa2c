"""Whose code may run: the lists of params.yaml and of the environment, read before anything is imported."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from adaptgan.errors import ComponentError, ParamsError
from adaptgan.params import load
from adaptgan.plugins import Plugins, PluginWarning, components
from adaptgan.trust import POLICY, Policy, Rule, normal, parse, policy_of, read_policy

Install = Callable[..., None]

FORBIDDEN = "raise RuntimeError('must not be imported')"
QUIET = "from adaptgan import hookimpl"


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """`params("plugins: …")` is the working folder's params.yaml."""
    for name in (POLICY, "ADAPTGAN_DISABLE_PLUGINS", "ADAPTGAN_ALLOW_PLUGINS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)

    def write(text: str) -> Path:
        (tmp_path / "params.yaml").write_text(text)
        return tmp_path / "params.yaml"

    return write


def status(found: Plugins) -> dict[str, str]:
    return {plugin.name: plugin.status for plugin in found.known.values() if not plugin.builtin}


@pytest.mark.parametrize(
    ("given", "expected"),
    [("Acme_GAN", "acme-gan"), ("acme.gan", "acme-gan"), (" a-_.b ", "a-b"), ("acme", "acme")],
)
def test_names_compare_as_the_packaging_standard_has_it(given: str, expected: str) -> None:
    assert normal(given) == expected


@pytest.mark.parametrize("name", ["acme-gan", "ACME.gan", "point"])
def test_what_is_blocked_is_never_imported(third_party: Install, params: Callable[[str], Path], name: str) -> None:
    third_party("acme-gan", FORBIDDEN, point="point")
    third_party("bolt-gan", QUIET)
    params(f"plugins: {{block: [{name}]}}\n")
    found = Plugins(strict=True)
    assert status(found) == {"bolt-gan": "loaded", "point": "blocked by plugins.block of params.yaml"}
    assert "acme_gan" not in sys.modules
    with pytest.raises(ComponentError) as asked:
        found.components.find("network", "acme_net")
    assert (
        "acme-gan 1.0 (entry point 'point') is blocked by plugins.block of params.yaml. Take it out of that list to "
        "use it." in str(asked.value)
    )


@pytest.mark.parametrize(
    ("text", "loaded"),
    [
        ("{allow: [acme-gan]}", {"acme-gan"}),
        ("{allow: [point]}", {"point"}),
        ("{allow: []}", set()),
        ("{allow: null}", {"acme-gan", "point"}),
        ("{}", {"acme-gan", "point"}),
        ("{block: []}", {"acme-gan", "point"}),
        ("{allow: [acme-gan, bolt-gan], block: [bolt-gan]}", {"acme-gan"}),
    ],
)
def test_an_allow_list_leaves_out_the_others(
    third_party: Install, params: Callable[[str], Path], text: str, loaded: set[str]
) -> None:
    third_party("acme-gan", QUIET)
    third_party("bolt-gan", QUIET, point="point")
    params(f"plugins: {text}\n")
    found = status(Plugins(strict=True))
    assert {name for name, one in found.items() if one == "loaded"} == loaded
    for name in {"acme-gan", "point"} - loaded:
        assert found[name].startswith("blocked")


def test_asking_for_what_is_not_allowed_says_which_list_to_change(
    third_party: Install, params: Callable[[str], Path]
) -> None:
    third_party("acme-gan", FORBIDDEN)
    params("plugins: {allow: [bolt-gan]}")
    with pytest.raises(ComponentError) as asked:
        Plugins(strict=True).components.find("network", "acme_net")
    message = str(asked.value)
    assert (
        "acme-gan 1.0 (entry point 'acme-gan') is blocked: it is not in plugins.allow of params.yaml. Add it" in message
    )
    assert "'bolt-gan', which plugins.allow of params.yaml names, is not installed." in message


def test_no_other_distribution_slips_in_under_an_allowed_ones_name(
    third_party: Install, params: Callable[[str], Path]
) -> None:
    third_party("acme-gan", QUIET, point="acme")
    third_party("evil-gan", FORBIDDEN, point="acme-gan")  # the allowed distribution's name, as an entry point
    params("plugins: {allow: [acme-gan]}")
    assert status(Plugins(strict=True)) == {
        "acme": "loaded",
        "acme-gan": "blocked: it is not in plugins.allow of params.yaml",
    }


def test_an_entry_point_of_two_distributions_allows_neither(
    third_party: Install, params: Callable[[str], Path]
) -> None:
    third_party("acme-gan", FORBIDDEN, point="same")
    third_party("evil-gan", FORBIDDEN, point="same")
    params("plugins: {allow: [same]}")
    with pytest.warns(PluginWarning, match="names 'same', a plugin of acme-gan and evil-gan. Name one of these"):
        assert all(one.startswith("blocked") for one in status(Plugins()).values())


@pytest.mark.parametrize("blocked", ["acme-gan", "bolt-gan"])
def test_a_blocked_one_takes_no_name_from_a_loaded_one(
    third_party: Install, params: Callable[[str], Path], blocked: str
) -> None:
    other = {"acme-gan": "bolt-gan", "bolt-gan": "acme-gan"}[blocked]
    third_party(blocked, FORBIDDEN, point="same")
    third_party(other, QUIET, point="same")
    params(f"plugins: {{block: [{blocked}]}}")
    found = Plugins(strict=True)
    assert (found.known["same"].distribution, found.known["same"].status) == (other, "loaded")
    assert found.known[f"same of {blocked}"].blocked


def test_the_environment_restricts_further_and_never_less(
    third_party: Install, params: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("acme-gan", "bolt-gan", "coil-gan"):
        third_party(name, QUIET)
    params("plugins: {allow: [acme-gan, bolt-gan]}")
    monkeypatch.setenv("ADAPTGAN_ALLOW_PLUGINS", "bolt-gan, coil_gan")
    assert status(Plugins()) == {
        "acme-gan": "blocked: it is not in ADAPTGAN_ALLOW_PLUGINS",
        "bolt-gan": "loaded",
        "coil-gan": "blocked: it is not in plugins.allow of params.yaml",
    }
    monkeypatch.setenv("ADAPTGAN_DISABLE_PLUGINS", "bolt.gan")
    assert status(Plugins())["bolt-gan"] == "blocked by ADAPTGAN_DISABLE_PLUGINS"
    monkeypatch.delenv("ADAPTGAN_DISABLE_PLUGINS")
    monkeypatch.setenv("ADAPTGAN_ALLOW_PLUGINS", "")  # set, and empty: nothing but what is built in
    assert all(one.startswith("blocked") for one in status(Plugins()).values())


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (
            "[acme-gan]",
            r"params.yaml: plugins: expected `allow` and `block`, each a list .*; found \['acme-gan'\]",
        ),
        ("null", "params.yaml: plugins: expected `allow` and `block`"),
        ("{alow: [acme-gan]}", "params.yaml: plugins.alow: there is no such option. Did you mean 'allow'"),
        (
            "{allow: acme-gan}",
            "params.yaml: plugins.allow: expected a list .*; found 'acme-gan'",
        ),
        ("{block: null}", "params.yaml: plugins.block: expected a list"),
        ("{block: [1]}", r"params.yaml: plugins.block: expected a list .*found \[1\]"),
        ("{block: ['']}", "params.yaml: plugins.block: expected a list"),
        ("{block: [acme-gan}", "params.yaml: this is not valid YAML"),
    ],
)
def test_what_cannot_be_read_lets_nobody_in_and_is_told_once_something_is_asked_for(
    third_party: Install, params: Callable[[str], Path], section: str, message: str
) -> None:
    third_party("acme-gan", FORBIDDEN)
    path = params(f"plugins: {section}\n")
    with pytest.raises(ParamsError, match=message):
        components()
    assert all(one.startswith("blocked") for one in status(Plugins(strict=True)).values())
    with pytest.raises(ParamsError):  # the whole file says no other
        load(path)


def test_a_params_file_that_is_named_must_be_there(third_party: Install, params: Callable[[str], Path]) -> None:
    third_party("acme-gan", FORBIDDEN)
    with (
        policy_of(["train", "task", "--params", "parms.yaml"]),
        pytest.raises(ParamsError, match=r"parms\.yaml: there is"),
    ):
        components()


def test_letters_in_disguise_are_read_as_yaml_reads_them(third_party: Install, params: Callable[[str], Path]) -> None:
    third_party("acme-gan", FORBIDDEN)
    path = params('"\\x70lugins": {block: [acme-gan]}\n')
    assert load(path).pipeline.plugins.block == ["acme-gan"]
    assert status(Plugins(strict=True))["acme-gan"].startswith("blocked")


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (
            "{block: [adaptgan-acmee]}",
            "which is not installed. Did you mean 'adaptgan-acme'? It is loaded.",
        ),
        (
            "{allow: [adaptgan-acne]}",
            "which is not installed. Did you mean 'adaptgan-acme'? It is left out.",
        ),
        (
            "{block: [adaptgan-foo]}",
            "",
        ),  # unlike any: a list may be shared by machines that have it and such that do not
        ("{allow: [adaptgan-foo]}", ""),
        ("{block: [adaptgan-acme, adaptgan-acmee]}", ""),  # did what it should
    ],
)
def test_a_misspelt_name_that_did_the_opposite_is_warned_of(
    third_party: Install, params: Callable[[str], Path], text: str, warning: str
) -> None:
    third_party("adaptgan-acme", QUIET, point="acme")
    params(f"plugins: {text}")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = Plugins()
    assert [str(one.message) for one in caught if warning and warning in str(one.message)] or not warning
    assert len(caught) == bool(warning)
    assert len(found.strangers) == 1
    if warning:
        with pytest.raises(ComponentError, match="is not installed"):
            Plugins(strict=True)


def test_without_third_parties_nothing_is_read(params: Callable[[str], Path]) -> None:
    params("plugins: nonsense")
    assert Plugins(strict=True).policy == Policy()


def test_the_command_line_decides_whose_file_holds_and_hands_it_on(params: Callable[[str], Path]) -> None:
    here = params("plugins: {block: [a]}")
    other = here.parent / "other.yaml"
    other.write_text("plugins: {block: [b]}")

    def names(*arguments: str) -> list[tuple[str, ...]]:
        with policy_of(arguments):
            child = os.environ.get(POLICY)
            assert child is None or Path(child).is_absolute()
            return [rule.names for rule in read_policy().rules]

    assert names("train", "task") == [("a",)]
    assert names("train", "task", "--params", "other.yaml") == [("b",)]
    assert names("train", "--params=other.yaml", "task") == [("b",)]
    assert names("train", "--params", "params.yaml", "--params", "other.yaml") == [("b",)]  # the last one, as for typer
    assert names("acme", "--", "--params", "other.yaml") == [("a",)]
    here.unlink()
    assert names("train", "task") == []
    assert POLICY not in os.environ


def test_a_file_elsewhere_is_named_as_it_is(params: Callable[[str], Path], tmp_path: Path) -> None:
    params("")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "p.yaml").write_text("plugins: {block: [a]}")
    with policy_of(["train", "--params", "deep/p.yaml"]):
        assert read_policy().rules == (Rule("plugins.block of deep/p.yaml", ("a",)),)


def test_the_section_is_part_of_params_and_no_override(params: Callable[[str], Path]) -> None:
    path = params("plugins: {allow: [a_b], block: []}")
    assert load(path).pipeline.plugins.allow == ["a_b"]
    assert [rule.names for rule in parse({"allow": ["a_b"]}, "x")] == [("a-b",)]
    for override in ("plugins.block=[a]", "plugins={block: [a]}"):
        with pytest.raises(ParamsError, match="ADAPTGAN_DISABLE_PLUGINS"):
            load(path, [override])


def test_a_plugin_that_ends_the_process_at_import_is_a_failed_one(third_party: Install) -> None:
    third_party("quit-gan", "import sys\nsys.exit('bye')")
    with pytest.warns(PluginWarning, match="quit-gan 1.0 .*SystemExit: bye"):
        assert Plugins().known["quit-gan"].status == "failed: SystemExit: bye"
