"""The command line: one file per command, each imported only when it runs."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Annotated

import typer

from adaptgan.errors import AdaptganError, AdaptganWarning, FailedElsewhere
from adaptgan.plugins import plugins

app = typer.Typer(
    name="adaptgan",
    help="Turn labelled synthetic images and unlabelled real ones into a realistic training set, a model that works on "
    "the real images, and the evidence that it does.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(show: bool) -> None:
    if show:
        from adaptgan import __version__

        typer.echo(f"adaptgan {__version__}")
        raise typer.Exit


@app.callback()
def options(
    strict_plugins: Annotated[bool, typer.Option("--strict-plugins", help="A plugin that fails is an error.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """Options that all commands share."""
    if strict_plugins:
        os.environ["ADAPTGAN_STRICT_PLUGINS"] = "1"
        plugins.cache_clear()
        plugins()


def run(arguments: list[str] | None = None) -> None:
    """Entry point: every expected failure becomes one message and a non-zero exit, never a traceback."""
    warnings.showwarning = _show_warning
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        from adaptgan.cli import register

        register(app)
        plugins().fire("adaptgan_register_commands", app=app)
        app(args=arguments, standalone_mode=True)
    except FailedElsewhere as error:
        sys.exit(error.exit_code)
    except AdaptganError as error:
        _fail(str(error), error.exit_code)
    except OSError as error:
        from adaptgan.files import explain_os_error

        message = explain_os_error(error)
        if message is None or os.environ.get("ADAPTGAN_DEBUG"):
            raise
        _fail(message, 1)


def _fail(message: str, code: int) -> None:
    if os.environ.get("ADAPTGAN_DEBUG"):
        raise
    typer.echo(f"adaptgan: {message}", err=True)
    sys.exit(code)


def _show_warning(message: object, category: type[Warning], *_: object, **__: object) -> None:
    if issubclass(category, AdaptganWarning):
        # Not typer.echo: it writes past the stream that a progress bar puts in stderr's place, into the bar.
        sys.stderr.write(f"adaptgan: warning: {message}\n")
        sys.stderr.flush()
    elif os.environ.get("ADAPTGAN_DEBUG"):
        typer.echo(f"{category.__name__}: {message}", err=True)
