"""`synthesize` in several processes and through failures: the same bytes, or one message and nothing left."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adaptgan.data.dataset import ShardDataset
from adaptgan.data.shards import iter_records
from adaptgan.data.tar import TarWriter
from adaptgan.errors import DataError, Interrupted
from adaptgan.methods.base import Guard
from adaptgan.models import load_model
from adaptgan.params import load
from adaptgan.stages import translated
from adaptgan.stages.synthesize import synthesize
from adaptgan.training.seeding import derive
from tests.conftest import torchrun, write_params
from tests.stages.conftest import trained

TRANSLATE: dict[str, Any] = {
    "gate": [{"name": "classifier_agreement", "min_confidence": 0.1}],
    "batch_size": 16,
    "shard_size": 30,
    "precision": "32-true",
    "device": "cpu",
}
NOISE = {**TRANSLATE, "gate": [], "count": 50}
BALANCED = {**NOISE, "count": 20, "balance": True, "classes": {"3": 3, "7": 1}, "label_by_guard": False}
SECTIONS = {"translate": TRANSLATE, "noise": NOISE, "balanced": BALANCED}

DRIVER = '''
"""Synthesize every section, in as many processes as there are; `BREAK` makes process 1 fail so."""
import os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from adaptgan.cli.main import run
from adaptgan.errors import DataError
from adaptgan.stages import translated

folder, sections, models = Path(sys.argv[1]), sys.argv[2].split(","), sys.argv[3:]
how, judged, calls = os.environ.get("BREAK"), translated.judged, []

def breaking(*arguments):
    calls.append(1)
    if how and os.environ["RANK"] == "1" and len(calls) == 2:
        if how == "error":
            raise DataError("the second batch of process 1 is bad")
        os.kill(os.getpid(), signal.SIGKILL)
    return judged(*arguments)

translated.judged = breaking
translator, generator, guard, source = models
for section in sections:
    what = ("--model", translator, "--from", source) if section == "translate" else ("--model", generator)
    quarantine = ("--quarantine", str(folder / f"{section}_no"))
    try:
        run(["synthesize", section, "--params", str(folder / "params.yaml"), "--guard", guard, *what, *quarantine,
             "--out", str(folder / section)])
    except SystemExit as end:
        if end.code:
            raise
'''


@pytest.fixture(scope="session")
def tiny_translator(tmp_path_factory: pytest.TempPathFactory, tiny_source: Path, _quiet_machine: None) -> Path:
    """A refiner that draws its jitter from each record's seed."""
    method = {
        "name": "simgan",
        "refiner": {"name": "simgan_refiner", "channels": 4, "blocks": 1, "residual": 2.0},
        "discriminator": {"name": "patch_discriminator", "layers": "strided", "channels": 4},
        "jitter": {"name": "warp", "rotation": 10},
        "pretrain_refiner": 1,
        "pretrain_discriminator": 1,
    }
    return trained(tmp_path_factory.mktemp("simgan"), tiny_source, method, target=tiny_source, steps=2)


