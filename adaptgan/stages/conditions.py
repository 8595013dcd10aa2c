"""Annotations as a method wants them: captions as word numbers, attributes as vectors."""

from __future__ import annotations

import numpy as np

from adaptgan.data.dataset import ShardDataset
from adaptgan.errors import ComponentError, DataError
from adaptgan.methods.base import Method


def encoded_conditions(method: Method, data: ShardDataset) -> np.ndarray | None:
    """What a method makes of the annotations it has as `conditions`, (N, …); None where it has none.

    Raises:
        DataError: a record lacks one, or the method cannot encode it.
        SealedLabelsError: annotations are sealed.
        ComponentError: the method gives arrays that differ in shape or dtype.
    """
    if not method.conditions:
        return None
    columns = {name: data.annotations(name) for name in method.conditions}
    found: list[np.ndarray] = []
    for row, key in enumerate(data.keys):
        try:
            array = np.asarray(method.encode_conditions({name: column[row] for name, column in columns.items()}))
        except DataError as error:
            raise DataError(f"{data.folder}, record {key!r}: {error}") from None
        if found and (array.shape, array.dtype) != (found[0].shape, found[0].dtype):
            raise ComponentError(
                f"{type(method).__name__}.encode_conditions gave {array.dtype} {array.shape} for the record {key!r} "
                f"and {found[0].dtype} {found[0].shape} for the first; every record must be alike."
            )
        found.append(array)
    return np.stack(found)
