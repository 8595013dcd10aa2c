"""`python -m adaptgan`, which torchrun needs."""

from adaptgan.cli.main import run

run()
