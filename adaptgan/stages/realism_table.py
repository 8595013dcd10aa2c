"""What `realism` says at its end: a table per feature space, and flat numbers for the tracker."""

from __future__ import annotations

import sys
from typing import Any


def headline(result: dict[str, Any]) -> dict[str, float]:
    """`fid/dcgan` of the first space, `pixels.fid/dcgan` of the others: flat, in the order of the table."""
    first = next(iter(result["extractors"]))
    return {
        f"{number if space == first else f'{space}.{number}'}/{name}": value
        for name, spaces in result["sets"].items()
        for space, numbers in spaces.items()
        for number, value in numbers.items()
    }


def print_table(result: dict[str, Any]) -> None:
    """A row per set and a column per number, for each space."""
    from rich.console import Console
    from rich.table import Table

    width = None if sys.stdout.isatty() else 160  # a pipe has no width, and the table no room in 80 columns
    console = Console(highlight=False, soft_wrap=True, width=width)
    for space, about in result["extractors"].items():
        names = list(dict.fromkeys(number for spaces in result["sets"].values() for number in spaces[space]))
        # The spread of a number stands beside it, not in a column of its own.
        shown = [name for name in names if not name.endswith("_std")]
        table = Table(box=None, pad_edge=False, header_style="bold", title=f"in {space}", title_justify="left")
        table.add_column("set", no_wrap=True)
        for name in ["images", *shown]:
            table.add_column(name.replace("_", " "), no_wrap=True, justify="right")
        for row, spaces in result["sets"].items():
            known = result["about"].get(row)
            count = f"{known['images']}" if known else "/".join(str(half) for half in about["floor"])
            table.add_row(row, count, *(_cell(spaces[space], name) for name in shown))
        console.print(table)
    console.print("floor: real images against other real ones; no set can be expected to do better")


def _cell(numbers: dict[str, float], name: str) -> str:
    spread = numbers.get(f"{name}_std")
    if spread is None or spread < 1e-6 * abs(numbers[name]):  # subsets that are the whole set have none
        return _short(numbers[name])
    return f"{_short(numbers[name])} ± {_short(spread)}"


def _short(value: float) -> str:
    """Four digits that matter, counts as they are."""
    return f"{value:.0f}" if value == int(value) and abs(value) < 1e6 else f"{value:.4g}"
