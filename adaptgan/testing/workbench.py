"""Plugins for the duration of one test: discovered as installed ones are, without being installed."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest

from adaptgan.components import Registry
from adaptgan.plugins import Plugins, plugins


class Workbench:
    """A place for plugins of one test.

    Each is given a distribution of its own on `sys.path`, with an entry point in the group `adaptgan`: from there it
    goes the way of an installed one. After the test nothing of it is left.

    Args:
        folder: where distributions are written.
        patch: takes everything back.
    """

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self._patch = folder, patch
        self._modules: list[str] = []
        plugins.cache_clear()

    @property
    def plugins(self) -> Plugins:
        """The plugin manager of this process, with all that is registered here."""
        return plugins()

    @property
    def components(self) -> Registry:
        """The components of this process."""
        return plugins().components

    def register(
        self, plugin: Any, distribution: str = "plugin-under-test", version: str = "1.0", point: str | None = None
    ) -> Plugins:
        """Make a plugin known, as if it were installed.

        Args:
            plugin: a module, or any object, that has functions with `@hookimpl`. Targets of the components that it
                registers must be importable: `f"{__name__}:MyMethod"` is, in a test's module.
            distribution: what it is said to come with.
            version: of that.
            point: name of the entry point; the distribution's when not given.

        Returns:
            The plugin manager; its `known[point]` says whether the plugin was loaded.
        """
        where = getattr(plugin, "__name__", "")
        if not isinstance(plugin, types.ModuleType) or not where:
            holder = types.ModuleType(f"adaptgan_workbench_{len(self._modules)}")
            holder.plugin = plugin  # type: ignore[attr-defined]
            plugin, where = holder, f"{holder.__name__}:plugin"
        self._patch.setitem(sys.modules, plugin.__name__, plugin)
        self._announce(distribution, version, point, where)
        return plugins()

    def install(self, distribution: str, code: str, version: str = "1.0", point: str | None = None) -> None:
        """Write a plugin's source to a module called as the distribution, with underscores; nothing is loaded yet.

        Processes that a test starts find it, too, with `folder / distribution` on their PYTHONPATH.
        """
        module = distribution.replace("-", "_")
        site = self._announce(distribution, version, point, module)
        (site / f"{module}.py").write_text(code, encoding="utf-8")
        self._modules.append(module)

    def close(self) -> None:
        """Forget all of them."""
        plugins.cache_clear()
        for module in self._modules:
            sys.modules.pop(module, None)

    def _announce(self, distribution: str, version: str, point: str | None, where: str) -> Path:
        """The metadata that an installer writes."""
        site = self.folder / distribution
        info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[adaptgan]\n{point or distribution} = {where}\n")
        self._patch.syspath_prepend(str(site))
        plugins.cache_clear()
        return site