class Case:
    """A folder with params, and the models that all runs use."""

    def __init__(self, folder: Path, models: list[Path]) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.models = folder, models
        self.params = write_params(folder / "params.yaml", seed=5, **SECTIONS)

    def run(self, section: str = "translate") -> None:
        """In this process."""
        translator, generator, guard, source = self.models
        synthesize(
            load(self.params),
            section,
            model=translator if section == "translate" else generator,
            source=source if section == "translate" else None,
            guard=guard,
            out=self.folder / section,
            quarantine=self.folder / f"{section}_no",
        )

    def torchrun(self, count: int, sections: str = "translate", **environment: str) -> tuple[int, str]:
        """In as many processes: exit status and all output."""
        driver = self.folder / "driver.py"
        driver.write_text(DRIVER)
        command = [sys.executable, *torchrun(count), driver, self.folder, sections, *self.models]
        done = subprocess.run(
            [str(part) for part in command],
            env={**os.environ, "OMP_NUM_THREADS": "1", "ADAPTGAN_SCRATCH": str(self.folder / "scratch"), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        driver.unlink()
        return done.returncode, done.stdout

    def left(self) -> set[str]:
        """What lies in the folder beside params and scratch."""
        return {path.name for path in self.folder.iterdir()} - {"params.yaml", "scratch", ".adaptgan"}


@pytest.fixture
def case(tmp_path: Path, tiny_translator: Path, tiny_cgan: Path, tiny_guard: Path, tiny_source: Path) -> Case:
    return Case(tmp_path / "one", [tiny_translator, tiny_cgan, tiny_guard, tiny_source])


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_records_are_those_of_a_plain_loop(case: Case) -> None:
    case.run()
    model: Any = load_model(case.models[0])
    guard = Guard(load_model(case.models[2]))
    found = {
        record.key: (record, name)
        for name in ("translate", "translate_no")
        for record in iter_records(case.folder / name)
    }
    before = list(iter_records(case.models[3]))
    for start in range(0, len(before), 16):
        part = before[start : start + 16]
        x = torch.from_numpy(np.stack([record.image for record in part])[:, None]).float() / 127.5 - 1
        seeds = torch.tensor([derive(5, "synthesize", record.key) for record in part])
        with torch.no_grad():
            made = ((model.translate(x, seeds).clamp(-1, 1) + 1) * 127.5).round()
            p = guard.classifier(made / 127.5 - 1).softmax(1)
        for row, old in enumerate(part):
            new, where = found.pop(old.key)
            assert np.array_equal(new.image, made[row, 0].byte().numpy()) and new.label == old.label
            assert new.provenance["source_sha256"] == hashlib.sha256(old.image.tobytes()).hexdigest()
            assert new.provenance["font"] == old.provenance["font"]
            passes = p[row].argmax() == old.label and p[row, old.label] >= 0.1
            assert where == ("translate" if passes else "translate_no")
    assert not found


def test_two_processes_write_the_bytes_of_one(case: Case, tmp_path: Path) -> None:
    for section in SECTIONS:
        case.run(section)
    two = Case(tmp_path / "two", case.models)
    code, output = two.torchrun(2, ",".join(SECTIONS))
    assert code == 0, output
    for section in SECTIONS:
        for name in (section, f"{section}_no"):
            assert content(two.folder / name) == content(case.folder / name), name
    assert two.left() == case.left() == {name for s in SECTIONS for name in (s, f"{s}_no")}
    kept, rejected = (list(iter_records(two.folder / f"translate{end}")) for end in ("", "_no"))
    assert len(kept) + len(rejected) == 120 and kept and rejected
    assert [record.label for record in iter_records(two.folder / "balanced")].count(3) == 15


@pytest.mark.parametrize("how", ["error", "kill"])
def test_a_process_that_fails_ends_all_and_leaves_nothing(how: str, case: Case) -> None:
    code, output = case.torchrun(2, BREAK=how)
    assert code != 0 and case.left() == set(), output
    told = [line for line in output.splitlines() if line.startswith("adaptgan:")]
    if how == "error":
        assert told == ["adaptgan: the second batch of process 1 is bad"], output
    assert len(told) <= 1 and not list((case.folder / "scratch" / "synthesize").glob("*/*.piece")), output


def breaking(monkeypatch: pytest.MonkeyPatch, at: int, action: Callable[[], None]) -> None:
    calls: list[int] = []
    judged = translated.judged

    def counted(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == at:
            action()
        return judged(*arguments)

    monkeypatch.setattr(translated, "judged", counted)


def alive() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("adaptgan-")}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_what_was_there(number: signal.Signals, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    (case.folder / "translate").mkdir()
    (case.folder / "translate" / "mine").write_text("what was there before")
    before = signal.getsignal(number)
    breaking(monkeypatch, 4, lambda: os.kill(os.getpid(), number))
    with pytest.raises(Interrupted, match="stopped by a signal"):
        case.run()
    assert case.left() == {"translate"} and content(case.folder / "translate").keys() == {"mine"}
    assert signal.getsignal(number) is before and not alive()


def test_a_full_disk_is_told_and_leaves_nothing(
    case: Case, monkeypatch: pytest.MonkeyPatch, run_cli: Callable[..., tuple[int, str, str]]
) -> None:
    put, puts = TarWriter._put, []

    def full(self: TarWriter, data: bytes) -> None:
        puts.append(1)
        if len(puts) > 40:
            raise OSError(errno.ENOSPC, "No space left on device", str(self.path))
        put(self, data)

    monkeypatch.setattr(TarWriter, "_put", full)
    translator, _, guard, source = case.models
    code, _, errors = run_cli(
        *("synthesize", "translate", "--params", case.params, "--model", translator, "--from", source),
        *("--guard", guard, "--out", case.folder / "translate"),
    )
    assert code == 1 and errors.startswith("adaptgan: The disk is full") and "Traceback" not in errors
    assert case.left() == set() and not alive()


def test_a_shard_that_is_damaged_on_the_way(case: Case, tmp_path: Path) -> None:
    """Its last shard is read while the first batches are translated."""
    source = tmp_path / "damaged"
    shutil.copytree(case.models[3], source)
    last = source / "000002.tar"
    data = bytearray(last.read_bytes())
    data[700] ^= 1
    last.write_bytes(data)
    damaged = Case(tmp_path / "one", [*case.models[:3], source])
    with pytest.raises(DataError, match=r"000002\.tar: this shard is damaged"):
        damaged.run()
    assert damaged.left() == set() and not alive()


def test_images_come_from_the_cache_or_the_shards(case: Case) -> None:
    found = []
    for cached in (False, True):
        data = ShardDataset(case.models[3])
        if cached:
            assert len(data.images_NCHW) == 120
        records = list(data.unpaired([3, 49, 50, 119]))
        assert [record.key for record in records] == [data.keys[i] for i in (3, 49, 50, 119)]
        found.append([(record.image.tolist(), record.label, record.provenance) for record in records])
    assert found[0] == found[1]
    whole = list(iter_records(case.models[3]))
    assert found[0] == [(whole[i].image.tolist(), whole[i].label, whole[i].provenance) for i in (3, 49, 50, 119)]
