"""Shared fixtures, on top of those that plugin authors have: a scratch folder of their own for all tests."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from adaptgan.testing.workbench import Workbench

pytest_plugins = ["adaptgan.testing.plugin"]  # tracking is off; tests/tracking turns it on for itself


@pytest.fixture(scope="session", autouse=True)
def _quiet_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One thread, and a scratch folder for what session fixtures make."""
    import torch

    torch.set_num_threads(1)
    old = os.environ.get("ADAPTGAN_SCRATCH")
    os.environ["ADAPTGAN_SCRATCH"] = str(tmp_path_factory.mktemp("scratch"))
    yield
    if old is None:
        del os.environ["ADAPTGAN_SCRATCH"]
    else:
        os.environ["ADAPTGAN_SCRATCH"] = old


@pytest.fixture(autouse=True)
def scratch_folder(_quiet_machine: None, adaptgan_scratch: Path) -> Path:
    """A scratch folder of its own for each test."""
    return adaptgan_scratch


def torchrun(count: int) -> list[str]:
    """Arguments for python: what follows runs in so many processes, on a port that the system finds free."""
    local = ["--standalone", "--local-addr", "127.0.0.1"]
    return ["-m", "torch.distributed.run", *local, "--nproc-per-node", str(count)]


def write_params(path: Path, **sections: Any) -> Path:
    """Write a params.yaml with tracking off."""
    from adaptgan.testing.runs import write_params as write

    return write(path, **sections)


@pytest.fixture
def ingested(adaptgan_ingest: Callable[..., Path]) -> Callable[..., Path]:
    """`ingested({"dataset": …}, split)`: a data set folder of its own, made by the real stage."""
    return adaptgan_ingest


@pytest.fixture
def run_cli(adaptgan_cli: Callable[..., tuple[int, str, str]]) -> Callable[..., tuple[int, str, str]]:
    """Run a command in this process; gives exit status, stdout and stderr."""
    return adaptgan_cli


@pytest.fixture
def third_party(adaptgan_plugins: Workbench) -> Callable[..., None]:
    """`third_party("acme-gan", "source code", version="1.2")` puts an installed distribution on sys.path.

    Its module is called as the distribution, with underscores, and is announced as a plugin of the same name
    (or as `point`).
    """
    return adaptgan_plugins.install
