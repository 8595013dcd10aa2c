"""The fidelity stage: squares, their dimmed translations, and a judge that reads rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from adaptgan.data.dataset import ShardDataset
from adaptgan.data.images import decode_png
from adaptgan.data.masks import encode
from adaptgan.data.records import Record
from adaptgan.data.shards import ShardWriter
from adaptgan.errors import AdaptganError, DataError, ParamsError
from adaptgan.files import read_json, staged
from adaptgan.metrics.fidelity import compared
from adaptgan.metrics.kid import KID
from adaptgan.metrics.spaces import PixelPCA, scale_to_unit
from adaptgan.params import load
from adaptgan.stages.environment import environment
from adaptgan.stages.fidelity import fidelity
from tests.conftest import write_params
from tests.evaluated import draw, predictions, train_model, write_set

COUNT = 40


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Labelled truth; translations of most of it, shuffled, of which some kept the label and two have no truth."""
    labels = np.arange(COUNT) % 3
    truth = draw(labels, 150, 10, 0)
    write_set(tmp_path / "truth", truth, labels, prefix="t")
    rng = np.random.default_rng(1)
    order = rng.permutation(COUNT)[:30]
    made = truth[order] * 0.8 + rng.normal(10, 5, (30, 12, 12))
    made[:6] = made[6:12]  # whose labels are others
    history = [{"source_key": f"t{i:04d}"} for i in order[:-2]] + [{"source_key": "elsewhere"}] * 2
    images = made.clip(0, 255).astype(np.uint8)
    write_set(tmp_path / "made", images, labels[order], prefix="m", provenance=history)
    np.save(tmp_path / "order.npy", order)
    write_params(tmp_path / "params.yaml", seed=3)
    return tmp_path


def run(project: Path, *overrides: str, **paths: str) -> dict[str, Any]:
    given: dict[str, Any] = {
        role: project / name for role, name in ({"made": "made", "truth": "truth"} | paths).items()
    }
    return fidelity(
        load(project / "params.yaml", overrides), out=project / "fidelity.json", plots=project / "plots", **given
    )


