"""The synthesize stage: a data set translated, or made from noise; what fails the gate goes to quarantine."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from adaptgan.data.dataset import ShardDataset
from adaptgan.data.encoding import Encoded, encode
from adaptgan.data.manifest import ImageFormat
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
from adaptgan.stages.geometry import missing_checks, print_added
from adaptgan.stages.judged import calibrated, thresholds_of
from adaptgan.stages.overlap import Behind, Unfinished, spare_threads
from adaptgan.stages.ranks import Ranks, Records
from adaptgan.stages.tally import Tally, headline, warn_of
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
        source: the data set to translate; labels and annotations are carried over, paired images are not: they were
            what another translator should make. Without it, images are made from noise: `count` of them, of the classes
            asked for.
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
    fabric = make_fabric(device, precision)
    device = fabric.device
    stage = Stage(
        "synthesize",
        section,
        {**options.model_dump(mode="json"), "gate": gates},
        {role: path for role, path in inputs.items() if path is not None},
        {"out": out, **({"quarantine": quarantine} if quarantine else {})},
        seed=params.seed,
        tracking=params.pipeline.tracking,
        rank=fabric.global_rank,
    )
    with stage.running(), Ranks(fabric).together() as ranks, torch.inference_mode():
        network = load_model(model, device)
        frozen = Guard(load_model(guard, device) if guard else None)
        origin: dict[str, Any] = {
            "model": network.card["fingerprint"],
            "guard": frozen.model.card["fingerprint"] if frozen.model else None,
        }

        def judges(info: DataInfo, added: Iterable[str] = ()) -> list[Any]:
            return [registry.build("gate", gate, f"{section}.gate", [info, frozen]) for gate in [*gates, *added]]

        settings: tuple[Any, ...] = (ranks, options.batch_size, params.seed, device, fabric)
        if source is not None:
            data = _to_translate(section, options, model, network, source)
            added = missing_checks(gates, data, network)
            if ranks.rank == 0:
                print_added(added, network)
            asked = judges(data.info, added)
            with fabric.autocast():
                thresholds = calibrated(asked, data, network, params.seed, device)
            batches = translated.translated(data, network, options.to, asked, *settings)
            wanted: Callable[[Iterable[tuple[Encoded, str]]], Iterable[tuple[Encoded, str]]] = iter
            total = len(data)
            image = translated.image_format(network, data)
            tally = Tally(thresholds, data.classes, added)
            product = Product(data.classes, image, origin | {"source": data.digest}, translated.REMEDY, tally)
        else:
            info = _made(model, network)
            todo = sampled.plan(section, options, network, frozen)
            asked = judges(info)
            quota = sampled.Quota(todo)
            batches = sampled.sampled(todo, quota, network, frozen, asked, *settings)
            wanted = quota.wanted
            total = todo.tries
            if options.to is not None:
                raise ParamsError(
                    f"{section}.to: this is for translators; with `--from DIR`, a data set is translated."
                )
            image = ImageFormat(height=info.height, width=info.width, mode="L" if info.channels == 1 else "RGB")
            noise = {"seed": params.seed, "truncation": todo.truncation, "labels": todo.labelled}
            tally = Tally(thresholds_of(asked), todo.classes)
            product = Product(todo.classes, image, origin | {"noise": noise}, sampled.REMEDY, tally)

        def put_in_order(own: Iterator[Records]) -> dict[str, Any]:
            merged = ranks.merged(own, math.ceil(total / options.batch_size))
            return _write(wanted(chain.from_iterable(merged)), product, out, quarantine, options.shard_size)

        counts = _finish(batches, ranks, put_in_order, spare_threads(device))
        if ranks.rank == 0:
            stage.results = headline(counts)
            warn_of(counts["gates"])


def _finish(
    batches: Generator[Unfinished, None, None],
    ranks: Ranks,
    put_in_order: Callable[[Iterator[Records]], dict[str, Any]],
    threads: int,
) -> dict[str, Any]:
    """Go through the batches of this rank, whatever comes after the networks behind the networks' back."""

    def consume(own: Iterator[Records]) -> dict[str, Any]:
        if ranks.rank == 0:
            return put_in_order(own)
        ranks.send(own)
        return {}

    with closing(batches), Behind(_encoded, consume, threads, ranks.give_up) as behind:
        for batch in batches:
            ranks.check()
            if not behind.put(batch):
                break
    return behind.result


def _encoded(batch: Unfinished) -> Records:
    return [(encode(record), reason) for record, reason in batch()]


@dataclass(frozen=True)
class Product:
    """What a new data set is.

    Attributes:
        classes: class names.
        image: the shape of all images.
        origin: where it comes from.
        remedy: what to do when the gate lets nothing through.
        tally: counts what each gate lets through.
    """

    classes: Sequence[str]
    image: ImageFormat | None
    origin: dict[str, Any] = field(default_factory=dict)
    remedy: str = ""
    tally: Tally = field(default_factory=Tally)


def _write(
    records: Iterable[tuple[Encoded, str]], product: Product, out: Path, quarantine: Path | None, shard_size: int
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
            product.tally.see(record.label, record.provenance)
            if not reason:
                good.write_encoded(record)
                kept += 1
                continue
            reasons[reason] += 1
            if bad is not None:
                bad.write_encoded(record)
        made = kept + reasons.total()
        if not kept:
            raise DataError(
                f"The gate rejected all {made} images, most often: {reasons.most_common(1)[0][0]!r}. {product.remedy}"
            )
        counts: dict[str, Any] = {
            "kept": kept,
            "quarantined": made - kept,
            "agreement_before_gate": round(kept / made, 6),
            "reasons": dict(reasons.most_common(20)),
            "gates": product.tally.gates(),
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
