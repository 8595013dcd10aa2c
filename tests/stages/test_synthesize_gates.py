"""`synthesize` and its gates: thresholds by the source, counts, places that a translator only claims to keep."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adaptgan.components import ComponentSpec
from adaptgan.data.gates.places import moved
from adaptgan.data.images import hwc, to_uint8
from adaptgan.data.masks import encode
from adaptgan.data.records import Record
from adaptgan.data.shards import ShardWriter, iter_records
from adaptgan.errors import AdaptganWarning, DataError, ParamsError
from adaptgan.files import read_json, scratch
from adaptgan.methods.base import Method
from adaptgan.models import save_model
from adaptgan.params import load
from adaptgan.plugins import plugins
from adaptgan.stages.synthesize import synthesize
from adaptgan.stages.tally import warn_of
from adaptgan.testing.data import tiny_info
from adaptgan.testing.gates import pictures
from tests.conftest import write_params

N = 60


class Made(Method):
    """A translator without weights.

    Args:
        right: pixels to the right.
        contrast: what colours are multiplied by.
        rightly: it says that it moves pixels.
        blots: it paints all of the first class over.
    """

    def __init__(self, right: int = 0, contrast: float = 1.0, rightly: bool = False, blots: bool = False) -> None:
        super().__init__()
        self.right, self.contrast, self.moves_pixels, self.blots = right, contrast, rightly, blots

    def translate(self, images_NCHW: torch.Tensor, seeds_N: torch.Tensor | None = None) -> torch.Tensor:
        after = moved(images_NCHW, 0, self.right) * self.contrast
        if self.blots:
            bright_N = (images_NCHW[:, 0] > 0).any(2).sum(1)
            after = torch.where((bright_N < 4)[:, None, None, None], torch.zeros_like(after), after)
        return after


@pytest.fixture(autouse=True)
def _made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        plugins().components._specs, ("method", "made"), ComponentSpec("method", "made", f"{__name__}:Made")
    )


def source(folder: Path, *annotations: str) -> Path:
    """Pictures with the annotations asked for."""
    shown = pictures(N, seed=4)
    assert shown.labels_N is not None and shown.masks_NHW is not None
    images = to_uint8(shown.after_NCHW).numpy()
    folder.mkdir()
    with ShardWriter(folder, tiny_info().classes) as writer:
        for i, (image, label) in enumerate(zip(images, shown.labels_N.tolist(), strict=True)):
            mask = shown.masks_NHW[i].numpy()
            rows, columns = np.nonzero(mask)
            box = [int(columns.min()), int(rows.min()), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1]
            known = {"mask": encode(mask, ("ground", "bar")), "boxes": [box], "caption": "bars"}
            writer.write(Record(f"p{i:03d}", hwc(image), label, {name: known[name] for name in annotations}))
    return folder


def run(folder: Path, data: Path, gate: list[Any], **options: Any) -> dict[str, Any]:
    """The origin of a data set that a `Made` with these options and gates makes."""
    model, out = folder / "model", folder / "out"
    model.mkdir()
    method = {"name": "made", **options}
    info = {**dataclasses.asdict(tiny_info()), "classes": list(tiny_info().classes)}
    save_model(Made(**options), {"method": method, "data": info, "fingerprint": "f" * 64}, model)
    section = {"gate": gate, "device": "cpu", "precision": "32-true", "batch_size": 16}
    params = load(write_params(folder / "params.yaml", refine=section))
    synthesize(params, "refine", model=model, source=data, out=out, quarantine=folder / "no")
    origin: dict[str, Any] = read_json(out / "manifest.json")["origin"]
    return origin


@pytest.mark.parametrize(
    ("annotations", "gate"), [(("boxes",), "edge_consistency"), (("mask",), "mask_consistency")], ids=["boxes", "mask"]
)
def test_moved_pixels_are_caught(
    tmp_path: Path, annotations: tuple[str, ...], gate: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A translator that says it moves no pixels, and does."""
    data = source(tmp_path / "data", *annotations)
    with pytest.raises(DataError, match=r"rejected all 60 images.* not where they were|moved what it should leave"):
        run(tmp_path, data, ["near_duplicates"], right=3)
    assert f"{gate} was added: records carry {annotations[0]}, and made says" in capsys.readouterr().out


