"""The check of a dataset: what comes out of it, and that the ingest stage takes it in."""

from __future__ import annotations

import copy
import json
import math
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from adaptgan.data.annotations import boxes, keypoints
from adaptgan.data.images import mode_of
from adaptgan.data.manifest import check_key
from adaptgan.data.masks import decode
from adaptgan.data.records import Record
from adaptgan.data.shards import ShardReader
from adaptgan.data.sources.base import Corrupt, Source
from adaptgan.errors import AdaptganError, DataError
from adaptgan.plugins import components
from adaptgan.testing.chance import chance
from adaptgan.testing.checks import check_component
from adaptgan.testing.runs import ingested, scratch_in

FEW_PIXELS = 64
"""Images of fewer pixels may be equal by chance."""


def check_dataset(
    config: Any, *, limit: int = 24, splits: Sequence[str] | None = None, section: Mapping[str, Any] | None = None
) -> Source:
    """A dataset keeps its promises: see the messages of the assertions.

    Of each split the first records are read, twice. Equal seeds give equal records, whatever the global generators did
    and whatever was read before. Keys are unique and safe as file names; images are uint8, grey or colour; all records
    have a label or none has, within the classes; annotations and provenance are plain data that JSON gives back, boxes,
    keypoints and masks fit their image, frames of a sequence are numbered. No image of `train` is in `test`. A split
    that it does not have gives a DataError. The real ingest stage takes the records in, and they come back unchanged.

    Args:
        config: its name, or `{name: …, option: …}`; give options that make it small.
        limit: how many records of each split are read.
        splits: those that it must have; when not given, whichever it has of `train` and `test`.
        section: further options of the section that ingests it, such as `{"size": [32, 32]}` for images of mixed sizes.

    Returns:
        The dataset.
    """
    name = config if isinstance(config, str) else config["name"]
    check_component("dataset", name)
    _check_unknown_split(config, name)
    wanted = splits or ("train", "test")
    readings = {split: _read(_built(config), split, limit, f"{name}, {split}", 1) for split in wanted}
    found = {split: reading for split, reading in readings.items() if isinstance(reading, Reading)}
    missing = [str(reading) for reading in readings.values() if isinstance(reading, DataError)]
    assert found and not (splits and missing), f"{name}: it gives no records: {'; '.join(missing)}"
    for split, reading in found.items():
        _check_records(reading, f"{name}, {split}")
    source = _built(config)
    for split, reading in reversed(found.items()):
        again = _read(source, split, limit, f"{name}, {split}", 2)
        assert isinstance(again, Reading) and _same(reading.records, again.records), (
            f"{name}, {split}: read again with the same seed, its records differ; draw all randomness from "
            "`adaptgan.data.sources.base.generator(seed, split, number)`"
        )
    _check_disjoint(list(found.values()), name)
    first = next(iter(found))
    _check_ingest(config, name, first, found[first], limit, section or {})
    return source


@dataclass
class Reading:
    """What a source gave of a split: records, class names, and whether that was all."""

    records: list[Record] = field(default_factory=list)
    corrupt: int = 0
    classes: tuple[str, ...] = ()
    complete: bool = False
    total: Any = None


def _built(config: Any) -> Source:
    source: Source = components().build("dataset", config, "dataset")
    return source


def _read(source: Source, split: str, limit: int, what: str, start: int) -> Reading | DataError:
    """The first records, each as it was when it came; or why there are none."""
    reading = Reading()
    given: list[Record] = []
    with chance(start):
        try:
            records = source.records(split, 0)
            flow = iter(records)
            for record in islice(flow, limit):
                if isinstance(record, Corrupt):
                    reading.corrupt += 1
                    continue
                assert isinstance(record, Record), f"{what}: expected a Record, found a {type(record).__name__}"
                given.append(record)
                reading.records.append(copy.deepcopy(record))
            reading.complete = len(given) + reading.corrupt < limit
        except DataError as error:
            return error
    assert given, f"{what}: it gives no readable record"
    reading.total, reading.classes = getattr(source, "total", None), source.classes
    kept = all(np.array_equal(one.image, other.image) for one, other in zip(given, reading.records, strict=True))
    assert kept, f"{what}: images change after they were given; their arrays share memory"
    return reading


def _check_unknown_split(config: Any, name: str) -> None:
    try:
        list(islice(_built(config).records("no-such-split", 0), 1))
    except DataError:
        return
    except Exception as error:
        raise AssertionError(
            f"{name}: a split that it does not have gives a {type(error).__name__} ({error}); raise a DataError, as "
            "`adaptgan.data.sources.base.check_split` does"
        ) from error
    raise AssertionError(f"{name}: it gives records of a split 'no-such-split'; raise a DataError (`check_split`)")


