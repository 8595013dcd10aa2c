"""Tiny generators and a classifier, trained once by the real stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import write_params

TINY: dict[str, Any] = {
    "generator": {"name": "dcgan_generator", "noise": 8, "channels": 4},
    "discriminator": {"name": "dcgan_discriminator", "channels": 4},
    "ema": 0.5,
    "optimizer": {"lr": 0.002},
    "generator_optimizer": {"lr": 0.005},
}
SHORT = {"steps": 40, "batch_size": 16, "precision": "32-true", "device": "cpu", "validation": 0.2}


def trained(folder: Path, source: Path, method: Any, target: Path | None = None, **training: Any) -> Path:
    """A model folder."""
    from adaptgan.params import load
    from adaptgan.stages.train import train

    params = load(write_params(folder / "params.yaml", generator={"method": method, "training": SHORT | training}))
    train(params, "generator", source=source, target=target, out=folder / "model", log=folder / "log")
    return folder / "model"


@pytest.fixture(scope="session")
def tiny_dcgan(tmp_path_factory: pytest.TempPathFactory, tiny_source: Path, _quiet_machine: None) -> Path:
    """A generator without classes."""
    return trained(tmp_path_factory.mktemp("dcgan"), tiny_source, {"name": "dcgan", **TINY})


@pytest.fixture(scope="session")
def tiny_cgan(tmp_path_factory: pytest.TempPathFactory, tiny_source: Path, _quiet_machine: None) -> Path:
    """A generator of ten classes."""
    method = {
        "name": "dcgan",
        **TINY,
        "generator": {**TINY["generator"], "conditional": True},
        "discriminator": {**TINY["discriminator"], "conditional": "projection"},
    }
    return trained(tmp_path_factory.mktemp("cgan"), tiny_source, method)


@pytest.fixture(scope="session")
def tiny_guard(tmp_path_factory: pytest.TempPathFactory, tiny_source: Path, _quiet_machine: None) -> Path:
    """A classifier of ten classes."""
    method = {"name": "supervised", "classifier": {"name": "conv_classifier", "widths": [8, 8], "hidden": 16}}
    return trained(tmp_path_factory.mktemp("guard"), tiny_source, method)
