"""The synthesize stage: a data set translated, or made from noise; what fails the gate goes to quarantine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from adaptgan.data.dataset import ShardDataset
from adaptgan.data.manifest import ImageFormat
from adaptgan.data.records import Record
from adaptgan.data.shards import ShardWriter
from adaptgan.datainfo import DataInfo
from adaptgan.errors import DataError, ParamsError
from adaptgan.files import staged
from adaptgan.methods.base import Guard, Method, Sampler, Translator
from adaptgan.models import load_model
from adaptgan.params import Params, SynthesizeSection
from adaptgan.plugins import components
from adaptgan.stages import sampled, translated
from adaptgan.stages.base import Stage
from adaptgan.training.devices import make_fabric, pick_device, pick_precision


def synthesize(
    params: Params,
    section: str,
    *,
    model: Path,
    out: Path,
    source: Path | None = None,
    guard: Path | None = None,
    quarantine: Path | None = None,
) -> None:
    """Make a training set.

    Args:
        params: the parsed params.yaml.
        section: its synthesize section, `refine`.
        model: a trained translator, or a trained generator.
        out: the new data set.
        source: the data set to translate; labels and annotations are carried over. Without it, images are made from
            noise: `count` of them, of the classes asked for.
        guard: the frozen classifier that gates ask, and `label_by_guard`.
        quarantine: where rejected images go, each with its reason; they are dropped when it is not given.

    Raises:
        AdaptganError: see the message.
    """
    options = params.section(section, SynthesizeSection)
    registry = components()
    gates = [registry.resolve("gate", gate, f"{section}.gate[{i}]") for i, gate in enumerate(options.gate)]
    device = pick_device(options.device)
    precision = pick_precision(options.precision, device)
    inputs = {"model": model, "source": source, "guard": guard}
    stage = Stage(
        "synthesize",
        section,
        {**options.model_dump(mode="json"), "gate": gates},
        {role: path for role, path in inputs.items() if path is not None},
        {"out": out, **({"quarantine": quarantine} if quarantine else {})},
        seed=params.seed,
        tracking=params.pipeline.tracking,
    )
    with stage.running(), torch.inference_mode():
        network = load_model(model, device)
        frozen = Guard(load_model(guard, device) if guard else None)
        origin: dict[str, Any] = {
            "model": network.card["fingerprint"],
            "guard": frozen.model.card["fingerprint"] if frozen.model else None,
        }
        fabric = make_fabric(device, precision)

        def judges(info: DataInfo) -> list[Any]:
            return [registry.build("gate", gate, f"{section}.gate", [info, frozen]) for gate in gates]

        settings: tuple[Any, ...] = (options.batch_size, params.seed, device, fabric)
        if source is not None:
            data = _to_translate(section, options, model, network, source)
            records = translated.translated(data, network, options.to, judges(data.info), *settings)
            image = translated.image_format(network, data)
            product = Product(data.classes, image, origin | {"source": data.digest}, translated.REMEDY)
        else:
            info = _made(model, network)
            todo = sampled.plan(section, options, network, frozen)
            records = sampled.sampled(todo, network, frozen, judges(info), *settings)
            if options.to is not None:
                raise ParamsError(
                    f"{section}.to: this is for translators; with `--from DIR`, a data set is translated."
                )
            image = ImageFormat(height=info.height, width=info.width, mode="L" if info.channels == 1 else "RGB")
            noise = {"seed": params.seed, "truncation": todo.truncation, "labels": todo.labelled}
            product = Product(todo.classes, image, origin | {"noise": noise}, sampled.REMEDY)
        counts = _write(records, product, out, quarantine, options.shard_size)
        stage.results = {name: value for name, value in counts.items() if name != "reasons"}


@dataclass(frozen=True)
class Product:
    """What a new data set is.

    Attributes:
        classes: class names.
        image: the shape of all images.
        origin: where it comes from.
        remedy: what to do when the gate lets nothing through.
    """

    classes: Sequence[str]
    image: ImageFormat | None
    origin: dict[str, Any] = field(default_factory=dict)
    remedy: str = ""


def _write(
    records: Iterator[tuple[Record, str]], product: Product, out: Path, quarantine: Path | None, shard_size: int
) -> dict[str, Any]:
    reasons: Counter[str] = Counter()
    kept = 0
    with ExitStack() as stack:

        def writer(folder: Path) -> ShardWriter:
            place = stack.enter_context(staged(folder))
            shards = ShardWriter(
                place, product.classes, shard_size=shard_size, origin=product.origin, image=product.image
            )
            return stack.enter_context(shards)

        good = writer(out)
        bad = writer(quarantine) if quarantine is not None else None
        for record, reason in records:
            if not reason:
                good.write(record)
                kept += 1
                continue
            reasons[reason] += 1
            if bad is not None:
                bad.write(record)
        made = kept + reasons.total()
        if not kept:
            raise DataError(
                f"The gate rejected all {made} images, most often: {reasons.most_common(1)[0][0]!r}. {product.remedy}"
            )
        counts = {
            "kept": kept,
            "quarantined": made - kept,
            "agreement_before_gate": round(kept / made, 6),
            "reasons": dict(reasons.most_common(20)),
        }
        for shards in (good, bad):
            if shards is not None:
                shards.origin.update(counts)
    return counts


def _to_translate(section: str, options: SynthesizeSection, model: Path, network: Method, source: Path) -> ShardDataset:
    """The data set, after a look that the model can translate it."""
    name = network.card["method"]["name"]
    if not isinstance(network, Translator):
        hint = " It makes images from noise: leave out `--from`." if isinstance(network, Sampler) else ""
        raise ParamsError(f"{model}: {name!r} cannot translate images.{hint}")
    asked = [key for key in ("count", "classes", "balance", "truncation", "label_by_guard") if getattr(options, key)]
    if asked:
        raise ParamsError(
            f"{section}.{asked[0]}: this is for images from noise; with `--from`, every image of {source} is "
            "translated, and keeps its label."
        )
    translated.check_domain(section, options.to, network)
    data = ShardDataset(source)
    translated.check_shapes(network, data)
    return data


def _made(model: Path, network: Method) -> DataInfo:
    """What images the model makes, after a look that it makes some."""
    if not isinstance(network, Sampler):
        name = network.card["method"]["name"]
        hint = " It translates a data set: give one with `--from DIR`." if isinstance(network, Translator) else ""
        raise ParamsError(f"{model}: {name!r} makes no images from noise.{hint}")
    return network.info
