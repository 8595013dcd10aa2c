"""The commands of `adaptgan`, in the order that help shows them."""

from __future__ import annotations

import typer

COMMANDS = (
    "ingest",
    "train",
    "synthesize",
    "evaluate",
    "realism",
    "fidelity",
    "report",
    "compare",
    "sample",
    "interpolate",
    "arithmetic",
    "invert",
    "edit",
    "init",
    "components",
    "plugins",
    "new-plugin",
    "inspect",
    "export",
    "environment",
    "doctor",
)


def register(app: typer.Typer) -> None:
    """Add every command: `adaptgan/cli/<name>_command.py` has a function `command` whose body imports what it needs."""
    import importlib

    known = {command.name for command in app.registered_commands}
    for name in COMMANDS:
        if name not in known:
            app.command(name)(importlib.import_module(f"adaptgan.cli.{name.replace('-', '_')}_command").command)
