"""SRGAN is the paper's: a textbook loop, small images as Pillow makes them, annotations that grow with the images."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from adaptgan.data.batch import Batch
from adaptgan.data.dataset import ShardDataset
from adaptgan.data.images import to_uint8
from adaptgan.data.masks import decode, encode
from adaptgan.data.records import Record
from adaptgan.data.shards import ShardWriter, iter_records
from adaptgan.errors import ParamsError
from adaptgan.files import staged
from adaptgan.methods.base import Guard
from adaptgan.methods.srgan import SRGAN
from adaptgan.metrics.fidelity import compared
from adaptgan.models import load_model, save_model
from adaptgan.params import load
from adaptgan.plugins import components
from adaptgan.stages.synthesize import synthesize
from adaptgan.testing import tiny_batch, tiny_info
from adaptgan.testing.data import tiny_side
from adaptgan.training.devices import make_fabric
from adaptgan.training.engine import Engine
from adaptgan.training.seeding import seed_all
from tests.conftest import write_params

INFO = tiny_info(size=16)
STEPS = 8
CPU = torch.device("cpu")
GENERATOR = {"name": "srresnet", "scale": 2, "channels": 8, "blocks": 1}


def config(**options: Any) -> dict[str, Any]:
    discriminator = {"name": "srgan_discriminator", "channels": 4, "levels": 2, "hidden": 8}
    return {"name": "srgan", "generator": GENERATOR, "discriminator": discriminator, "pretrain": 0.5, **options}


def build(guard: Any = None, **options: Any) -> SRGAN:
    seed_all("weights")
    method: SRGAN = components().build("method", config(**options), "srgan", [INFO, Guard(guard)])
    method.info = INFO
    return method


def batch_of(step: int) -> Batch:
    return tiny_batch(INFO, 6, step=step, steps=STEPS, target=False)


def trained(method: SRGAN, steps: int = STEPS, precision: str = "32-true") -> list[dict[str, float]]:
    engine = Engine(make_fabric(CPU, precision), method.train(), steps)
    found = []
    for step in range(steps):
        seed_all("step", step)
        found.append({name: value.item() for name, value in engine.step([batch_of(step)]).items()})
    return found


def halved(images_NCHW: torch.Tensor) -> torch.Tensor:
    """Half as large by Pillow, in [-1, 1]."""
    grey = images_NCHW[:, 0].numpy()
    size = (grey.shape[2] // 2, grey.shape[1] // 2)
    small = [np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)) for image in grey]
    return torch.from_numpy(np.stack(small))[:, None].clamp(-1, 1)


def test_small_images_are_those_of_pillow() -> None:
    x = to_uint8(batch_of(0).source.images_NCHW).float() / 127.5 - 1
    found = build().shrink(x)
    assert found.shape == (6, 1, 8, 8)
    assert (127.5 * (found - halved(x))).abs().max() < 0.51
    torch.testing.assert_close(127.5 * (found + 1), (127.5 * (found + 1)).round(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_its_steps_are_those_of_a_textbook_loop(norm: str) -> None:
    """Pre-training on the pixels; then D on detached images, G on pixels and 1e-3 of the adversarial loss."""
    quick = {"lr": 2e-3}
    networks = {"discriminator": {"name": "srgan_discriminator", "channels": 4, "levels": 2, "hidden": 8, "norm": norm}}
    rates = {"optimizer": quick, "generator_optimizer": quick, "pretrain_optimizer": quick}
    method = build(**networks, **rates, adversarial_weight=0.1)
    g, d = copy.deepcopy(method.generator), copy.deepcopy(method.discriminator)
    g_optimizer, d_optimizer = (torch.optim.Adam(network.parameters(), lr=2e-3) for network in (g, d))
    bce = F.binary_cross_entropy_with_logits
    expected: list[dict[str, float]] = []
    for step in range(STEPS):
        x = batch_of(step).source.images_NCHW
        made = g(method.shrink(x))
        content = F.mse_loss(made, x)
        if step < STEPS // 2:
            g_optimizer.zero_grad()
            content.backward()
            g_optimizer.step()
            expected.append({"pretrain/content": content.item()})
            continue
        on_real, on_made = (d(x), d(made.detach())) if norm == "batch" else d(torch.cat([x, made.detach()])).chunk(2)
        real, false = bce(on_real, torch.ones_like(on_real)), bce(on_made, torch.zeros_like(on_made))
        d_optimizer.zero_grad()
        (real + false).backward()
        d_optimizer.step()
        fooled = bce(on_made := d(made), torch.ones_like(on_made))
        g_optimizer.zero_grad()
        (content + 0.1 * fooled).backward()
        g_optimizer.step()
        expected.append(
            {
                "discriminator/real": real.item(),
                "discriminator/enlarged": false.item(),
                "generator/content": content.item(),
                "generator/adversarial": 0.1 * fooled.item(),
            }
        )
    found = trained(method)
    for ours, theirs in zip(found, expected, strict=True):
        assert {name: ours[name] for name in theirs} == pytest.approx(theirs, rel=2e-3, abs=1e-4)
    assert expected[-1]["generator/content"] < 0.8 * expected[0]["pretrain/content"], "nothing was learned"
    small = method.shrink(batch_of(99).source.images_NCHW)
    torch.testing.assert_close(method.eval().translate(small), g.eval()(small).clamp(-1, 1), rtol=1e-3, atol=1e-3)


def test_defaults_are_the_papers() -> None:
    phases = components().build("method", "srgan", "srgan", [tiny_info(3, 96), Guard()]).phases()
    assert [phase.name for phase in phases] == ["pretrain", "discriminator", "generator"]
    assert [phase.scheduled(1200).start for phase in phases] == [0, 996, 996]
    assert phases[0].scheduled(1200).stop == 996
    assert {(phase.optimizer.lr, phase.optimizer.betas[0]) for phase in phases} == {(1e-4, 0.9)}


@pytest.mark.parametrize(("pretrain", "expected"), [(0.0, {"discriminator", "generator"}), (1.0, {"pretrain"})])
def test_either_part_alone(pretrain: float, expected: set[str]) -> None:
    losses = trained(build(pretrain=pretrain), 3)
    assert {name.split("/")[0] for one in losses for name in one} == expected
    if pretrain == 1:
        with pytest.raises(ParamsError, match=r"`pretrain` is 1\.0"):
            build(pretrain=1.0, semantic=1.0)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize(
    "options",
    [
        {"ema": 0.9, "discriminator": {"name": "patchgan_discriminator", "channels": 4, "depth": 1}},
        {"generator": {**GENERATOR, "norm": "none", "skip": "bicubic"}, "adversarial": "least_squares"},
    ],
)
def test_other_networks(options: dict[str, Any], precision: str) -> None:
    method = build(pretrain=0.25, **options)
    losses = trained(method, precision=precision)
    assert all(np.isfinite(list(one.values())).all() for one in losses)
    made = method.eval().translate(torch.rand(2, 1, 5, 9) * 2 - 1)
    assert made.shape == (2, 1, 10, 18) and made.dtype == torch.float32 and made.abs().max() <= 1


def test_the_guards_features_are_the_content() -> None:
    seed_all("guard")
    small = {"name": "conv_classifier", "widths": [4], "hidden": 8}
    guard = components().build("method", {"name": "supervised", "classifier": small}, "guard", [INFO]).eval()
    method = build(guard, content="guard").eval()
    batch = batch_of(0)
    x, made = batch.source.images_NCHW, method.generator(method.shrink(batch.source.images_NCHW))
    expected = F.mse_loss(guard.features(made), guard.features(x))
    torch.testing.assert_close(method.generator_loss(batch)["content"], expected)
    torch.testing.assert_close(method.pretraining_loss(batch)["content"], F.mse_loss(made, x))
    with pytest.raises(ParamsError, match="frozen classifier"):
        build(content="guard").phases()


def test_scores_are_those_of_stored_images() -> None:
    method = build(pretrain=1.0).eval()
    side = tiny_side(INFO, 10, 3)
    side.images_NCHW = to_uint8(side.images_NCHW).float() / 127.5 - 1
    truth = to_uint8(side.images_NCHW).numpy()
    small = method.shrink(side.images_NCHW)
    found = method.score(side)
    assert set(found) == {"psnr", "ssim", "bicubic_psnr", "bicubic_ssim"}
    stored = compared(to_uint8(method.translate(small)).numpy(), truth)
    for name in ("psnr", "ssim"):
        assert found[name] == pytest.approx(stored[name].mean(), abs=0.02)  # type: ignore[union-attr]
    large = [Image.fromarray(one).resize((16, 16), Image.Resampling.BICUBIC) for one in to_uint8(small)[:, 0].numpy()]
    bicubic = compared(np.stack([np.asarray(one) for one in large])[:, None], truth)["psnr"]
    assert found["bicubic_psnr"] == pytest.approx(bicubic.mean(), abs=0.05)  # type: ignore[union-attr]


def test_it_learns_to_beat_bicubic() -> None:
    generator = {**GENERATOR, "skip": "bicubic", "norm": "none"}
    method = build(pretrain=1.0, generator=generator, pretrain_optimizer={"lr": 1e-3})
    trained(method, 40)
    found = method.eval().score(tiny_side(INFO, 40, 1000))
    assert found["psnr"] > found["bicubic_psnr"] + 1


def test_sizes_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ParamsError, match=r"18×18 pixels cannot be made 4 times as small"):
        components().build("method", "srgan", "srgan", [tiny_info(size=18), Guard()])


@pytest.fixture
def annotated(tmp_path: Path) -> Path:
    """Six small images with boxes, keypoints and a mask, and a translator beside them."""
    rng = np.random.default_rng(0)
    with staged(tmp_path / "small") as out, ShardWriter(out, ("a", "b")) as writer:
        for number in range(6):
            mask = np.zeros((6, 8), np.uint8)
            mask[1:3, 2:6] = 1
            annotations = {
                "objects": {"bbox": [[2, 1, 4, 2]], "category": ["a"]},
                "keypoints": [[2.5, 1.5, 2], [5, 2, 1]],
                "mask": encode(mask, ("ground", "thing")),
                "caption": "a thing",
            }
            image = rng.integers(0, 256, (6, 8), dtype=np.uint8)
            writer.write(Record(f"r{number}", image, number % 2, annotations))
    method = build(pretrain=1.0).eval()
    with staged(tmp_path / "model") as out:
        save_model(method, {"method": config(pretrain=1.0), "data": asdict(INFO), "fingerprint": "f" * 64}, out)
    write_params(tmp_path / "params.yaml", refine={"gate": [], "precision": "32-true"})
    return tmp_path


def test_synthesize_scales_annotations_with_the_images(annotated: Path) -> None:
    synthesize(
        load(annotated / "params.yaml"),
        "refine",
        model=annotated / "model",
        source=annotated / "small",
        out=annotated / "large",
    )
    large = ShardDataset(annotated / "large")
    assert (large.info.height, large.info.width) == (12, 16)
    small = torch.from_numpy(ShardDataset(annotated / "small").images_NCHW).float() / 127.5 - 1
    made = to_uint8(load_model(annotated / "model").translate(small)).numpy()  # type: ignore[attr-defined]
    assert np.abs(made.astype(int) - large.images_NCHW).max() <= 1
    for number, record in enumerate(iter_records(annotated / "large")):
        assert record.label == number % 2 and record.provenance["source_key"] == f"r{number}"
        assert record.annotations["objects"] == {"bbox": [[4, 2, 8, 4]], "category": ["a"]}
        assert record.annotations["keypoints"] == [[5, 3, 2], [10, 4, 1]]
        assert record.annotations["caption"] == "a thing"
        mask, names = decode(record.annotations["mask"])
        expected = np.zeros((12, 16), np.uint8)
        expected[2:6, 4:12] = 1
        np.testing.assert_array_equal(mask, expected)
        assert names == ("ground", "thing")


def test_ingested_small_images_are_those_it_learned_from(
    tmp_path: Path, run_cli: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same records twice, as they are and small: `resample: bicubic` is the training's kernel."""
    monkeypatch.chdir(tmp_path)
    digits = {"dataset": "handwriting", "limit": 12}
    small = {**digits, "size": [8, 8]}
    write_params(Path("params.yaml"), large=digits, small={**small, "resample": "bicubic"}, averaged=small)
    for section in ("large", "small", "averaged"):
        code, _, err = run_cli("ingest", section, "--out", section)
        assert code == 0, err
    large, given, averaged = (ShardDataset(tmp_path / name) for name in ("large", "small", "averaged"))
    assert large.keys == given.keys
    assert given.manifest.origin["resample"] == "bicubic" and "resample" not in averaged.manifest.origin
    seed_all("weights")
    info = tiny_info()
    method = components().build("method", config(generator={**GENERATOR, "scale": 4}), "srgan", [info, Guard()])
    write_params(Path("params.yaml"), large={**digits, "resample": "bicubic"})
    code, _, err = run_cli("ingest", "large", "--out", "again")
    assert code == 2 and "there is no `size`" in err
    learned = to_uint8(method.shrink(torch.from_numpy(large.images_NCHW).float() / 127.5 - 1)).numpy().astype(int)
    assert np.abs(learned - given.images_NCHW).max() <= 1
    assert np.abs(learned - averaged.images_NCHW).max() > 10
