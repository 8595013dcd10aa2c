"""A third party's package: a network, an objective and a method, and hooks that count. Free of torch."""

from __future__ import annotations

import os
from pathlib import Path

from adaptgan import ComponentSpec, hookimpl


@hookimpl
def adaptgan_register_components() -> list[ComponentSpec]:
    return [
        ComponentSpec("network", "acme_mlp", "adaptgan_acme.parts:MLP", "a small perceptron", "Rosenblatt 1958"),
        ComponentSpec("objective", "acme_hinge", "adaptgan_acme.parts:Hinge", "a hinge"),
        ComponentSpec("method", "acme_align", "adaptgan_acme.align:Align", "features that a critic cannot tell apart"),
    ]


@hookimpl
def adaptgan_after_train(run: object) -> None:
    if place := os.environ.get("ACME_LOG"):
        with Path(place).open("a") as file:
            file.write(f"trained {run.name}\n")  # type: ignore[attr-defined]