@pytest.mark.parametrize("options", [{"contrast": -0.5}, {"right": 1}], ids=["colours", "tolerance"])
def test_colours_may_change(tmp_path: Path, options: dict[str, Any]) -> None:
    origin = run(tmp_path, source(tmp_path / "data", "boxes", "mask", "caption"), ["near_duplicates"], **options)
    assert list(origin["gates"]) == ["near_duplicates", "edge_consistency", "mask_consistency"]
    assert origin["gates"]["edge_consistency"]["for"] == ["boxes"]
    assert origin["gates"]["mask_consistency"]["for"] == ["mask"]
    card = (tmp_path / "out" / "README.md").read_text()
    assert "- gate: near_duplicates (threshold 0." in card
    assert "% of the images pass; it checks that boxes still fit" in card
    for name in ("edge_consistency", "mask_consistency"):
        assert origin["gates"][name]["share"] > 0.9
        assert 0 < origin["gates"][name]["thresholds"]["threshold"] < 1


def test_most_images_moved_is_a_warning() -> None:
    with pytest.warns(AdaptganWarning, match="says that it moves no pixels, and edge_consistency rejects 60%"):
        warn_of({"edge_consistency": {"share": 0.4, "for": ["boxes"]}, "near_duplicates": {"share": 0.1}})
    warn_of({"edge_consistency": {"share": 0.6, "for": ["boxes"]}})


def test_who_says_so_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="moves pixels"):
        run(tmp_path, source(tmp_path / "data", "boxes"), ["near_duplicates"], right=3, rightly=True)


def test_when_nothing_is_added(tmp_path: Path) -> None:
    """No gate at all, records without places, or the gate itself with options of its own."""
    boxed, plain = source(tmp_path / "boxed", "boxes"), source(tmp_path / "plain", "caption")
    cases: list[tuple[Path, list[Any], list[str]]] = [
        (boxed, [], []),
        (plain, ["near_duplicates"], ["near_duplicates"]),
        (boxed, [{"name": "edge_consistency", "threshold": -100}], ["edge_consistency"]),
    ]
    for i, (data, gate, expected) in enumerate(cases):
        (tmp_path / str(i)).mkdir()
        origin = run(tmp_path / str(i), data, gate, right=3)
        assert list(origin["gates"]) == expected
        assert origin["kept"] == N


def test_counts_thresholds_and_quarantine(tmp_path: Path) -> None:
    data = source(tmp_path / "data")
    gates = [{"name": "edge_consistency"}, {"name": "distance_to_source", "smallest": 0.1}, "near_duplicates"]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        origin = run(tmp_path, data, gates, contrast=0.6, blots=True)
    assert any("edge_consistency rejects 100% of the class 'class 0' and 0% of the oth" in str(w.message) for w in told)
    rejected = list(iter_records(tmp_path / "no"))
    kept = list(iter_records(tmp_path / "out"))
    assert origin["kept"] == len(kept) and origin["quarantined"] == len(rejected)
    for name, entry in origin["gates"].items():
        mine = [record for record in rejected if name in record.provenance["refused_by"]]
        assert (entry["passed"], entry["rejected"]) == (N - len(mine), len(mine))
        assert entry["share"] == pytest.approx(1 - len(mine) / N, abs=1e-6)
        labels = [record.label for record in mine]
        assert entry["by_class"] == {f"class {k}": pytest.approx(labels.count(k) / 20, abs=1e-6) for k in range(3)}
    assert origin["gates"]["edge_consistency"]["by_class"]["class 0"] == 1
    assert origin["gates"]["distance_to_source"]["thresholds"]["smallest"] == 0.1
    for record in rejected:
        reasons = record.provenance["reason"].split("; ")
        assert len(reasons) == len(record.provenance["refused_by"])
        assert set(record.provenance["gate"]) == set(origin["gates"])
    assert all("refused_by" not in record.provenance for record in kept)
    results = read_json(next((scratch() / "stages").glob("synthesize*.json")))["results"]
    assert results["gates"]["near_duplicates"].keys() == {"share", "thresholds"}


def test_the_same_gate_twice(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="stands twice"):
        run(tmp_path, source(tmp_path / "data"), ["near_duplicates", {"name": "near_duplicates", "threshold": 0.1}])


def test_the_sample_is_the_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thresholds depend on the seed and the data alone: not on batches, nor on when they are asked for."""
    from adaptgan.data.dataset import ShardDataset
    from adaptgan.data.gates import NearDuplicates
    from adaptgan.stages import judged

    data = ShardDataset(source(tmp_path / "data"))
    monkeypatch.setattr(judged, "CALIBRATION", 20)

    def thresholds(seed: int) -> dict[str, float]:
        method = Made()
        method.info = data.info
        gate = NearDuplicates(quantile=0.5)
        return judged.calibrated([gate], data, method, seed, torch.device("cpu"))["near_duplicates"]

    assert thresholds(1) == thresholds(1)
    assert len({thresholds(seed)["threshold"] for seed in range(4)}) > 1
