"""A command: `adaptgan count-classes data/source` says how many images of each class a data set has."""

from collections import Counter
from pathlib import Path

import typer

from adaptgan import hookimpl


@hookimpl
def adaptgan_register_commands(app):
    """Add it; a person reads its docstring in `adaptgan --help`."""

    @app.command("count-classes")
    def count_classes(dataset: Path) -> None:
        """Say how many images of each class a data set has; sealed labels stay closed."""
        from adaptgan import load_dataset  # not above: every command imports this module

        data = load_dataset(dataset)
        counts = Counter(data.classes[label] for label in data.labels_N)
        for name in data.classes:
            typer.echo(f"{name}: {counts[name]}")
