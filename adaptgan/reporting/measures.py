"""What was measured of source and adapted images beside KID and A-distance: by whichever metrics were asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adaptgan.reporting.formats import NOTHING, number

SETS = {"source": "synthetic", "adapted": "refined", "floor": "real, one half to the other"}
"""The sets that realism is measured of, and what the page calls them."""

_SHOWN = ("kid", "a_distance", "domain_error", "cross_check")


def further(metrics: Mapping[str, Any]) -> dict[str, Any] | None:
    """A table of the numbers that have no column of their own; None when there are none.

    Args:
        metrics: metrics.json.

    Returns:
        `sets`, the columns' titles; `rows` of (title, what the number says or "", a text for each set).
    """
    measured = {name: metrics["realism"][name] for name in SETS if name in metrics["realism"]}
    names = dict.fromkeys(name for values in measured.values() for name in values)
    own = [name for name in names if name not in _SHOWN and not name.endswith("_std")]
    said = metrics.get("realism_numbers", {})
    rows = [
        (name.replace("_", " "), said.get(name, ""), [_cell(values, name) for values in measured.values()])
        for name in own
    ]
    return {"sets": [SETS[name] for name in measured], "rows": rows} if rows else None


def _cell(values: Mapping[str, Any], name: str) -> str:
    if values.get(name) is None:
        return NOTHING
    spread = values.get(f"{name}_std")
    return number(values[name]) + (f" ± {number(spread)}" if spread is not None else "")
