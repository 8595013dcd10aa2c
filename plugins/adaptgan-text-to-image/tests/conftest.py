from __future__ import annotations

import os

import pytest

os.environ.setdefault("ADAPTGAN_TRACKING", "off")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

pytest_plugins = ["adaptgan.testing.plugin"]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)
