"""`synthesize` from noise: counts, labels, gates, the same images in any batches, and nothing left by a failure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adaptgan import load_dataset, load_model
from adaptgan.components import ComponentSpec
from adaptgan.data.gates import Trial, Verdict
from adaptgan.data.images import to_float, to_uint8
from adaptgan.data.records import Record
from adaptgan.data.shards import iter_records
from adaptgan.errors import AdaptganError, DataError, ParamsError
from adaptgan.latents.drawing import sampled
from adaptgan.params import load
from adaptgan.plugins import components
from adaptgan.reporting.pairs import find_pairs
from adaptgan.stages.sampled import take_turns
from adaptgan.stages.synthesize import synthesize
from tests.conftest import write_params


class BrightEnough:
    """A gate for these tests: the mean must be above a level."""

    name = "bright_enough"

    def __init__(self, level: float = -0.5) -> None:
        self.level = level

    def __call__(self, trial: Trial) -> Verdict:
        assert trial.from_noise and trial.before_NCHW is trial.after_NCHW
        mean_N = trial.after_NCHW.mean((1, 2, 3))
        return Verdict(mean_N > self.level, [{"mean": float(m)} for m in mean_N], ["too dark"] * len(mean_N))


@pytest.fixture(autouse=True)
def _bright_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = ComponentSpec("gate", "bright_enough", f"{__name__}:BrightEnough")
    registry = components()
    monkeypatch.setitem(registry._specs, ("gate", "bright_enough"), spec)
    plain = registry.load
    monkeypatch.setattr(registry, "load", lambda s: BrightEnough if s is spec else plain(s))


def make(folder: Path, model: Path, *, guard: Path | None = None, out: str = "out", **section: Any) -> list[Record]:
    """The records made; those that were rejected are in `quarantine`."""
    options = {"gate": [], "precision": "32-true", "device": "cpu", **section}
    params = load(write_params(folder / "params.yaml", seed=7, made=options))
    synthesize(params, "made", model=model, out=folder / out, guard=guard, quarantine=folder / "quarantine")
    return list(iter_records(folder / out))


def alike(one: list[Record], other: list[Record]) -> bool:
    """The same records, but that another batch size may round a pixel otherwise."""
    return len(one) == len(other) and all(
        (a.key, a.label, a.provenance["latent"]) == (b.key, b.label, b.provenance["latent"])
        and np.abs(a.image.astype(int) - b.image.astype(int)).max() <= 1
        for a, b in zip(one, other, strict=True)
    )


def test_a_class_conditional_set(tiny_cgan: Path, tmp_path: Path) -> None:
    records = make(tmp_path, tiny_cgan, count=25, shard_size=10, batch_size=10)
    data = load_dataset(tmp_path / "out")
    assert len(data) == 25 and data.classes == tuple("0123456789") and data.manifest.labels == "open"
    assert [record.label for record in records] == [i % 10 for i in range(25)]
    model: Any = load_model(tiny_cgan)
    expected = to_uint8(sampled(model, 7, range(25), torch.arange(25) % 10))[:, 0].numpy()
    for i, record in enumerate(records):
        assert record.key == f"latent-{i:07d}" and record.annotations == {}
        assert record.provenance == {"model": model.card["fingerprint"], "seed": 7, "latent": i}
        assert np.abs(record.image.astype(int) - expected[i].astype(int)).max() <= 1
    origin = data.manifest.origin
    assert (origin["kept"], origin["quarantined"]) == (25, 0)
    assert origin["noise"] == {"seed": 7, "truncation": None, "labels": "asked"}
    assert [shard.name for shard in data.manifest.shards] == ["000000.tar", "000001.tar", "000002.tar"]
    assert len(list(iter_records(tmp_path / "quarantine"))) == 0


def test_the_same_images_whatever_the_batches(tiny_cgan: Path, tiny_dcgan: Path, tmp_path: Path) -> None:
    for model in (tiny_cgan, tiny_dcgan):
        whole, parts, _ = (
            make(tmp_path, model, count=70, batch_size=size, out=out, truncation=0.8)
            for size, out in ((256, "a"), (7, "b"), (256, "c"))
        )
        assert alike(whole, parts) and whole[0].provenance["truncation"] == 0.8
        assert (tmp_path / "a" / "000000.tar").read_bytes() == (tmp_path / "c" / "000000.tar").read_bytes()
        assert len({record.image.tobytes() for record in whole}) == 70
        assert alike(make(tmp_path, model, count=40, truncation=0.8), whole[:40])  # fewer are the first of more


def test_they_are_no_pairs_of_before_and_after(tiny_cgan: Path, tiny_source: Path, tmp_path: Path) -> None:
    make(tmp_path, tiny_cgan, count=10)
    with pytest.raises(DataError, match="made from noise"):
        find_pairs(load_dataset(tiny_source), load_dataset(tmp_path / "out"), 5, 0)


def test_class_shares(tiny_cgan: Path, tmp_path: Path) -> None:
    records = make(tmp_path, tiny_cgan, count=40, classes={"3": 3, "7": 1})
    assert Counter(record.label for record in records) == {3: 30, 7: 10}
    assert load_dataset(tmp_path / "out").classes == tuple("0123456789")


def test_turns_keep_to_their_shares() -> None:
    assert list(islice(take_turns((1 / 3,) * 3), 7)) == [0, 1, 2, 0, 1, 2, 0]
    assert list(islice(take_turns((0.1,) * 10), 1000)) == [i % 10 for i in range(1000)]
    shares = (0.5, 0.3, 0.15, 0.05, 0.0)
    order = list(islice(take_turns(shares), 500))
    for n in range(1, 501):
        had = Counter(order[:n])
        assert all(abs(had[k] - share * n) <= 1 + 1e-6 for k, share in enumerate(shares))


def test_without_classes_there_are_no_labels(tiny_dcgan: Path, tmp_path: Path) -> None:
    records = make(tmp_path, tiny_dcgan, count=9)
    data = load_dataset(tmp_path / "out")
    assert data.manifest.labels == "none" and data.classes == () and [r.label for r in records] == [None] * 9


def test_labels_that_the_guard_reads(tiny_dcgan: Path, tiny_guard: Path, tmp_path: Path) -> None:
    records = make(tmp_path, tiny_dcgan, guard=tiny_guard, count=30, label_by_guard=True)
    guard: Any = load_model(tiny_guard)
    images = torch.from_numpy(np.stack([record.image for record in records])[:, None])
    p, read = guard.predict(to_float(images)).max(1)
    assert [record.label for record in records] == read.tolist()
    assert [record.provenance["confidence"] for record in records] == pytest.approx(p.tolist(), abs=1e-3)
    assert {record.provenance["labelled_by"] for record in records} == {guard.card["fingerprint"]}
    origin = load_dataset(tmp_path / "out").manifest.origin
    assert origin["noise"]["labels"] == "read" and origin["guard"] == guard.card["fingerprint"]
    level = float(p.median())
    gate = {"name": "classifier_agreement", "min_confidence": level}
    sure = make(tmp_path, tiny_dcgan, guard=tiny_guard, count=30, label_by_guard=True, gate=[gate])
    assert [record.key for record in sure] == [r.key for r, q in zip(records, p, strict=True) if q >= level]


def brightness(records: list[Record]) -> np.ndarray:
    return np.array([(record.image / 127.5 - 1).mean() for record in records])


def test_gates_and_quarantine(tiny_cgan: Path, tmp_path: Path) -> None:
    everything = make(tmp_path, tiny_cgan, count=30, out="all")
    level = float(np.median(brightness(everything)))
    kept = make(tmp_path, tiny_cgan, count=30, gate=[{"name": "bright_enough", "level": level}], batch_size=8)
    rejected = list(iter_records(tmp_path / "quarantine"))
    assert {r.key for r in kept} == {r.key for r in everything if brightness([r])[0] > level}
    assert len(kept) + len(rejected) == 30 and rejected
    assert all(r.provenance["reason"] == "too dark" and r.provenance["gate"]["mean"] <= level for r in rejected)
    assert all("reason" not in r.provenance for r in kept)
    origin = load_dataset(tmp_path / "out").manifest.origin
    assert (origin["kept"], origin["quarantined"]) == (len(kept), len(rejected))
    assert origin["agreement_before_gate"] == pytest.approx(len(kept) / 30, abs=1e-6)


def test_balance_goes_on_until_enough_have_passed(tiny_cgan: Path, tmp_path: Path) -> None:
    level = float(np.median(brightness(make(tmp_path, tiny_cgan, count=30, out="all"))))
    section = {"count": 20, "balance": True, "gate": [{"name": "bright_enough", "level": level}]}
    one, other = (make(tmp_path, tiny_cgan, batch_size=size, **section) for size in (64, 9))
    assert Counter(record.label for record in one) == dict.fromkeys(range(10), 2) and alike(one, other)
    first: dict[int, list[int]] = {}
    for record in make(tmp_path, tiny_cgan, count=400, gate=section["gate"], out="long"):
        first.setdefault(record.label, []).append(record.provenance["latent"])  # type: ignore[arg-type]
    wanted = {number for numbers in first.values() for number in numbers[:2]}
    assert {record.provenance["latent"] for record in one} == wanted  # none that could have been kept was left out


def test_a_failure_leaves_nothing(tiny_cgan: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("what was there before")
    dark = [{"name": "bright_enough", "level": 5.0}]
    with pytest.raises(DataError, match=r"rejected all 10 images.*'too dark'.*generator"):
        make(tmp_path, tiny_cgan, count=10, gate=dark)
    with pytest.raises(DataError, match="200 images were made for 10"):
        make(tmp_path, tiny_cgan, count=10, gate=dark, balance=True)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]
    assert {path.name for path in tmp_path.iterdir()} <= {"out", "params.yaml", ".adaptgan"}


@pytest.mark.parametrize(
    ("model", "section", "words"),
    [
        ("CGAN", {}, "made.count: say how many"),
        ("CGAN", {"count": 0}, "greater than or equal to 1"),
        ("CGAN", {"count": 5, "classes": {"cat": 1}}, "no class 'cat'"),
        ("CGAN", {"count": 5, "classes": {"3": 0}}, "above 0"),
        ("CGAN", {"count": 5, "truncation": 0}, "greater than 0"),
        ("CGAN", {"count": 5, "label_by_guard": True}, "needs? no guard"),
        ("CGAN", {"count": 5, "gate": ["classifier_agreement"]}, "no classifier to ask"),
        ("DCGAN", {"count": 5, "label_by_guard": True}, "--guard DIR"),
        ("DCGAN", {"count": 5, "classes": {"3": 1}}, "knows no classes"),
        ("DCGAN", {"count": 5, "balance": True}, "knows no classes"),
        ("GUARD", {"count": 5}, "makes no images from noise"),
    ],
)
def test_what_cannot_be_made_is_refused(
    model: str, section: dict[str, Any], words: str, tiny_dcgan: Path, tiny_cgan: Path, tiny_guard: Path, tmp_path: Path
) -> None:
    folder = {"DCGAN": tiny_dcgan, "CGAN": tiny_cgan, "GUARD": tiny_guard}[model]
    with pytest.raises(ParamsError, match=words):
        make(tmp_path, folder, **section)
    assert not (tmp_path / "out").exists()


def test_guards_and_gates_that_do_not_fit(
    tiny_dcgan: Path, tiny_cgan: Path, tiny_guard: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ParamsError, match="no labels to ask about"):
        make(tmp_path, tiny_dcgan, guard=tiny_guard, count=5, gate=["classifier_agreement"])
    with pytest.raises(ParamsError, match="a guard must be a classifier"):
        make(tmp_path, tiny_cgan, guard=tiny_dcgan, count=5)
    with pytest.raises(ParamsError, match="with `balance: true`"):
        make(tmp_path, tiny_dcgan, guard=tiny_guard, count=5, label_by_guard=True, classes={"3": 1})


def test_from_decides_which_half(
    tiny_dcgan: Path, tiny_source: Path, tmp_path: Path, run_cli: Callable[..., tuple[int, str, str]]
) -> None:
    params = write_params(tmp_path / "params.yaml", made={"gate": [], "count": 12})
    common = ("synthesize", "made", "--params", params, "--model", tiny_dcgan, "--out", tmp_path / "out")
    code, _, errors = run_cli(*common, "--from", tiny_source)
    assert code == 2 and "leave out `--from`" in errors and not (tmp_path / "out").exists()
    code, _, errors = run_cli(*common)
    assert (code, errors) == (0, "") and len(load_dataset(tmp_path / "out")) == 12
    code, out, _ = run_cli("inspect", tmp_path / "out")
    assert code == 0 and "latent" in out


def test_a_translator_needs_a_data_set_and_takes_no_count(tiny_source: Path, tmp_path: Path) -> None:
    from tests.stages.conftest import trained
    from tests.stages.test_train import SIMGAN

    def refine(**section: Any) -> None:
        params = load(write_params(tmp_path / "params.yaml", made={"gate": [], **section.pop("options", {})}))
        synthesize(params, "made", model=tmp_path / "model", out=tmp_path / "out", **section)

    method = {**SIMGAN, "pretrain_refiner": 1, "pretrain_discriminator": 1}
    trained(tmp_path, tiny_source, method, target=tiny_source, steps=2)
    with pytest.raises(AdaptganError, match="give one with `--from DIR`"):
        refine(options={"count": 5})
    with pytest.raises(ParamsError, match=r"made.count: this is for images from noise"):
        refine(source=tiny_source, options={"count": 5})
    refine(source=tiny_source)
    assert len(load_dataset(tmp_path / "out")) == 120
