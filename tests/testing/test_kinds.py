"""One check for each kind of component, by its name."""

from __future__ import annotations

import inspect

import pytest

import adaptgan.testing
from adaptgan.components import KINDS
from adaptgan.testing import CHECKS, check, check_metric


def test_every_kind_has_a_check_that_is_exported_and_explained() -> None:
    assert set(CHECKS) == set(KINDS)
    for kind, function in CHECKS.items():
        assert getattr(adaptgan.testing, f"check_{kind}") is function
        assert f"check_{kind}" in adaptgan.testing.__all__
        text = inspect.getdoc(function) or ""
        options = [name for name in inspect.signature(function).parameters if f"\n    {name}: " not in text]
        assert not options, f"check_{kind}: {options} are not explained"


def test_it_dispatches() -> None:
    assert type(check("metric", {"name": "kid", "subsets": 3})) is type(check_metric("kid"))
    assert check("network", {"name": "mlp_generator", "widths": [8], "noise": 4}, *_latents()).n_noise == 4


def _latents() -> tuple[object, ...]:
    import torch

    return (torch.rand(4, 4),)


def test_a_kind_that_is_not_there() -> None:
    with pytest.raises(AssertionError, match="there is no component kind 'metrics'. Did you mean 'metric'"):
        check("metrics", "kid")


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'check_everything'"):
        _ = adaptgan.testing.check_everything
