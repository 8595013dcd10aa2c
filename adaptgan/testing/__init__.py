"""For authors of plugins: checks that hold for every component, and fixtures.

In a plugin's tests:

    import pytest
    from adaptgan.testing import check, check_plugin

    CONFIGS = {"acme_gan": {"name": "acme_gan", "channels": 8}}  # options that make it small

    @pytest.mark.parametrize("spec", check_plugin("adaptgan-acme"), ids=lambda spec: spec.name)
    def test_it_keeps_its_promises(spec):
        check(spec.kind, CONFIGS.get(spec.name, spec.name))

Each kind has a check of its own, too, which explains its options and what it guarantees: `check_method`, and so on.
A check that fails raises an `AssertionError` that says what was expected of the component.

Fixtures: `pytest_plugins = ["adaptgan.testing.plugin"]` in the tests' top conftest.py; they are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "CHECKS": "kinds",
    "check": "kinds",
    "check_augmentation": "augmentations",
    "check_component": "checks",
    "check_dataset": "datasets",
    "check_exporter": "exporters",
    "check_extractor": "extractors",
    "check_gate": "gates",
    "check_method": "methods",
    "check_metric": "metrics",
    "check_network": "checks",
    "check_objective": "checks",
    "check_penalty": "penalties",
    "check_plugin": "checks",
    "check_validator": "validators",
    "tiny_batch": "data",
    "tiny_info": "data",
    "tiny_side": "data",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from adaptgan.testing.augmentations import check_augmentation as check_augmentation
    from adaptgan.testing.checks import check_component as check_component
    from adaptgan.testing.checks import check_network as check_network
    from adaptgan.testing.checks import check_objective as check_objective
    from adaptgan.testing.checks import check_plugin as check_plugin
    from adaptgan.testing.data import tiny_batch as tiny_batch
    from adaptgan.testing.data import tiny_info as tiny_info
    from adaptgan.testing.data import tiny_side as tiny_side
    from adaptgan.testing.datasets import check_dataset as check_dataset
    from adaptgan.testing.exporters import check_exporter as check_exporter
    from adaptgan.testing.extractors import check_extractor as check_extractor
    from adaptgan.testing.gates import check_gate as check_gate
    from adaptgan.testing.kinds import CHECKS as CHECKS
    from adaptgan.testing.kinds import check as check
    from adaptgan.testing.methods import check_method as check_method
    from adaptgan.testing.metrics import check_metric as check_metric
    from adaptgan.testing.penalties import check_penalty as check_penalty
    from adaptgan.testing.validators import check_validator as check_validator


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'adaptgan.testing' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"adaptgan.testing.{_PUBLIC[name]}"), name)
