"""Finding an image's pair: in a second folder under the same name, or in the other half of the same file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np

from adaptgan.data.sources.files import EXTENSIONS
from adaptgan.errors import DataError

Direction = Literal["AtoB", "BtoA"]
"""What is made of what: from the left half the right one, or from the right half the left one."""


def partners(folder: Path, names: Iterable[str]) -> dict[str, Path]:
    """The file in `folder` for each name: of the same relative name; the ending may be another image format's.

    Raises:
        DataError: one is missing, or it is not clear which it is.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder. Set dataset.paired to the images' counterparts.")
    by_stem: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in EXTENSIONS and path.is_file():
            by_stem.setdefault(_stem(path.relative_to(folder).as_posix()), []).append(path)
    found, missing = dict[str, Path](), list[str]()
    for name in names:
        candidates = by_stem.get(_stem(name), [])
        exact = [path for path in candidates if path.name == PurePosixPath(name).name]
        chosen = exact or candidates
        if len(chosen) > 1:
            both = " and ".join(path.name for path in chosen[:2])
            raise DataError(f"{folder}: which is the pair of {name}, {both}? Remove one.")
        if chosen:
            found[name] = chosen[0]
        else:
            missing.append(name)
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise DataError(
            f"{folder}: there is no pair of {missing[0]}{more} ({len(found)} others have theirs). A pair has the same "
            "name in the same subfolder; its ending may differ."
        )
    return found


def halves(image: np.ndarray, name: str, direction: Direction) -> tuple[np.ndarray, np.ndarray]:
    """An image A|B, both side by side, as what it is made from and what is to be made.

    Raises:
        DataError: its width is odd.
    """
    width = image.shape[1]
    if width % 2:
        raise DataError(
            f"{name}: {width} pixels are an odd width, so this is no two images side by side. Set `side_by_side: false`"
            ", or take it out."
        )
    left, right = (np.ascontiguousarray(half) for half in (image[:, : width // 2], image[:, width // 2 :]))
    return (left, right) if direction == "AtoB" else (right, left)


def _stem(name: str) -> str:
    return PurePosixPath(name).with_suffix("").as_posix()
