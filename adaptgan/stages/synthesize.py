"""The synthesize stage: translate every source image, keep what passes the gate, quarantine the rest."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from adaptgan.console import track
from adaptgan.data.dataset import ShardDataset
from adaptgan.data.images import to_float, to_uint8
from adaptgan.data.records import Record
from adaptgan.data.shards import ShardWriter, iter_records
from adaptgan.errors import DataError, ParamsError
from adaptgan.files import staged
from adaptgan.methods.base import Guard, Method, Translator
from adaptgan.models import load_model
from adaptgan.params import Params, SynthesizeSection
from adaptgan.plugins import components
from adaptgan.stages.base import Stage
from adaptgan.training.devices import make_fabric, pick_device, pick_precision
from adaptgan.training.seeding import derive, seed_all

PLACES = {"boxes", "bboxes", "bbox", "objects", "keypoints", "mask", "masks", "segmentation", "landmarks", "values"}
"""Annotations that say where something is in the image, or what was measured on it."""


def synthesize(
    params: Params,
    section: str,
    *,
    model: Path,
    source: Path,
    out: Path,
    guard: Path | None = None,
    quarantine: Path | None = None,
) -> None:
    """Make the adapted data set.

    Args:
        params: the parsed params.yaml.
        section: its synthesize section, `refine`.
        model: a trained translator.
        source: the data set to translate; labels and annotations are carried over.
        out: the adapted data set.
        guard: the frozen classifier that gates ask.
        quarantine: where rejected images go, each with its reason; they are dropped when it is not given.

    Raises:
        AdaptganError: see the message.
    """
    options = params.section(section, SynthesizeSection)
    registry = components()
    gates = [registry.resolve("gate", gate, f"{section}.gate[{i}]") for i, gate in enumerate(options.gate)]
    device = pick_device(options.device)
    precision = pick_precision(options.precision, device)
    stage = Stage(
        "synthesize",
        section,
        {**options.model_dump(mode="json"), "gate": gates},
        {"model": model, "source": source, **({"guard": guard} if guard else {})},
        {"out": out, **({"quarantine": quarantine} if quarantine else {})},
        seed=params.seed,
        tracking=params.pipeline.tracking,
    )
    with stage.running(), torch.inference_mode():
        translator = load_model(model, device)
        if not isinstance(translator, Translator):
            raise ParamsError(f"{model}: {translator.card['method']['name']!r} cannot translate images.")
        data = ShardDataset(source)
        _check_shapes(translator, data)
        frozen = Guard(load_model(guard, device) if guard else None)
        judges = [registry.build("gate", gate, f"{section}.gate", [data.info, frozen]) for gate in gates]
        fabric = make_fabric(device, precision)
        refined = _translate(data, translator, judges, options.batch_size, params.seed, device, fabric)
        counts = _write(refined, data, translator, out, quarantine, options.shard_size, frozen)
        stage.results = {name: value for name, value in counts.items() if name != "reasons"}


def _translate(
    data: ShardDataset,
    translator: Any,
    judges: list[Any],
    batch_size: int,
    seed: int,
    device: torch.device,
    fabric: Any,
) -> Iterator[tuple[Record, str]]:
    """Every record with its new image, and why it is rejected (empty when it is kept)."""
    records = iter_records(data.folder)
    for start in track(range(0, len(data), batch_size), "refining"):
        indices = range(start, min(start + batch_size, len(data)))
        before = to_float(torch.from_numpy(data.images_NCHW[start : indices.stop].copy()).to(device))
        seeds = torch.tensor([derive(seed, "synthesize", data.keys[i]) for i in indices], device=device)
        seed_all(seed, "synthesize", start)
        with fabric.autocast():
            after = translator.translate(before, seeds).float().clamp(-1, 1)
            images_uint8 = to_uint8(after)
            # Judge what will be stored: the rounded image, not the float one.
            stored = to_float(images_uint8)
            labels = torch.from_numpy(data.labels_N[start : indices.stop]).to(device) if data.has_labels else None
            verdicts = [judge(before, stored, labels) for judge in judges]
        arrays = images_uint8.permute(0, 2, 3, 1).cpu().numpy()
        for row, index in enumerate(indices):
            record = next(records)
            assert record.key == data.keys[index]
            _check_annotations(record, translator)
            gate: dict[str, Any] = {}
            reasons = []
            for verdict in verdicts:
                gate.update(verdict.scores[row])
                if not verdict.passed_N[row]:
                    reasons.append(verdict.reason[row])
            provenance = {
                **record.provenance,
                "source_key": record.key,
                "source_sha256": hashlib.sha256(record.image.tobytes()).hexdigest(),
                "model": translator.card["fingerprint"],
                "seed": seed,
                "gate": gate,
            }
            if reasons:
                provenance["reason"] = "; ".join(reasons)
            image = arrays[row, :, :, 0] if arrays.shape[3] == 1 else arrays[row]
            yield Record(record.key, image, record.label, record.annotations, provenance), "; ".join(reasons)


def _write(
    refined: Iterator[tuple[Record, str]],
    data: ShardDataset,
    translator: Method,
    out: Path,
    quarantine: Path | None,
    shard_size: int,
    guard: Guard,
) -> dict[str, Any]:
    origin: dict[str, Any] = {
        "model": translator.card["fingerprint"],
        "guard": guard.model.card["fingerprint"] if guard.model else None,
        "source": data.digest,
    }
    reasons: Counter[str] = Counter()
    kept = 0
    with ExitStack() as stack:

        def writer(folder: Path) -> ShardWriter:
            place = stack.enter_context(staged(folder))
            shards = ShardWriter(place, data.classes, shard_size=shard_size, origin=origin, image=data.manifest.image)
            return stack.enter_context(shards)

        good = writer(out)
        bad = writer(quarantine) if quarantine is not None else None
        for record, reason in refined:
            if not reason:
                good.write(record)
                kept += 1
                continue
            reasons[reason] += 1
            if bad is not None:
                bad.write(record)
        if not kept:
            raise DataError(
                f"The gate rejected all {len(data)} images, most often: "
                f"{reasons.most_common(1)[0][0]!r}. The translator has lost the labels: give it more "
                "self-regularization or a semantic term, or train it longer."
            )
        counts = {
            "kept": kept,
            "quarantined": len(data) - kept,
            "agreement_before_gate": round(kept / len(data), 6),
            "reasons": dict(reasons.most_common(20)),
        }
        for shards in (good, bad):
            if shards is not None:
                shards.origin.update(counts)
    return counts


def _check_annotations(record: Record, translator: Method) -> None:
    """Refuse to carry over what a translator that moves pixels would make wrong."""
    if translator.moves_pixels and (places := sorted(PLACES & record.annotations.keys())):
        raise DataError(
            f"Record {record.key!r} is annotated with {places}, and {translator.card['method']['name']!r} as "
            "configured moves pixels (its `jitter`), so the annotations would no longer fit. Train it with "
            "`jitter: none`."
        )


def _check_shapes(translator: Method, data: ShardDataset) -> None:
    mine, theirs = translator.info, data.info
    if mine.channels != theirs.channels:
        raise DataError(
            f"{data.folder} has {theirs.channels} channel(s), the translator was trained on {mine.channels}. "
            "Ingest with the same `mode`."
        )