def _check_records(reading: Reading, what: str) -> None:
    classes, records = reading.classes, reading.records
    assert isinstance(classes, tuple) and all(isinstance(one, str) and one for one in classes), (
        f"{what}: `classes` must be a tuple of names, found {classes!r:.80}"
    )
    assert len(set(classes)) == len(classes), f"{what}: a class is there twice: {classes}"
    if reading.total is not None:
        count = len(records) + reading.corrupt
        right = reading.total == count if reading.complete else reading.total >= count
        assert right, (
            f"{what}: `total` says {reading.total}, and it gives {'' if reading.complete else 'at least '}{count}"
        )
    keys: set[str] = set()
    labelled = records[0].label is not None
    for record in records:
        place = f"{what}, record {record.key!r}"
        try:
            check_key(record.key)
            for image in (record.image, *(() if record.paired is None else (record.paired,))):
                mode_of(image)
        except (ValueError, AttributeError, AdaptganError) as error:
            raise AssertionError(f"{place}: {error}") from error
        assert record.key not in keys, f"{place}: the key is there twice"
        keys.add(record.key)
        assert (record.label is not None) == labelled, f"{place}: some records have a label and some have none"
        if record.label is not None:
            assert isinstance(record.label, int) and 0 <= record.label < len(classes), (
                f"{place}: label {record.label!r} is no whole number below {len(classes)}, the number of classes"
            )
        paired = record.paired is None or record.paired.shape[:2] == record.image.shape[:2]
        assert paired, f"{place}: its paired image is of another size"
        _check_plain(record.annotations, f"{place}, annotations")
        _check_plain(record.provenance, f"{place}, provenance")
        _check_annotations(record, place)
    assert labelled or not classes, f"{what}: it has classes {classes}, and its records no labels"
    _check_frames(records, what, reading.complete)


def _check_plain(notes: Any, what: str) -> None:
    assert isinstance(notes, dict), f"{what}: expected a dict, found a {type(notes).__name__}"
    try:
        again = json.loads(json.dumps(notes, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise AssertionError(f"{what} cannot be written as JSON: {error}") from error
    assert again == notes, (
        f"{what} come back from JSON as something else: use lists for tuples and texts for keys ({notes!r:.120})"
    )


def _check_annotations(record: Record, place: str) -> None:
    notes, (height, width) = record.annotations, record.image.shape[:2]
    try:
        for x, y, across, down in boxes(notes):
            meets = across >= 0 and down >= 0 and x <= width and y <= height and x + across >= 0 and y + down >= 0
            assert meets, f"{place}: the box {[x, y, across, down]} ([x, y, width, height]) lies beside the image"
        for x, y, *rest in keypoints(notes):
            assert math.isfinite(x + y) and len(rest) < 2, f"{place}: a keypoint is [x, y] or [x, y, visibility]"
        if "mask" in notes:
            shape = decode(notes["mask"])[0].shape
            assert shape == (height, width), f"{place}: its mask is {shape}, the image {(height, width)}"
    except (DataError, TypeError, ValueError) as error:
        raise AssertionError(f"{place}: {error}") from error
    numbers = notes.get("values", {})
    proper = isinstance(numbers, dict) and all(isinstance(value, float | int) for value in numbers.values())
    assert proper, f"{place}: `values` must be numbers by name, found {numbers!r:.80}"


def _check_frames(records: list[Record], what: str, complete: bool) -> None:
    """Records of a sequence are its single frames, numbered from 0."""
    sequences: dict[str, list[int]] = {}
    for record in records:
        if "sequence" in record.annotations or "frame" in record.annotations:
            sequence, frame = record.annotations.get("sequence"), record.annotations.get("frame")
            assert isinstance(sequence, str) and type(frame) is int and frame >= 0, (
                f"{what}, record {record.key!r}: a frame has `sequence`, a text, and `frame`, its number from 0; found "
                f"{sequence!r} and {frame!r}"
            )
            sequences.setdefault(sequence, []).append(frame)
    for sequence, frames in sequences.items():
        assert len(set(frames)) == len(frames), f"{what}: a frame of the sequence {sequence!r} is there twice"
        whole = sorted(frames) == list(range(len(frames)))
        assert whole or not complete, f"{what}: the sequence {sequence!r} has gaps: {sorted(frames)}"


def _check_disjoint(readings: list[Reading], name: str) -> None:
    """No image is of two splits; what is blank or has few pixels may be alike by chance."""
    place: dict[bytes, tuple[int, str]] = {}
    for number, reading in enumerate(readings):
        for record in reading.records:
            if record.image.size >= FEW_PIXELS and np.ptp(record.image):
                content = record.image.tobytes() + (b"" if record.paired is None else record.paired.tobytes())
                where, key = place.setdefault(content, (number, record.key))
                assert where == number, (
                    f"{name}: two splits share an image, {key} and {record.key}; what is tested on must not be trained "
                    "on"
                )


def _check_ingest(config: Any, name: str, split: str, reading: Reading, limit: int, section: Mapping[str, Any]) -> None:
    """By the real stage, in a scratch folder of its own."""
    with tempfile.TemporaryDirectory() as top:
        folder = Path(top)
        options = {"dataset": config, "limit": max(1, limit - reading.corrupt), "max_corrupt": 0.5, **section}
        try:
            with scratch_in(folder):
                ingested(folder, options, split)
        except AdaptganError as error:
            raise AssertionError(f"{name}: the ingest stage refuses it: {error}") from error
        reader = ShardReader(folder / "data")
        assert reader.manifest.classes == reading.classes, f"{name}: ingested, its classes differ"
        if not section:
            same = _same(reading.records, list(reader.records()))
            assert same, f"{name}: ingested and read again, its records differ"


def _same(ones: Iterable[Record], others: Iterable[Record]) -> bool:
    """Whether two lists of records are equal in everything."""
    mine, theirs = list(ones), list(others)
    return len(mine) == len(theirs) and all(
        (one.key, one.label, one.annotations, one.provenance) == (two.key, two.label, two.annotations, two.provenance)
        and np.array_equal(one.image, two.image)
        and (one.paired is None) == (two.paired is None)
        and (one.paired is None or np.array_equal(one.paired, two.paired))  # type: ignore[arg-type]
        for one, two in zip(mine, theirs, strict=True)
    )
