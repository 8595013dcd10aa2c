"""The check of every kind of component, by the kind's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from adaptgan.errors import nearest
from adaptgan.testing.augmentations import check_augmentation
from adaptgan.testing.checks import check_network, check_objective
from adaptgan.testing.datasets import check_dataset
from adaptgan.testing.exporters import check_exporter
from adaptgan.testing.extractors import check_extractor
from adaptgan.testing.gates import check_gate
from adaptgan.testing.methods import check_method
from adaptgan.testing.metrics import check_metric
from adaptgan.testing.penalties import check_penalty
from adaptgan.testing.validators import check_validator

CHECKS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "dataset": check_dataset,
        "network": check_network,
        "objective": check_objective,
        "penalty": check_penalty,
        "augmentation": check_augmentation,
        "method": check_method,
        "metric": check_metric,
        "extractor": check_extractor,
        "validator": check_validator,
        "gate": check_gate,
        "exporter": check_exporter,
    }
)
"""Kind of component → its check."""


def check(kind: str, config: Any, *inputs: Any, **options: Any) -> Any:
    """Check a component of any kind, so that a package's test can be one loop over what it registered.

    Example:
        >>> for spec in check_plugin("adaptgan-acme"):
        ...     check(spec.kind, CONFIGS.get(spec.name, spec.name))

    Args:
        kind: one of `adaptgan.components.KINDS`.
        config: its name, or `{name: …, option: …}`.
        inputs: of `check_network`: what the network's forward takes.
        options: of that kind's check; each explains its own.

    Returns:
        What that kind's check returns, the component as a rule.

    Raises:
        AssertionError: the component breaks a promise; the message says which.
    """
    assert kind in CHECKS, f"there is no component kind {kind!r}. {nearest(kind, CHECKS)}"
    return CHECKS[kind](config, *inputs, **options)
