"""Do the images say what their captions say? Classifiers read each attribute back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from adaptgan.data.dataset import ShardDataset
from adaptgan.errors import DataError, ParamsError
from adaptgan.files import write_json
from adaptgan.models import load_model
from adaptgan.stages.inference import Reader


def judges(given: Sequence[str]) -> dict[str, Path]:
    """`ATTRIBUTE=MODEL` texts, by attribute.

    Raises:
        ParamsError: one is not of that form, or an attribute is given twice.
    """
    found: dict[str, Path] = {}
    for text in given:
        name, equals, folder = text.partition("=")
        if not (name and equals and folder):
            raise ParamsError(f"--judge {text}: expected ATTRIBUTE=MODEL, such as --judge colour=models/judge/colour.")
        if name in found:
            raise ParamsError(f"--judge {text}: a judge of {name!r} is given already.")
        found[name] = Path(folder)
    return found


def read_back(made: Path, judges: Mapping[str, Path], out: Path | None = None) -> dict[str, Any]:
    """How often each attribute of the records' `attributes` is read in their images.

    Args:
        made: a data set whose records have the annotation `attributes`, a name for each attribute.
        judges: a classifier for each attribute, whose classes are the names.
        out: a JSON file to write the result to.

    Returns:
        `images`, how many; `attributes`, the share that is read right, by attribute; `all`, the share of images in
        which everything is.

    Raises:
        DataError: records lack an attribute, or have a name for it that a judge does not know.
        ParamsError: a judge is no classifier.
    """
    data = ShardDataset(made)
    said = data.annotations("attributes", "what their images should show", "`dataset: captioned_digits`")
    right = {name: _right(data, name, said, folder) for name, folder in judges.items()}
    result = {
        "images": len(data),
        "attributes": {name: float(found_N.mean()) for name, found_N in right.items()},
        "all": float(np.logical_and.reduce(list(right.values())).mean()),
    }
    if out is not None:
        write_json(out, result)
    return result


def _right(data: ShardDataset, attribute: str, said: Sequence[Mapping[str, str]], folder: Path) -> np.ndarray:
    """Whether each image shows what is said of one attribute, bool (N,)."""
    model: Any = load_model(folder)
    if not hasattr(model, "predict"):
        raise ParamsError(f"--judge {attribute}={folder}: {model.card['method']['name']!r} is no classifier.")
    classes = model.info.classes
    for key, names in zip(data.keys, said, strict=True):
        if names.get(attribute) not in classes:
            raise DataError(
                f"{data.folder}: record {key!r} has {attribute} {names.get(attribute)!r}; the judge knows "
                f"{', '.join(classes)}. Train it with `label: {attribute}`."
            )
    expected_N = np.array([classes.index(names[attribute]) for names in said])
    matches_N: np.ndarray = Reader(model, torch.device("cpu"), 64).predictions(data.images_NCHW) == expected_N
    return matches_N
