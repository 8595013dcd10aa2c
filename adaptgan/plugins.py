"""The plugin manager: discovery, blocking, and failures named by distribution."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import re
import warnings
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pluggy

from adaptgan import hookspecs
from adaptgan.components import KINDS, ComponentSpec, Registry
from adaptgan.errors import AdaptganError, AdaptganWarning, ComponentError, nearest

BUILTINS = (
    "adaptgan.builtin",
    "adaptgan.training.progress",
    "adaptgan.tracking.plugin",
    "adaptgan.training.alarms",  # after tracking, so that it is called before: tracking records what it raised
)
"""Modules of this package that are plugins themselves; they register before all others."""


class PluginWarning(AdaptganWarning):
    """A plugin could not be loaded or failed in a hook; everything else goes on."""


@dataclass(frozen=True)
class Plugin:
    """What is known of one plugin, loaded or not."""

    name: str
    distribution: str
    version: str
    builtin: bool = False
    blocked: bool = False
    failure: str = ""

    @property
    def title(self) -> str:
        """`distribution version (entry point name)`."""
        return f"{self.distribution} {self.version} (entry point {self.name!r})"


class Plugins:
    """All plugins of this process and the components they registered.

    Args:
        strict: raise on the first plugin that fails, instead of warning.
    """

    def __init__(self, strict: bool = False) -> None:
        self.strict = strict
        self.manager = pluggy.PluginManager(hookspecs.PROJECT)
        self.manager.add_hookspecs(hookspecs)
        self.known: dict[str, Plugin] = {}
        self._specs: list[ComponentSpec] = []
        for module in BUILTINS:
            version = version_of("adaptgan")
            self._add(Plugin(module, "adaptgan", version, builtin=True), importlib.import_module(module))
        self._discover()
        failures = [f"{p.title} failed to load: {p.failure}" for p in self.known.values() if p.failure]
        failures += [f"{p.title} is blocked by ADAPTGAN_DISABLE_PLUGINS" for p in self.known.values() if p.blocked]
        self.components = Registry(self._specs, failures)
        for (kind, name), claims in self.components.conflicts.items():
            self._complain(f"The {kind} {name!r} is claimed by {' and '.join(claims)}; using it is an error.")

    def fire(self, hook: str, **arguments: Any) -> list[Any]:
        """Call a hook on every plugin, last registered first.

        An `AdaptganError` passes through: a plugin may stop a run on purpose. Any other exception of a plugin is
        warned about once, names it, and the plugin is left out from then on; the others still get the call.
        """
        results = []
        for implementation in reversed(getattr(self.manager.hook, hook).get_hookimpls()):
            try:
                result = implementation.function(*[arguments[name] for name in implementation.argnames])
            except AdaptganError:
                raise
            except Exception as error:
                plugin = self.known[implementation.plugin_name]
                if plugin.builtin:
                    raise
                self.manager.unregister(name=plugin.name)
                self._fail(plugin, f"{hook} raised {type(error).__name__}: {error}")
                continue
            if result is not None:
                results.append(result)
        return results

    def components_of(self, name: str) -> list[str]:
        """`kind/name` of every component that a loaded plugin registered."""
        register = getattr(self.manager.get_plugin(name), "adaptgan_register_components", None)
        return [f"{spec.kind}/{spec.name}" for spec in (register() if register else [])]

    def _discover(self) -> None:
        blocked = {_normal(name) for name in os.environ.get("ADAPTGAN_DISABLE_PLUGINS", "").split(",")}
        points = importlib.metadata.entry_points(group=hookspecs.PROJECT)
        for point in sorted(points, key=lambda point: (point.name, point.dist.name if point.dist else "")):
            dist = point.dist
            plugin = Plugin(point.name, dist.name if dist else "unknown", dist.version if dist else "?")
            if blocked & {_normal(point.name), _normal(plugin.distribution)}:
                self.known[plugin.name] = Plugin(plugin.name, plugin.distribution, plugin.version, blocked=True)
                continue
            try:
                module = point.load()
            except Exception as error:
                self._fail(plugin, f"{type(error).__name__}: {error}")
                continue
            self._add(plugin, module)

    def _add(self, plugin: Plugin, module: Any) -> None:
        """Register one plugin and its components; a failure leaves nothing of it behind."""
        try:
            if plugin.name in self.known:
                taken = self.known[plugin.name]
                plugin = replace(plugin, name=f"{plugin.name} of {plugin.distribution}")
                raise ComponentError(f"the name is taken by {taken.title}")
            self.manager.register(module, name=plugin.name)
            self.manager.check_pending()
            self._refuse_wrappers(module)
            register = getattr(module, "adaptgan_register_components", None)
            specs = [self._checked(spec, plugin) for spec in (register() if register else [])]
        except Exception as error:
            if self.manager.has_plugin(plugin.name) and self.manager.get_plugin(plugin.name) is module:
                self.manager.unregister(name=plugin.name)
            self._fail(plugin, f"{type(error).__name__}: {error}")
            return
        self.known[plugin.name] = plugin
        self._specs += specs

    def _refuse_wrappers(self, module: Any) -> None:
        """`fire` calls each implementation by itself, so that a failing one can be left out: it cannot wrap others."""
        for caller in self.manager.get_hookcallers(module) or ():
            for implementation in caller.get_hookimpls():
                if implementation.plugin is module and (implementation.wrapper or implementation.hookwrapper):
                    raise ComponentError(f"{caller.name} is a hook wrapper; write it as a plain `@hookimpl`")

    @staticmethod
    def _checked(spec: Any, plugin: Plugin) -> ComponentSpec:
        if not isinstance(spec, ComponentSpec):
            raise ComponentError(f"adaptgan_register_components gave {spec!r}, not a ComponentSpec")
        if spec.kind not in KINDS:
            raise ComponentError(
                f"component {spec.name!r} is of unknown kind {spec.kind!r}. {nearest(spec.kind, KINDS)}"
            )
        if spec.api != hookspecs.PLUGIN_API:
            raise ComponentError(
                f"component {spec.name!r} was written for plugin API {spec.api}, this adaptgan has "
                f"{hookspecs.PLUGIN_API}"
            )
        fields = {name: getattr(spec, name) for name in ("kind", "name", "target", "summary", "paper", "api")}
        return ComponentSpec(**fields, distribution=plugin.distribution)

    def _fail(self, plugin: Plugin, cause: str) -> None:
        self.known[plugin.name] = replace(plugin, failure=cause)
        self._complain(f"Plugin {plugin.title} is left out: {cause}")

    def _complain(self, message: str) -> None:
        if self.strict:
            raise ComponentError(message)
        warnings.warn(message, PluginWarning, stacklevel=2)


@cache
def plugins() -> Plugins:
    """The plugins of this process, discovered once; `ADAPTGAN_STRICT_PLUGINS=1` makes any failure an error."""
    return Plugins(strict=os.environ.get("ADAPTGAN_STRICT_PLUGINS", "") not in ("", "0"))


def components() -> Registry:
    """The components of this process."""
    return plugins().components


def _normal(name: str) -> str:
    """A distribution's name as the packaging standard compares them: case, `-`, `_` and `.` make no difference."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def version_of(distribution: str) -> str:
    """The installed version of a distribution, or `?`."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "?"
