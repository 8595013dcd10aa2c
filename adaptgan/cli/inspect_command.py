"""`adaptgan inspect`: what a data set or a model is, in a few lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adaptgan.cli.common import AsJson

if TYPE_CHECKING:
    from adaptgan.data.shards import ShardReader

_EXAMPLES = 3


def command(
    folder: Annotated[Path, typer.Argument(help="Data set or model folder.", metavar="DATASET|MODEL")],
    as_json: AsJson = False,
) -> None:
    """Show a data set's counts, classes, size, digest, origin and examples, or a model's card."""
    from adaptgan.data.manifest import NAME
    from adaptgan.errors import DataError
    from adaptgan.files import read_json

    if (folder / NAME).is_file():
        facts = _dataset(folder)
    elif (folder / "model.json").is_file():
        facts = read_json(folder / "model.json")
    else:
        raise DataError(f"{folder}: this is neither a data set (no {NAME}) nor a model (no model.json).")
    typer.echo(json.dumps(facts, indent=1, ensure_ascii=False) if as_json else _text(facts))


def _dataset(folder: Path) -> dict[str, Any]:
    from adaptgan.data.shards import ShardReader

    reader = ShardReader(folder)
    manifest = reader.manifest
    return {
        "records": manifest.count,
        "shards": len(manifest.shards),
        "bytes": sum(shard.bytes for shard in manifest.shards),
        "image": manifest.image.model_dump() if manifest.image else None,
        "paired": manifest.paired.model_dump() if manifest.paired else None,
        "classes": list(manifest.classes),
        "labels": manifest.labels,
        "per_class": _per_class(reader),
        "digest": manifest.digest,
        "origin": manifest.origin,
        "examples": [
            {
                "key": record.key,
                "label": record.label,
                "annotations": record.annotations,
                "provenance": record.provenance,
            }
            for record in (reader.record(index) for index in range(min(_EXAMPLES, manifest.count)))
        ],
    }


def _per_class(reader: ShardReader) -> dict[str, int] | None:
    """Records of each class; None when the labels are sealed or absent."""
    if reader.sealed or reader.manifest.labels == "none":
        return None
    counts = dict.fromkeys(reader.manifest.classes, 0)
    for content in reader.contents():
        counts[reader.manifest.classes[content["label"]]] += 1
    return counts


def _text(facts: dict[str, Any]) -> str:
    width = max(len(name) for name in facts)
    lines = []
    for name, value in facts.items():
        if (
            isinstance(value, dict | list)
            and value
            and name in ("origin", "examples", "method", "training", "data", "scores")
        ):
            pairs = value.items() if isinstance(value, dict) else [("", item) for item in value]
            lines.append(name)
            lines += [f"  {key}{': ' if key else ''}{_short(inner)}" for key, inner in pairs]
        else:
            lines.append(f"{name:<{width}}  {_short(value)}")
    return "\n".join(lines)


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
