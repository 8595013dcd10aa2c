"""What every plugin promises, by the checks of adaptgan.testing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pictures import generated_images, real_images

from adaptgan.testing import check_dataset, check_method, check_metric, check_network, check_plugin

NETWORKS = {
    "spectral_detector": ["spectral_detector", {"name": "spectral_detector", "hidden": 8}],
    "forensic_cnn": [
        {"name": "forensic_cnn", "filters": 4, "widths": [8, 8]},
        {"name": "forensic_cnn", "filters": 2, "widths": [8], "spectral": 0, "kernel": 3},
    ],
}


def test_the_plugin_conforms() -> None:
    specs = {(spec.kind, spec.name) for spec in check_plugin("adaptgan-forensics")}
    networks = {("network", name) for name in NETWORKS}
    assert specs == networks | {("dataset", "real_and_generated"), ("metric", "detectability")}


@pytest.mark.parametrize("config", [config for configs in NETWORKS.values() for config in configs], ids=str)
def test_networks(config: object) -> None:
    check_network(config)


def test_the_method_supervised_trains_them() -> None:
    classifier = {"name": "forensic_cnn", "filters": 2, "widths": [8]}
    check_method({"name": "supervised", "classifier": classifier, "augmentation": "none"})


def test_the_metric() -> None:
    check_metric({"name": "detectability", "steps": 4, "batch_size": 16})


def test_the_dataset(write: Callable[..., Path]) -> None:
    def frame(i: int) -> dict[str, object]:
        return {"sequence": f"walk{i // 2}", "frame": i % 2}

    real = write("real", real_images(60, 0), np.arange(60) % 2, annotations=frame)
    made = write("made", generated_images(60, 1))
    config = {"name": "real_and_generated", "real": str(real), "generated": {"gan": str(made)}}
    check_dataset(config, splits=("train", "validation", "test"), limit=200)
