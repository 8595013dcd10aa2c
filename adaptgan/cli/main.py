"""The command line: one file per command, each imported only when it runs."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Annotated

import typer
from typer.main import get_command_name

from adaptgan.errors import AdaptganError, AdaptganWarning, FailedElsewhere
from adaptgan.plugins import PluginWarning, plugins
from adaptgan.trust import policy_of

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
    given = sys.argv[1:] if arguments is None else arguments
    try:
        with policy_of(given):
            _register(given)
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


def _register(arguments: list[str]) -> None:
    """Add all commands; a third party's only where its plugin may run and their names are free."""
    from adaptgan.cli import COMMANDS, register

    app.registered_commands.clear()
    app.registered_groups.clear()
    register(app)
    if plugins.cache_info().currsize and plugins().outdated():  # this process ran a command of another params.yaml
        plugins.cache_clear()
    found, callback = plugins(), app.registered_callback
    found.fire("adaptgan_register_commands", app=app)
    app.registered_callback = callback
    _refuse_taken_names()
    if found.policy.problem and not any(argument in COMMANDS for argument in arguments):
        _warn(f"{found.policy.problem} No third party's plugin is loaded.")


def _refuse_taken_names() -> None:
    """Of two commands of one name the first stays: ours are first."""
    taken: dict[str, object] = {}
    for command in list(app.registered_commands):
        name = command.name or get_command_name(getattr(command.callback, "__name__", ""))
        if taken.setdefault(name, command) is not command:
            app.registered_commands.remove(command)
            _warn(
                f"The command {name!r} of {getattr(command.callback, '__module__', 'a plugin')} is left out: {_TAKEN}"
            )
    for group in list(app.registered_groups):
        name = group.name or (group.typer_instance.info.name if group.typer_instance else "") or ""
        if isinstance(name, str) and taken.setdefault(name, group) is not group:
            app.registered_groups.remove(group)
            _warn(f"The group of commands {name!r} of a plugin is left out: {_TAKEN}")


_TAKEN = "there is a command of that name already."


def _warn(message: str) -> None:
    warnings.warn(message, PluginWarning, stacklevel=2)


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
