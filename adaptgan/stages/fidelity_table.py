"""What `fidelity` says at its end: a table, and flat numbers for the tracker."""

from __future__ import annotations

import sys
from typing import Any

from adaptgan.reporting.formats import NOTHING, number, percent

_DIGITS = {"l1": 4, "psnr": 2, "ssim": 4}
_SHARES = {"accuracy", "pixel_accuracy", "mean_iou"}


def headline(result: dict[str, Any]) -> dict[str, float]:
    """`psnr/made`, `accuracy/truth`: every single number that is known."""
    return {
        f"{name}/{row}": value
        for row, numbers in result["rows"].items()
        for name, value in numbers.items()
        if isinstance(value, float)
    }


def print_table(result: dict[str, Any]) -> None:
    """A row for the translations, each baseline and the truth, and what was left out."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)
    names = list(dict.fromkeys(name for numbers in result["rows"].values() for name in numbers))
    shown = [name for name in names if name != "interval" and not name.endswith("_std")]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", no_wrap=True)
    for name in shown:
        table.add_column(name.replace("_", " "), no_wrap=True, justify="right")
    for row, numbers in result["rows"].items():
        if numbers:
            table.add_row(row, *(_cell(name, numbers.get(name)) for name in shown))
    console.print(table)
    console.print(f"{result['images']} pairs; L1 of images from 0 to 1; sets compared in {result['space']}")
    if result["missing"]:
        console.print(f"{result['missing']} records of the truth have no translation (kept back by a gate?)")
    if result["unknown"]:
        console.print(f"{result['unknown']} translations have no truth and were left out")


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return NOTHING
    return percent(value) if name in _SHARES else number(value, _DIGITS.get(name, 4))
