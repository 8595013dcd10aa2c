"""Whose code may run: the `plugins` section of params.yaml, and two environment variables.

It is asked before a plugin is imported, by every command, so it is light: PyYAML is imported only where a params file
speaks of plugins. Blocking keeps a plugin's code from being imported; it is no sandbox for what is imported.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adaptgan.errors import ParamsError, nearest

DISABLE = "ADAPTGAN_DISABLE_PLUGINS"
"""Names that are blocked, beside those of params.yaml: `adaptgan-acme,foo`."""

ALLOW = "ADAPTGAN_ALLOW_PLUGINS"
"""Where it is set, nothing else is loaded, whatever params.yaml allows; empty: nothing but what is built in."""

POLICY = "ADAPTGAN_PLUGIN_POLICY"
"""The params file whose `plugins` section holds; each command sets it, so that the processes it starts obey too.

Where it is not set (adaptgan as a library), `params.yaml` in the working folder holds.
"""

_SUGGEST = 0.7
"""How alike two names must be (0 to 1) for one to be taken for a misspelt other."""

Installed = Sequence[tuple[str, str]]
"""(entry point, distribution) of every third party's plugin, both as `normal` writes them."""


def normal(name: str) -> str:
    """A distribution's name as the packaging standard compares them: case, `-`, `_` and `.` make no difference."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


@dataclass(frozen=True)
class Rule:
    """One list of names.

    Attributes:
        where: the list is, as a person knows it: `plugins.block of params.yaml`.
        names: as `normal` writes them.
        allow: nothing but these may run; else these may not.
    """

    where: str
    names: tuple[str, ...]
    allow: bool = False

    def meant(self, name: str, installed: Installed) -> set[tuple[str, str]]:
        """The plugins that a name stands for.

        To block, a name means every plugin and every distribution that is called so. To allow, it means the
        distribution; where none is called so, the plugin, if only one distribution has such a one: anybody can call
        an entry point as another's.
        """
        distribution = {plugin for plugin in installed if plugin[1] == name}
        point = {plugin for plugin in installed if plugin[0] == name}
        if not self.allow:
            return distribution | point
        return distribution or (point if len({plugin[1] for plugin in point}) == 1 else set())

    def refuses(self, plugin: tuple[str, str], installed: Installed) -> bool:
        """Whether this list keeps a plugin from being loaded."""
        named = any(plugin in self.meant(name, installed) for name in self.names)
        return not named if self.allow else named

    @property
    def verdict(self) -> str:
        """Of a plugin that it refuses, after `is`."""
        return f"blocked: it is not in {self.where}" if self.allow else f"blocked by {self.where}"

    @property
    def remedy(self) -> str:
        """How to use that plugin after all."""
        return "Add it to that list to use it." if self.allow else "Take it out of that list to use it."


@dataclass(frozen=True)
class Policy:
    """All lists that hold, and what is wrong with them.

    Attributes:
        rules: a plugin is loaded if none of them refuses it.
        problem: why params.yaml does not say whom it trusts; then nobody is trusted.
    """

    rules: tuple[Rule, ...] = ()
    problem: str = ""

    def refusal(self, plugin: tuple[str, str], installed: Installed) -> tuple[str, str]:
        """The verdict on a plugin and the remedy; two empty texts where it may be loaded."""
        for rule in self.rules:
            if rule.refuses(plugin, installed):
                return rule.verdict, rule.remedy
        if self.problem:
            return "blocked: which plugins may run cannot be read", self.problem
        return "", ""

    def strangers(self, installed: Installed) -> Iterator[tuple[Rule, str]]:
        """Names in the lists that no installed plugin has."""
        for rule in self.rules:
            for name in rule.names:
                if not any(name in plugin for plugin in installed):
                    yield rule, name

    def doubts(self, installed: Installed) -> Iterator[str]:
        """What to warn of: names that do not do what they seem to."""
        for rule in self.rules:
            for name in rule.names:
                owners = sorted(plugin[1] for plugin in installed if plugin[0] == name)
                if owners and not rule.meant(name, installed):
                    yield f"{rule.where} names {name!r}, a plugin of {' and '.join(owners)}. Name one of these instead."
        for rule, name in self.strangers(installed):
            for plugin in installed:
                runs = not self.refusal(plugin, installed)[0]
                if runs != rule.allow and _alike(name, plugin):
                    yield (
                        f"{rule.where} names {name!r}, which is not installed. Did you mean {plugin[1]!r}? "
                        f"{'It is loaded.' if runs else 'It is left out.'}"
                    )


def read_policy() -> Policy:
    """What params.yaml and the environment say now; a mistake in params.yaml becomes `problem`."""
    rules: list[Rule] = []
    problem = ""
    try:
        rules += _params_rules()
    except ParamsError as error:
        problem = str(error)
    if names := _listed(DISABLE):
        rules.append(Rule(DISABLE, names))
    if ALLOW in os.environ:
        rules.append(Rule(ALLOW, _listed(ALLOW), allow=True))
    return Policy(tuple(rules), problem)


def parse(section: Any, path: str) -> list[Rule]:
    """The rules of a `plugins` section.

    Raises:
        ParamsError: it is no `{allow: [name, …], block: [name, …]}`.
    """
    if not isinstance(section, Mapping):
        raise ParamsError(f"{path}: plugins: expected `allow` and `block`, each a list of names; found {section!r}.")
    rules = []
    for key, value in section.items():
        if key not in ("allow", "block"):
            raise ParamsError(
                f"{path}: plugins.{key}: there is no such option. {nearest(str(key), ('allow', 'block'))}"
            )
        if value is None and key == "allow":
            continue
        if not isinstance(value, list) or not all(isinstance(name, str) and name.strip() for name in value):
            raise ParamsError(
                f"{path}: plugins.{key}: expected a list of distributions or entry points, such as "
                f"`[adaptgan-acme]`; found {value!r}."
            )
        rules.append(Rule(f"plugins.{key} of {path}", tuple(normal(name) for name in value), key == "allow"))
    return rules


@contextmanager
def policy_of(arguments: Sequence[str]) -> Iterator[None]:
    """Let the params file of a command line hold, for this process and those that it starts."""
    before = os.environ.pop(POLICY, None)
    path = _params_option(arguments)
    if path or Path("params.yaml").exists():
        os.environ[POLICY] = str(Path(path or "params.yaml").absolute())
    try:
        yield
    finally:
        os.environ.pop(POLICY, None)
        if before is not None:
            os.environ[POLICY] = before


def _params_option(arguments: Sequence[str]) -> str:
    """The value of `--params`, as the command will read it; empty where it is not given."""
    found = ""
    for i, argument in enumerate(arguments):
        if argument == "--":
            break
        if argument == "--params" and i + 1 < len(arguments):
            found = arguments[i + 1]
        elif argument.startswith("--params="):
            found = argument.removeprefix("--params=")
    return found


def _params_rules() -> list[Rule]:
    given = os.environ.get(POLICY)
    path = Path(given or "params.yaml")
    shown = _shown(path)
    try:
        text = path.read_text()
    except FileNotFoundError:
        if not given:
            return []
        raise ParamsError(f"{shown}: there is no such file, so that nobody can say which plugins may run.") from None
    except (OSError, UnicodeDecodeError) as error:
        message = f"{shown}: it cannot be read ({error}), so that nobody can say which plugins may run."
        raise ParamsError(message) from None
    if not re.search(r"plugins|\\", text):  # neither the word nor an escape that could stand for a letter of it
        return []
    import yaml

    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ParamsError(f"{shown}: this is not valid YAML: {error}") from None
    return parse(tree["plugins"], shown) if isinstance(tree, Mapping) and "plugins" in tree else []


def _shown(path: Path) -> str:
    """A path as a person in this folder would write it."""
    absolute, here = path.absolute(), Path.cwd()
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(path)


def _listed(variable: str) -> tuple[str, ...]:
    return tuple(normal(name) for name in os.environ.get(variable, "").split(",") if name.strip())


def _alike(name: str, plugin: Iterable[str]) -> bool:
    """Whether a name could be a misspelt entry point or distribution; what all of them begin with tells nothing."""
    known = [other.removeprefix("adaptgan-") for other in plugin]
    return bool(difflib.get_close_matches(name.removeprefix("adaptgan-"), known, n=1, cutoff=_SUGGEST))
