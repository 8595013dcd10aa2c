"""`ingest`: bring a data set in as shards; corrupt images go to quarantine, anything else wrong stops it."""

from __future__ import annotations

import heapq
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from adaptgan.console import track
from adaptgan.data.manifest import NAME, Manifest
from adaptgan.data.randomness import stream_key
from adaptgan.data.records import Record
from adaptgan.data.shards import ShardWriter
from adaptgan.data.sources.base import Corrupt, Source
from adaptgan.errors import DataError
from adaptgan.files import scratch, staged, write_atomic
from adaptgan.params import IngestSection, Params
from adaptgan.plugins import components, version_of
from adaptgan.stages.base import Stage
from adaptgan.stages.fitting import Fitter


def ingest(params: Params, section: str, out: Path, split: str = "train") -> Stage:
    """Read a section's data set and write it to `out` as shards.

    Args:
        params: the whole params.yaml.
        section: the section to read, `source` or `target`.
        out: folder to write; an earlier data set there is replaced at the end, and only if all went well.
        split: which part of the data set, where it has parts.

    Raises:
        DataError: nothing to read, images of mixed sizes or modes, too many corrupt ones, labels that make no sense.
        ParamsError: the section is missing or wrong.
    """
    options = params.section(section, IngestSection)
    config = components().resolve("dataset", options.dataset, f"{section}.dataset")
    resolved = {**options.model_dump(mode="json"), "dataset": config}
    title = section if split == "train" else f"{section}:{split}"  # two parts of one data set are two stages
    stage = Stage("ingest", title, resolved, outputs={"out": out}, seed=params.seed, tracking=params.pipeline.tracking)
    _refuse_foreign(out)
    with stage.running():
        source: Source = components().build("dataset", config, f"{section}.dataset")
        records = source.records(split, params.seed)
        with (
            staged(out) as folder,
            ShardWriter(folder, source.classes, options.labels, options.shard_size) as writer,
        ):
            inflow = Inflow(section, options)
            total = getattr(source, "total", None)
            total = min(total, options.limit) if total and options.limit else total
            good = track(inflow.good(records), f"ingest {section}", total)
            if options.per_class is not None:
                good = iter(drawn(good, options.per_class, source.classes, params.seed, section))
            for record in good:
                writer.write(record)
            inflow.finish(inflow.taken)
            writer.origin.update(_origin(section, split, params.seed, config, options, inflow))
        stage.results.update(_results(writer.manifest, inflow))
    return stage


_CHOICES = ("size", "resample", "mode", "paired_mode", "limit", "per_class")
"""Options that decide which records come and how they look; told in the manifest when set."""


class Inflow:
    """Records on their way in: converted, checked against the first, the corrupt ones set aside.

    Args:
        section: its name, for messages.
        options: its size, modes, limit and max_corrupt.
    """

    def __init__(self, section: str, options: IngestSection) -> None:
        self.section = section
        self.options = options
        self.corrupt: list[Corrupt] = []
        self.taken = 0
        self._fitted = Fitter(section, options)

    def good(self, records: Iterator[Record | Corrupt]) -> Iterator[Record]:
        """The readable records, at most `limit` of them."""
        for record in records:
            if isinstance(record, Corrupt):
                self.corrupt.append(record)
                continue
            yield self._fitted(record)
            self.taken += 1
            if self.taken == self.options.limit:
                return

    def finish(self, count: int) -> None:
        """List the corrupt images in quarantine, and judge whether they are too many.

        Raises:
            DataError: there are more than `max_corrupt`, or no good record at all.
        """
        listing = scratch() / "quarantine" / self.section / "corrupt.jsonl"
        if not self.corrupt:
            shutil.rmtree(listing.parent, ignore_errors=True)
            if count == 0:
                raise DataError(f"{self.section}: the data set gave no images.")
            return
        lines = [json.dumps({"name": item.name, "reason": item.reason}, ensure_ascii=False) for item in self.corrupt]
        write_atomic(listing, "\n".join(lines) + "\n")
        share = len(self.corrupt) / (count + len(self.corrupt))
        if share > self.options.max_corrupt or count == 0:
            shown = "; ".join(f"{item.name} ({item.reason})" for item in self.corrupt[:3])
            more = f"; and {len(self.corrupt) - 3} more" if len(self.corrupt) > 3 else ""
            raise DataError(
                f"{self.section}: {len(self.corrupt)} of {count + len(self.corrupt)} images could not be read "
                f"({share:.2%}, {self.section}.max_corrupt allows {self.options.max_corrupt:.2%}): {shown}{more}. "
                f"All are listed in {listing}. Repair or remove them, or set {self.section}.max_corrupt higher "
                "to go on without them."
            )


def drawn(records: Iterable[Record], per_class: int, classes: Sequence[str], seed: int, section: str) -> list[Record]:
    """A random `per_class` records of each class, in the order they came.

    Drawn are the records whose hash of (seed, key) is smallest, so that a draw depends on neither order nor number of
    the others, and a larger draw of the same seed contains a smaller one.

    Raises:
        DataError: a record has no label, or a class has too few.
    """
    kept: dict[int, list[tuple[int, int, Record]]] = {}
    for number, record in enumerate(records):
        if record.label is None:
            raise DataError(
                f"{section}.per_class: {per_class} records of each class are to be drawn, and {record.key} has no "
                f"label. Use a labelled data set, or set {section}.limit to take the first records instead."
            )
        heap = kept.setdefault(record.label, [])
        item = (-stream_key("per_class", seed, record.key), number, record)
        if len(heap) < per_class:
            heapq.heappush(heap, item)
        else:
            heapq.heappushpop(heap, item)  # out goes the largest hash
    counts = {name: len(kept.get(k, ())) for k, name in enumerate(classes)}
    if kept and (few := [f"{name!r} has {count}" for name, count in counts.items() if count < per_class]):
        least = min(counts.values())
        raise DataError(
            f"{section}.per_class: {per_class} records of each class are to be drawn, but class {', '.join(few)}. "
            + (f"Set {section}.per_class to {least} or less, or bring" if least else "Bring")
            + " more images of it in."
        )
    chosen = [(number, record) for heap in kept.values() for _, number, record in heap]
    return [record for _, record in sorted(chosen, key=lambda item: item[0])]


def _refuse_foreign(out: Path) -> None:
    """Never replace a folder that is not a data set: `--out` may be a typo, and the folder somebody's photos."""
    if out.is_file() or (out.is_dir() and not (out / NAME).is_file() and any(out.iterdir())):
        raise DataError(
            f"{out}: this is there already and is no data set. Choose another --out, or move it away first."
        )


def _origin(
    section: str, split: str, seed: int, config: dict[str, Any], options: IngestSection, inflow: Inflow
) -> dict[str, Any]:
    distributions = {spec.distribution for spec in components().names_in("dataset", config)} | {"adaptgan"}
    return {
        "stage": f"ingest {section}",
        "dataset": config,
        "split": split,
        "seed": seed,
        **{name: value for name in _CHOICES if (value := getattr(options, name)) is not None},
        "versions": {name: version_of(name) for name in sorted(distributions)},
        "corrupt": [{"name": item.name, "reason": item.reason} for item in inflow.corrupt],
    }


def _results(manifest: Manifest | None, inflow: Inflow) -> dict[str, Any]:
    assert manifest is not None and manifest.image is not None
    return {
        "records": manifest.count,
        "classes": len(manifest.classes),
        "labels": manifest.labels,
        "image": str(manifest.image),
        **({"paired": str(manifest.paired)} if manifest.paired else {}),
        "corrupt": len(inflow.corrupt),
        "digest": manifest.digest,
    }
