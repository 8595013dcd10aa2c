"""The plugin manager: discovery, blocking, and failures named by distribution."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any

import pluggy

from adaptgan import hookspecs
from adaptgan.components import KINDS, ComponentSpec, Registry
from adaptgan.errors import AdaptganError, AdaptganWarning, ComponentError, ParamsError, PluginError, nearest
from adaptgan.trust import Policy, normal, read_policy

BUILTINS = (
    "adaptgan.builtin",
    "adaptgan.training.progress",
    "adaptgan.tracking.plugin",
    "adaptgan.training.alarms",  # after tracking, so that it is called before: tracking records what it raised
)
"""Modules of this package that are plugins themselves; they register before all others."""


STAGE_HOOKS = ("adaptgan_before_stage",)
"""Who implements one of these may have a hand in the result of every stage."""

TRAINING_HOOKS = (
    *STAGE_HOOKS,
    "adaptgan_before_train",
    "adaptgan_on_step_end",
    "adaptgan_on_losses",
    "adaptgan_on_samples",
    "adaptgan_on_evaluated",
    "adaptgan_on_checkpoint",
    "adaptgan_save_state",
    "adaptgan_load_state",
)
"""Who implements one of these may have a hand in every training: they are called before its result is written."""

REGISTRATION_HOOKS = ("adaptgan_register_components", "adaptgan_register_commands")
"""Called by every command, none of which a plugin may forbid."""

ERROR_HOOKS = ("adaptgan_on_stage_error", "adaptgan_on_train_error")
"""Called when there is an error to tell already, which none of theirs may hide."""


class PluginWarning(AdaptganWarning):
    """A plugin could not be loaded or failed in a hook; everything else goes on."""


@dataclass(frozen=True)
class Plugin:
    """What is known of one plugin, loaded or not.

    Attributes:
        name: of its entry point.
        distribution: that it came with.
        version: of the distribution.
        builtin: it is a part of adaptgan.
        module: that holds it.
        file: where that module is; empty while it was not imported.
        components: `kind/name` of each that it registered.
        hooks: that it implements, in the order of hookspecs.py.
        must_succeed: those of them that stop the run when they fail.
        decides: those of them that may have a hand in a result.
        blocked: the verdict, `blocked by …`, on one that was not imported; else empty.
        remedy: how to have a blocked one loaded.
        failure: why it was left out; else empty.
    """

    name: str
    distribution: str
    version: str
    builtin: bool = False
    module: str = ""
    file: str = ""
    components: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()
    must_succeed: tuple[str, ...] = ()
    decides: tuple[str, ...] = ()
    blocked: str = ""
    remedy: str = ""
    failure: str = ""

    @property
    def title(self) -> str:
        """`distribution version (entry point name)`."""
        return f"{self.distribution} {self.version} (entry point {self.name!r})"

    @property
    def requirement(self) -> str:
        """`distribution==version`."""
        return f"{self.distribution}=={self.version}"

    @property
    def status(self) -> str:
        """`loaded`, `blocked by …` or `failed: …`."""
        return self.blocked or (f"failed: {self.failure}" if self.failure else "loaded")


class Plugins:
    """All plugins of this process and the components they registered.

    Args:
        strict: raise on the first plugin that fails, instead of warning.
    """

    def __init__(self, strict: bool = False) -> None:
        self.strict = strict
        self.policy = Policy()
        self.strangers: list[tuple[str, str]] = []
        """(list, name) of each name in an allow or block list that is not installed."""
        self.manager = pluggy.PluginManager(hookspecs.PROJECT)
        self.manager.add_hookspecs(hookspecs)
        self.known: dict[str, Plugin] = {}
        self._specs: list[ComponentSpec] = []
        for module in BUILTINS:
            version = version_of("adaptgan")
            self._add(Plugin(module, "adaptgan", version, True, module), importlib.import_module(module))
        self._discover()
        failures = [f"{p.title} failed to load: {p.failure}" for p in self.known.values() if p.failure]
        failures += [f"{p.title} is {p.blocked}. {p.remedy}" for p in self.known.values() if p.blocked]
        failures += [f"{name!r}, which {where} names, is not installed." for where, name in self.strangers]
        self.components = Registry(self._specs, failures)
        for (kind, name), claims in self.components.conflicts.items():
            self._complain(f"The {kind} {name!r} is claimed by {' and '.join(claims)}; using it is an error.")

    def fire(self, hook: str, **arguments: Any) -> list[Any]:
        """Call a hook on every plugin, last registered first; what they return, without the Nones.

        Whatever a third party's plugin raises, an `AdaptganError` too, is warned about once and names it; the plugin
        is left out from then on, and the others still get the call. A plugin that may stop a run says so:
        `@hookimpl(must_succeed=True)`. What ends a process (`KeyboardInterrupt`, `SystemExit`) passes through.

        Raises:
            AdaptganError: of a hook that must succeed.
            PluginError: a hook that must succeed raised anything else; the message names the plugin.
        """
        return [result for _, result in self.ask(hook, **arguments) if result is not None]

    def ask(self, hook: str, **arguments: Any) -> list[tuple[str, Any]]:
        """As `fire`, but each answer comes with the name of its plugin, the Nones too."""
        answers: list[tuple[str, Any]] = []
        for implementation in reversed(getattr(self.manager.hook, hook).get_hookimpls()):
            plugin = self.known[implementation.plugin_name]
            try:
                given = [arguments[name] for name in implementation.argnames]
                answers.append((plugin.name, implementation.function(*given)))
            except Exception as error:
                if plugin.builtin:
                    raise
                self._failed_in(hook, plugin, error)
        return answers

    def leave_out(self, name: str, hook: str, cause: str) -> None:
        """Warn about a plugin that failed in a hook, and call it no more.

        Raises:
            PluginError: the plugin says that this hook must succeed.
        """
        plugin = self.known[name]
        if hook in plugin.must_succeed:
            raise PluginError(
                f"{plugin.title} says that its {hook} must succeed, and it {cause}. To go on without the plugin, block "
                f"it: `plugins: {{block: [{plugin.distribution}]}}` in params.yaml."
            )
        if self.manager.has_plugin(name):
            self.manager.unregister(name=name)
        self._fail(plugin, f"{hook} {cause}")

    def outdated(self) -> bool:
        """Whether other lists of plugins hold now than when these were found."""
        return bool(self._third_parties()) and self.policy != read_policy()

    def components_of(self, name: str) -> list[str]:
        """`kind/name` of every component that a plugin registered."""
        return list(self.known[name].components)

    def active(self) -> list[str]:
        """`distribution==version` of every third party that takes part, sorted."""
        return sorted({p.requirement for p in self._third_parties() if p.status == "loaded"})

    def left_out(self) -> dict[str, str]:
        """`distribution==version` of third parties that took part at first and failed in a hook, and the failure."""
        return {p.requirement: p.failure for p in self._third_parties() if p.failure and p.hooks}

    def record(self) -> dict[str, Any]:
        """Who took part, for provenance: `active`, and `left_out` with the cause where there is one."""
        left = self.left_out()
        return {"active": self.active(), **({"left_out": left} if left else {})}

    def deciding(self, hooks: Sequence[str]) -> dict[str, str]:
        """Distribution and version of each third party that implements one of `hooks` and does not only observe."""
        found = {p.distribution: p.version for p in self._third_parties() if not set(hooks).isdisjoint(p.decides)}
        return dict(sorted(found.items()))

    def _third_parties(self) -> list[Plugin]:
        return [plugin for plugin in self.known.values() if not plugin.builtin]

    def _failed_in(self, hook: str, plugin: Plugin, error: Exception) -> None:
        """A third party's hook raised: stop where the plugin says so, else go on without it."""
        cause = f"raised {type(error).__name__}: {error}"
        if isinstance(error, AdaptganError):
            if hook in plugin.must_succeed:
                raise error
            if hook in TRAINING_HOOKS:
                cause += " (A plugin ends a training by `run.halt`; only a hook that `must_succeed` stops it at once.)"
        self.leave_out(plugin.name, hook, cause)

    def _discover(self) -> None:
        points = importlib.metadata.entry_points(group=hookspecs.PROJECT)
        if not points:
            return
        self.policy = read_policy()
        found = [
            (point, Plugin(point.name, *((d.name, d.version) if (d := point.dist) else _UNKNOWN), module=point.module))
            for point in sorted(points, key=lambda point: (point.name, point.dist.name if point.dist else ""))
        ]
        installed = [_names(plugin) for _, plugin in found]
        self.strangers = [(rule.where, name) for rule, name in self.policy.strangers(installed)]
        blocked = []
        for point, plugin in found:
            verdict, remedy = self.policy.refusal(_names(plugin), installed)
            if verdict:
                blocked.append(replace(plugin, blocked=verdict, remedy=remedy))
                continue
            try:
                module = point.load()
            except (Exception, SystemExit) as error:
                self._fail(self._apart(plugin), f"{type(error).__name__}: {error}")
                continue
            self._add(plugin, module)
        for plugin in blocked:  # after the others: they take no name from one that is loaded
            plugin = self._apart(plugin)
            self.known[plugin.name] = plugin
        for message in self.policy.doubts(installed):
            self._complain(message)

    def _apart(self, plugin: Plugin) -> Plugin:
        """The plugin, under a name that no other one has here."""
        taken = plugin.name in self.known
        return replace(plugin, name=f"{plugin.name} of {plugin.distribution}") if taken else plugin

    def _add(self, plugin: Plugin, module: Any) -> None:
        """Register one plugin and its components; a failure leaves nothing of it behind."""
        try:
            if plugin.name in self.known:
                taken = self.known[plugin.name]
                plugin = self._apart(plugin)
                raise ComponentError(f"the name is taken by {taken.title}")
            self.manager.register(module, name=plugin.name)
            self.manager.check_pending()
            self._refuse_wrappers(module)
            register = getattr(module, "adaptgan_register_components", None)
            specs = [self._checked(spec, plugin) for spec in (register() if register else [])]
        except (Exception, SystemExit) as error:
            if self.manager.has_plugin(plugin.name) and self.manager.get_plugin(plugin.name) is module:
                self.manager.unregister(name=plugin.name)
            self._fail(plugin, f"{type(error).__name__}: {error}")
            return
        self.known[plugin.name] = self._described(plugin, module, specs)
        self._specs += specs

    def _described(self, plugin: Plugin, module: Any, specs: list[ComponentSpec]) -> Plugin:
        """The plugin with what was found in it."""
        own = {
            caller.name: implementation.function
            for caller in self.manager.get_hookcallers(module) or ()
            for implementation in caller.get_hookimpls()
            if implementation.plugin is module
        }
        order = [name for name in vars(hookspecs) if name in own]
        must = [name for name in order if getattr(own[name], "adaptgan_must_succeed", False)]
        decides = [name for name in order if not getattr(own[name], "adaptgan_observes", False)]
        return replace(
            plugin,
            file=getattr(module, "__file__", None) or "",
            components=tuple(f"{spec.kind}/{spec.name}" for spec in specs),
            hooks=tuple(order),
            must_succeed=tuple(name for name in must if name not in (*ERROR_HOOKS, *REGISTRATION_HOOKS)),
            decides=tuple(name for name in decides if name in TRAINING_HOOKS),
        )

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
        if spec.api not in hookspecs.SUPPORTED_API:
            raise ComponentError(
                f"component {spec.name!r} was written for plugin API {spec.api}, this adaptgan has "
                f"{hookspecs.PLUGIN_API} and accepts from {hookspecs.SUPPORTED_API.start}"
            )
        given = {one.name: getattr(spec, one.name) for one in fields(ComponentSpec)}
        return ComponentSpec(**given | {"distribution": plugin.distribution})

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
    """The components of this process.

    Raises:
        ParamsError: params.yaml says something of plugins that cannot be read; no plugin was loaded.
    """
    found = plugins()
    if found.policy.problem:
        raise ParamsError(found.policy.problem)
    return found.components


def version_of(distribution: str) -> str:
    """The installed version of a distribution, or `?`."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "?"


_UNKNOWN = ("unknown", "?")
"""Distribution and version of an entry point that belongs to none."""


def _names(plugin: Plugin) -> tuple[str, str]:
    return normal(plugin.name), normal(plugin.distribution)
