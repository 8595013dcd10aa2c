"""The README.md of a data set folder: its header makes Hugging Face `datasets` read the shards as they are."""

from __future__ import annotations

from typing import Any

import yaml

from adaptgan.data.manifest import Manifest

_NULL, _MIXED = "null", "mixed"


class FieldTypes:
    """The Arrow type that fits all records' JSON, found record by record.

    `datasets` guesses the type from the first five records alone, and fails on a later one that has a further field
    or a fraction where whole numbers came before; so the header tells it.
    """

    def __init__(self) -> None:
        self._type: Any = _NULL

    def see(self, value: dict[str, Any]) -> None:
        """Widen the type to fit one more record."""
        if not _holds(self._type, value):
            self._type = _join(self._type, _type_of(value))

    def features(self, paired: bool = False) -> list[dict[str, Any]] | None:
        """The columns of the data set in the header's notation; None when no Arrow type fits all records."""
        if _has_mixed(self._type):
            return None
        columns = [{"name": "json", **_notation(self._type)}, {"name": "png", "dtype": "image"}]
        if paired:
            columns.insert(1, {"name": "paired.png", "dtype": "image"})
        if self._type in (_NULL, {}):
            columns = columns[1:]
        return [*columns, {"name": "__key__", "dtype": "string"}, {"name": "__url__", "dtype": "string"}]


def card(manifest: Manifest, types: FieldTypes) -> str:
    """The text of README.md."""
    header: dict[str, Any] = {
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "*.tar"}]}],
    }
    if features := types.features(manifest.paired is not None):
        header["dataset_info"] = {"features": features}
    shape = str(manifest.image) if manifest.image else "no"
    files = "`<key>.json` and `<key>.png`"
    if manifest.paired:
        files += f", and `<key>.paired.png` ({manifest.paired.mode}), the same scene in the other domain"
    classes = ", ".join(manifest.classes) or "none"
    return f"""---
{yaml.safe_dump(header, sort_keys=False, allow_unicode=True).strip()}
---

# {manifest.count} {shape} images

Shards in WebDataset layout, written by adaptgan: each record is {files}.

- classes: {classes}
- labels: {manifest.labels}{_SEALED if manifest.labels == "sealed" else ""}{_gates(manifest)}

Read it with `adaptgan.load_dataset(folder)`, `datasets.load_dataset(folder)` or `webdataset`.
"""


_SEALED = " (under `sealed` in the JSON: kept for evaluation and the oracle, not for training)"


_NAMES = {str: "string", int: "int64", float: "float64", bool: "bool"}


def _gates(manifest: Manifest) -> str:
    """A line for each gate that the images have passed."""
    lines = []
    for name, entry in manifest.origin.get("gates", {}).items():
        asked = ", ".join(f"{option} {value:.3g}" for option, value in entry["thresholds"].items())
        line = f"- gate: {name}{f' ({asked})' if asked else ''} let {100 * entry['share']:.1f}% of the images pass"
        if "for" in entry:
            line += f"; it checks that {', '.join(entry['for'])} still fit"
        lines.append(f"\n{line}")
    return "".join(lines)


def _type_of(value: Any) -> Any:
    if value is None:
        return _NULL
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int64"
    if isinstance(value, float):
        return "float64"
    if isinstance(value, str):
        return "string"
    if isinstance(value, dict):
        return {str(key): _type_of(inner) for key, inner in value.items()}
    inner_type: Any = _NULL
    for inner in value:
        inner_type = _join(inner_type, _type_of(inner))
    return [inner_type]


def _holds(kind: Any, value: Any) -> bool:
    """Whether a type need not be widened for a value: nearly always so, and found faster than the value's own type."""
    name = _NAMES.get(type(value))
    if name is not None:
        return bool(kind == name)
    if isinstance(value, dict):
        return isinstance(kind, dict) and all(inner in kind and _holds(kind[inner], of) for inner, of in value.items())
    return isinstance(value, list) and isinstance(kind, list) and all(_holds(kind[0], inner) for inner in value)


def _join(a: Any, b: Any) -> Any:
    """The narrowest type that holds both; `mixed` where Arrow has none."""
    if a == b or b == _NULL:
        return a
    if a == _NULL:
        return b
    if isinstance(a, dict) and isinstance(b, dict):
        return {key: _join(a.get(key, _NULL), b.get(key, _NULL)) for key in [*a, *(key for key in b if key not in a)]}
    if isinstance(a, list) and isinstance(b, list):
        return [_join(a[0], b[0])]
    if {str(a), str(b)} == {"int64", "float64"}:
        return "float64"
    return _MIXED


def _has_mixed(kind: Any) -> bool:
    if isinstance(kind, dict):
        return any(_has_mixed(inner) for inner in kind.values())
    return _has_mixed(kind[0]) if isinstance(kind, list) else kind == _MIXED


def _notation(kind: Any) -> dict[str, Any]:
    if isinstance(kind, dict):
        return {"struct": [{"name": key, **_notation(inner)} for key, inner in kind.items()]}
    if isinstance(kind, list):
        inner = _notation(kind[0])
        return {"list": inner.get("dtype") or inner.get("struct") or inner}
    return {"dtype": kind}