def matched(project: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Translations, their truth and their labels, by the shuffling that made them."""
    order = np.load(project / "order.npy")[:-2]
    made, truth = ShardDataset(project / "made"), ShardDataset(project / "truth")
    return made.images_NCHW[:28], truth.images_NCHW[order], truth.labels_N[order]


def test_pairs_are_found_by_where_they_came_from(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run(project)
    made, truth, _ = matched(project)
    row = result["rows"]["made"]
    for name, values in compared(made, truth).items():
        assert values is not None and row[name] == pytest.approx(values.mean())
    assert row["l1"] == pytest.approx(np.abs(made / 255 - truth / 255).mean(), abs=1e-6)
    space = PixelPCA(truth)
    reference, other = scale_to_unit(space(truth), space(made))
    assert row["kid"] == pytest.approx(KID()(other, reference, 3)["kid"])
    assert (result["images"], result["missing"], result["unknown"]) == (28, COUNT - 28, 2)
    assert (result["truth"], result["space"], set(result["rows"])) == ("images", "pixels", {"made", "truth"})
    assert read_json(project / "fidelity.json") == result
    out = capsys.readouterr().out
    assert all(text in out for text in ("psnr", "made", "28 pairs", "12 records of the truth", "2 translations"))


def test_a_judge_reads_both(project: Path) -> None:
    labels = np.arange(60) % 3
    train_model(project / "judge", "judge", draw(labels, 150, 10, 7), labels, source=project / "truth", steps=30)
    result = run(project, judge="judge")
    made, truth, right = matched(project)
    for name, images in (("made", made), ("truth", truth)):
        share = float((predictions(project / "judge", images[:, 0]) == right).mean())
        assert result["rows"][name]["accuracy"] == pytest.approx(share)
        assert result["rows"][name]["interval"]["low"] < share <= result["rows"][name]["interval"]["high"]
    assert result["rows"]["made"]["accuracy"] < 0.95 < result["rows"]["truth"]["accuracy"]
    assert result["space"] == "model"
    bare = write_set(project / "bare", ShardDataset(project / "truth").images_NCHW[:, 0], None, prefix="t")
    again = fidelity(
        load(project / "params.yaml"), made=project / "made", truth=bare, judge=project / "judge", out=project / "x"
    )
    with pytest.raises(DataError, match="has no labels"):
        run(project, made="bare", truth="bare", judge="judge")
    assert again["rows"] == result["rows"]  # the translations carry the labels


def test_starting_images_are_a_baseline(project: Path) -> None:
    truth = ShardDataset(project / "truth")
    box = Image.Resampling.BOX
    small = np.stack([np.asarray(Image.fromarray(one[0]).resize((6, 6), box)) for one in truth.images_NCHW])
    write_set(project / "small", small, truth.labels_N, prefix="t")
    rows = run(project, start="small")["rows"]
    order = np.load(project / "order.npy")[:-2]
    wanted = truth.images_NCHW[order]
    for name, method in (("bicubic", Image.Resampling.BICUBIC), ("nearest", Image.Resampling.NEAREST)):
        large = np.stack([np.asarray(Image.fromarray(small[i]).resize((12, 12), method)) for i in order])[:, None]
        expected = compared(large, wanted)
        assert rows[name]["psnr"] == pytest.approx(expected["psnr"].mean(), abs=0.02), name
    assert set(rows) == {"made", "bicubic", "nearest", "truth"}
    sheet = decode_png((project / "plots/pairs.png").read_bytes())
    assert sheet.shape == ((10 * 13 - 1) * 8, (4 * 13 - 1) * 8)  # nearest, bicubic, made, truth
    assert np.array_equal(sheet[: 12 * 8 : 8, 39 * 8 :: 8][:, :12], wanted[0, 0])
    copies = run(project, "fidelity.rows=3", start="truth")["rows"]["input"]
    assert copies["l1"] == 0 and copies["psnr"] == pytest.approx(58.92, abs=0.01) and copies["ssim"] == 1
    assert decode_png((project / "plots/pairs.png").read_bytes()).shape == ((3 * 13 - 1) * 8, (3 * 13 - 1) * 8)


def write_pairs(folder: Path, count: int, colour: bool) -> None:
    """Images that are all grey, whose pairs hold a square, and its mask."""
    rng = np.random.default_rng(0)
    with staged(folder) as out, ShardWriter(out, ()) as writer:
        for number in range(count):
            mask = np.zeros((12, 12), np.uint8)
            top, left = rng.integers(0, 7, 2)
            mask[top : top + 5, left : left + 5] = 1
            image = np.full((12, 12), 99, np.uint8)
            other = np.where(mask, 200, 30).astype(np.uint8)
            pair = np.repeat(other[:, :, None], 3, 2) if colour else other
            writer.write(
                Record(f"p{number:03d}", image, None, {"mask": encode(mask, ("ground", "square"))}, paired=pair)
            )


def test_paired_images_are_the_truth(project: Path) -> None:
    write_pairs(project / "pairs", 20, colour=True)
    pairs = ShardDataset(project / "pairs")
    made = np.moveaxis(pairs.paired_NCHW, 1, 3) // 2
    write_set(project / "drawn", made, None, prefix="x", provenance=[{"source_key": key} for key in pairs.keys])
    result = run(project, made="drawn", truth="pairs", start="pairs")
    assert result["truth"] == "paired" and result["images"] == 20
    assert result["rows"]["made"]["l1"] == pytest.approx(np.abs(made / 255 - made * 2 / 255).mean(), abs=1e-3)
    expected = np.abs(99 / 255 - pairs.paired_NCHW / 255).mean()
    assert result["rows"]["input"]["l1"] == pytest.approx(expected, abs=1e-6)  # grey beside colour


class Threshold:
    """Says that a pixel above the middle is square."""

    def __init__(self, info: Any) -> None:
        self.info, self.card = info, {"method": {"name": "threshold"}}

    def predict(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        bright = (images_NCHW[:, 0] > 0).float()
        return torch.stack([1 - bright, bright], 1)

    def features(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        return images_NCHW.flatten(1)


def test_a_segmenter_reads_masks(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pairs(project / "pairs", 20, colour=False)
    pairs = ShardDataset(project / "pairs")
    made = pairs.paired_NCHW[:, 0].copy()
    made[:, :6] = 0  # the upper half is lost
    info = replace(pairs.info_for("segmentation"), paired=0)
    monkeypatch.setattr("adaptgan.stages.fidelity_judge.load_model", lambda *_: Threshold(info))
    (project / "judge").mkdir()
    history = [{"source_key": key} for key in pairs.keys]
    write_set(project / "drawn", made, None, prefix="x", provenance=history)
    rows = run(project, made="drawn", truth="pairs", judge="judge")["rows"]
    truth = pairs.targets("segmentation")
    read = (made > 127).astype(int)
    ious = [((read == k) & (truth == k)).sum() / ((read == k) | (truth == k)).sum() for k in (0, 1)]
    assert rows["made"]["mean_iou"] == pytest.approx(np.mean(ious))
    assert rows["made"]["pixel_accuracy"] == pytest.approx((read == truth).mean())
    assert rows["truth"] == {"pixel_accuracy": 1.0, "mean_iou": 1.0}


def test_borders_and_luma(project: Path) -> None:
    made, truth, _ = matched(project)
    found = run(project, "fidelity.border=2", "fidelity.luma=true")["rows"]["made"]
    inside = np.abs(made / 255 - truth / 255)[:, :, 2:-2, 2:-2].mean()
    assert found["l1"] == pytest.approx(inside * 219 / 255, abs=1e-6)
    assert found["ssim"] is None  # 8 pixels are too few for the window


def test_what_does_not_fit_is_named(project: Path) -> None:
    labels = np.arange(20) % 3
    write_set(project / "other", draw(labels, 90, 9, 0), labels, prefix="z")
    write_set(project / "wide", np.zeros((20, 12, 16), np.uint8), labels, prefix="t")
    with pytest.raises(DataError, match="none of its records has a key.*source_key"):
        run(project, made="other")
    with pytest.raises(DataError, match=r"--made .*\(1, 12, 16\).*\(1, 12, 12\)"):
        run(project, made="wide")
    with pytest.raises(DataError, match=r"--input .* lacks 28 of the 28"):
        run(project, start="other")
    write_set(project / "all", np.zeros((COUNT, 12, 16), np.uint8), None, prefix="t")
    with pytest.raises(DataError, match=r"--input .*\(1, 12, 16\).*Leave --input out"):
        run(project, start="all")
    train_model(project / "judge", "judge", draw(labels, 90, 9, 0), labels, source=project / "other", steps=1)
    write_set(project / "named", ShardDataset(project / "other").images_NCHW[:, 0], labels, prefix="n", classes="xyz")
    with pytest.raises(DataError, match=r"knows the classes a, b, c; .*has x, y, z"):
        run(project, made="named", truth="named", judge="judge")
    mark = read_json(project / "judge/model.json")["fingerprint"]
    write_set(project / "guarded", draw(labels, 90, 9, 0), labels, prefix="t", origin={"guard": mark})
    with pytest.raises(AdaptganError, match="also the gate's guard"):
        run(project, made="guarded", judge="judge")
    for override, expected in (
        ("fidelity.metrics=[inception_score]", "inception_score is measured on class probabilities"),
        ("fidelity.border=6", "border: 6 leaves nothing"),
        ("fidelity.bordr=6", "'border'"),
    ):
        with pytest.raises(ParamsError, match=expected):
            run(project, override)


def test_the_command(project: Path, run_cli: Callable[..., tuple[int, str, str]], monkeypatch: Any) -> None:
    monkeypatch.chdir(project)
    pair = ["--made", "made", "--truth", "truth"]
    code, out, err = run_cli("fidelity", *pair, "--input", "truth", "--plots", "plots")
    assert code == 0, err
    assert "input" in out
    assert set(read_json(Path("reports/fidelity.json"))["rows"]) == {"made", "input", "truth"}
    assert (project / "plots/pairs.png").is_file()
    code, _, err = run_cli("fidelity", "other", *pair)
    assert code == 2 and "no section 'other'" in err
    write_params(Path("params.yaml"), close={"metrics": []})
    code, _, err = run_cli("fidelity", "close", *pair)
    assert code == 0, err
    assert "kid" not in read_json(Path("reports/fidelity.json"))["rows"]["made"]


def test_the_environment_knows_the_section(tmp_path: Path) -> None:
    params = write_params(tmp_path / "params.yaml", fidelity={"border": 4}, mine={"metrics": ["fid"]})
    environment(load(params), out=tmp_path / "environment")
    used = {name: read_json(tmp_path / f"environment/{name}.json")["components"] for name in ("fidelity", "mine")}
    assert (set(used["fidelity"]), set(used["mine"])) == ({"metric/kid"}, {"metric/fid"})
    params = write_params(tmp_path / "params.yaml", fidelity={"metrics": ["kdi"]})
    with pytest.raises(ParamsError, match=r"fidelity\.metrics\[0\].*kdi"):
        environment(load(params), out=tmp_path / "environment")
