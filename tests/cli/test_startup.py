"""The command line starts light."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

HEAVY = (
    "torch",
    "numpy",
    "mlflow",
    "pydantic",
    "rich",
    "dvc",
    "PIL",
    "yaml",
    "jinja2",
    "matplotlib",
    "lightning_fabric",
)

CODE = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps([name for name in {heavy} if name in sys.modules]), file=sys.stderr))
from adaptgan.cli.main import run
run({arguments})
"""


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        (["--help"], []),
        (["--version"], []),
        (["train", "--help"], ["pydantic"]),  # typer itself converts a command's arguments with it
        (["plugins"], ["pydantic"]),
        (["components", "method"], ["pydantic"]),
    ],
)
def test_nothing_heavy_is_imported_to_answer(arguments: list[str], allowed: list[str]) -> None:
    code = CODE.format(heavy=[name for name in HEAVY if name not in allowed], arguments=arguments)
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip()
    assert json.loads(done.stderr.splitlines()[-1]) == []


def test_help_names_every_command() -> None:
    from adaptgan.cli import COMMANDS

    done = subprocess.run([sys.executable, "-m", "adaptgan", "--help"], capture_output=True, text=True, check=True)
    missing = [name for name in COMMANDS if name not in done.stdout]
    assert not missing
