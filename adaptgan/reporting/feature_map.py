"""The feature map as SVG paths: a panel per network, one path per class and domain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from adaptgan.errors import DataError
from adaptgan.files import read_json

SIDE = 420
"""Width and height of a panel's box."""
MARGIN = 12
RADIUS = 2.6


@dataclass(frozen=True)
class Group:
    """The points of one class.

    Attributes:
        name: the class.
        hue: its colour, in degrees, evenly spread over the classes.
        odd: whether it takes the second of two lightnesses, so that neighbouring hues can be told apart.
        source: rings at the source images of that class.
        target: dots (zero-length lines with round ends) at the target images that are predicted as it.
        label: where its name stands: in the middle of its target points, or of its source points.
    """

    name: str
    hue: int
    odd: bool
    source: str
    target: str
    label: tuple[float, float]


@dataclass(frozen=True)
class Panel:
    """One network's features.

    Attributes:
        row: whose.
        training_set: what the source points are.
        counts: how many source and target points there are.
        groups: by class; classes without points are left out.
    """

    row: str
    training_set: str
    counts: tuple[int, int]
    groups: list[Group]


def panels(path: Path) -> list[Panel]:
    """Read `feature_map.json`, as `evaluate` writes it; an empty list when it was not drawn.

    Raises:
        DataError: it is not what `evaluate` writes.
    """
    if not path.is_file():
        return []
    drawn = read_json(path)
    try:
        return [_panel(panel, drawn["classes"]) for panel in drawn["panels"]]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DataError(
            f"{path}: this is no feature map of `evaluate` ({error!r}). Run `dvc repro evaluate`."
        ) from None


def _panel(panel: dict[str, Any], classes: Sequence[str]) -> Panel:
    source, target = (_by_class(panel[domain], len(classes)) for domain in ("source", "target"))
    groups = []
    for k, name in enumerate(classes):
        middle = target[k] or source[k]
        if middle:
            label = (round(median(x for x, _ in middle), 1), round(median(y for _, y in middle), 1))
            hue = round(360 * k / len(classes))
            groups.append(Group(name, hue, bool(k % 2), _rings(source[k]), _dots(target[k]), label))
    counts = (len(panel["source"]["points"]), len(panel["target"]["points"]))
    return Panel(panel["row"], panel["training_set"], counts, groups)


def _by_class(part: dict[str, Any], n_classes: int) -> list[list[tuple[float, float]]]:
    """Points in the panel's box, y downwards, by class."""
    found: list[list[tuple[float, float]]] = [[] for _ in range(n_classes)]
    span = SIDE - 2 * MARGIN
    for (x, y), k in zip(part["points"], part["classes"], strict=True):
        found[k].append((MARGIN + span * float(x), MARGIN + span * (1 - float(y))))
    return found


def _rings(points: Sequence[tuple[float, float]]) -> str:
    r, d = RADIUS, 2 * RADIUS
    return "".join(f"M{x - r:.1f},{y:.1f}a{r},{r} 0 1,0 {d},0a{r},{r} 0 1,0 -{d},0" for x, y in points)


def _dots(points: Sequence[tuple[float, float]]) -> str:
    return "".join(f"M{x:.1f},{y:.1f}h0" for x, y in points)
