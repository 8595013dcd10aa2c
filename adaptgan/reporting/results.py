"""What a recipe's table.py does around its own numbers: arguments in, JSON and a Markdown table out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from adaptgan.files import write_atomic, write_json


def write_results(
    about: str | None, inputs: tuple[str, ...], collect: Callable[..., dict[str, Any]], table: Callable[[Any], str]
) -> None:
    """Read paths from the command line, and write results to `--out`, the table beside it as `.md` and to stdout.

    Args:
        about: the script's docstring, for `--help`.
        inputs: names of its other options, each a path that must be given.
        collect: the results, of the paths in this order.
        table: the results as Markdown.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in (*inputs, "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    results = collect(*(getattr(options, name) for name in inputs))
    write_json(options.out, results)
    text = table(results)
    write_atomic(options.out.with_suffix(".md"), text)
    sys.stdout.write(text)
