"""`adaptgan doctor`: is everything here that a run needs, and what to do where it is not."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from adaptgan.cli.common import PARAMS, AsJson, ParamsFile

NEEDED_GIB = 2.0
"""Free space that the default pipeline's data, checkpoints and DVC cache fit into with room to spare."""


@dataclass(frozen=True)
class Check:
    """One line of the doctor's findings; `advice` says what to do unless all is well."""

    name: str
    status: Literal["ok", "warn", "fail"]
    found: str
    advice: str = ""


def command(
    params: ParamsFile = PARAMS,
    as_json: AsJson = False,
    store: Annotated[str | None, typer.Option(help="MLflow store to try instead of params.yaml's.")] = None,
) -> None:
    """Check this machine, the installed packages and plugins, and the project's folder. Exit status 1 on a failure."""
    checks: list[Check] = []
    for check in examine(params, store):
        checks.append(check)
        if not as_json:
            typer.echo(f"{check.status:<5} {check.name}: {check.found}")
            if check.advice:
                typer.echo(f"      → {check.advice}")
    if as_json:
        typer.echo(json.dumps([asdict(check) for check in checks], indent=1, ensure_ascii=False))
    if any(check.status == "fail" for check in checks):
        raise typer.Exit(1)


def examine(params: Path = PARAMS, store: str | None = None) -> Iterator[Check]:
    """All findings, one by one; a check that itself breaks is a failed one and the rest go on."""
    rounds: list[tuple[str, Callable[[], Iterator[Check]]]] = [
        ("python", _python),
        ("torch", _torch),
        ("packages", _packages),
        ("plugins", _plugins),
        ("params.yaml", lambda: _params(params)),
        ("folders", _folders),
        ("repository", _repository),
        ("mlflow store", lambda: _store(params, store)),
    ]
    for name, run in rounds:
        try:
            yield from run()
        except Exception as error:
            yield Check(name, "fail", f"the check broke: {type(error).__name__}: {error}", "Reinstall adaptgan.")


def _python() -> Iterator[Check]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    yield Check("python", "ok", f"{version} ({sys.executable})")


def _torch() -> Iterator[Check]:
    try:
        import torch
    except (ImportError, OSError) as error:
        yield Check("torch", "fail", str(error), "pip install -c constraints.txt torch torchvision")
        return
    yield Check("torch", "ok", torch.__version__)
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        name = torch.cuda.get_device_name()
        yield Check("device", "ok", f"cuda: {name}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free")
        bf16 = torch.cuda.is_bf16_supported()
        yield Check("bf16", "ok" if bf16 else "warn", *(("on the device",) if bf16 else _NO_BF16))
    else:
        yield Check("device", "ok", "cpu (no CUDA device is visible; the default pipeline is sized for that)")
        bf16 = bool(torch.cpu.get_capabilities().get("amx_bf16"))
        yield Check("bf16", "ok" if bf16 else "warn", *(("by this CPU (AMX)",) if bf16 else _NO_BF16))
    threads, cores = torch.get_num_threads(), len(os.sched_getaffinity(0))
    if threads > cores:
        yield Check("threads", "warn", f"{threads} on {cores} cores", f"Set OMP_NUM_THREADS={cores}.")
    else:
        yield Check("threads", "ok", f"{threads} on {cores} cores")


_NO_BF16 = ("not supported", "`precision: auto` falls back to 32-true: slower, and as good.")


def _packages() -> Iterator[Check]:
    import importlib

    from adaptgan.plugins import version_of

    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    for name in ("torchvision", "kornia", "albumentations", "mlxtend", "cv2"):
        try:
            module = importlib.import_module(name)
        except Exception as error:
            advice = "pip install -c constraints.txt -e . (a shared library that is missing comes from the system)"
            yield Check(name, "fail", f"{type(error).__name__}: {error}", advice)
            continue
        yield Check(name, "ok", str(getattr(module, "__version__", "?")))
    for name in ("dvc", "mlflow"):
        version = version_of(name)
        missing = version == "?"
        yield Check(
            name, "fail" if missing else "ok", "not installed" if missing else version, _INSTALL if missing else ""
        )
    if shutil.which("dvc") is None and not (Path(sys.executable).parent / "dvc").exists():
        yield Check("dvc command", "warn", "not on PATH", "Activate the environment: . .venv/bin/activate")


_INSTALL = "pip install -c constraints.txt -e ."


def _plugins() -> Iterator[Check]:
    from adaptgan.plugins import plugins

    found = plugins()
    for plugin in found.known.values():
        if plugin.failure:
            advice = f"Update or uninstall {plugin.distribution}, or block it: ADAPTGAN_DISABLE_PLUGINS={plugin.name}."
            yield Check(f"plugin {plugin.name}", "fail", f"{plugin.title}: {plugin.failure}", advice)
        elif plugin.blocked:
            yield Check(f"plugin {plugin.name}", "warn", f"{plugin.title}: {plugin.blocked}", plugin.remedy)
    for where, name in found.strangers:
        yield Check(
            f"plugin {name}", "warn", f"not installed, and {where} names it", "Correct the name, or install it."
        )
    for (kind, name), claims in found.components.conflicts.items():
        advice = "Uninstall one, or block it: `plugins: {block: [<distribution>]}` in params.yaml."
        yield Check(f"{kind} {name}", "fail", f"claimed by {' and '.join(claims)}", advice)
    loaded = [plugin for plugin in found.known.values() if not plugin.failure and not plugin.blocked]
    yield Check("plugins", "ok", f"{len(loaded)} loaded, {len(found.components.specs())} components")


def _params(path: Path) -> Iterator[Check]:
    if not path.exists():
        yield Check(
            "params.yaml", "warn", f"no {path} here", "Run from a project's folder, or make one: `adaptgan init`."
        )
        return
    from adaptgan.errors import AdaptganError
    from adaptgan.params import load

    try:
        sections = load(path).leaves()
    except AdaptganError as error:
        yield Check("params.yaml", "fail", str(error), "Correct that value.")
        return
    yield Check("params.yaml", "ok", f"{len(sections)} sections to run: {', '.join(sections)}")


def _folders() -> Iterator[Check]:
    from adaptgan.files import scratch

    for name, folder in (("project folder", Path.cwd()), ("scratch folder", scratch())):
        place = folder
        while not place.exists():
            place = place.parent
        if not os.access(place, os.W_OK | os.X_OK):
            yield Check(name, "fail", f"{folder} cannot be written", f"Take ownership of {place}, or work elsewhere.")
            continue
        free = shutil.disk_usage(place).free / 2**30
        found = f"{folder}, {free:.1f} GiB free"
        if free < NEEDED_GIB:
            yield Check(
                name, "warn", found, f"A run needs about {NEEDED_GIB:.0f} GiB. Free some, or set ADAPTGAN_SCRATCH."
            )
        else:
            yield Check(name, "ok", found)


def _repository() -> Iterator[Check]:
    here = Path.cwd()
    git = _above(here, ".git")
    if shutil.which("git") is None:
        yield Check("git", "warn", "not installed", "Runs work without; the commit is then missing from their tags.")
    elif git is None:
        yield Check("git", "warn", "this is no git repository", "Runs work without; `git init` records what made what.")
    else:
        yield Check("git", "ok", str(git))
    dvc = _above(here, ".dvc")
    if dvc is None:
        how = "dvc init" if git else "dvc init --no-scm"
        yield Check("dvc repository", "warn", "not set up here", f"Run `{how}` before `dvc repro` (`make run` does).")
        return
    configs = [path.read_text() for path in (dvc / ".dvc" / "config", dvc / ".dvc" / "config.local") if path.exists()]
    no_scm = any("no_scm = true" in text.lower() for text in configs)
    if git is None and not no_scm:
        advice = "dvc config core.no_scm true (its git folder has gone), or restore .git"
        yield Check("dvc repository", "fail", f"{dvc} expects git", advice)
    elif not (here / "dvc.yaml").exists():
        yield Check("dvc repository", "warn", f"{dvc}, but no dvc.yaml here", "`adaptgan init` writes one.")
    else:
        yield Check("dvc repository", "ok", str(dvc) + (" (without git)" if no_scm else ""))


def _above(folder: Path, name: str) -> Path | None:
    return next((place for place in (folder, *folder.parents) if (place / name).exists()), None)


def _store(params: Path, store: str | None) -> Iterator[Check]:
    from adaptgan.errors import AdaptganError
    from adaptgan.params import TrackingSection, load

    tracking = TrackingSection()
    if params.exists():
        try:
            tracking = load(params).pipeline.tracking
        except AdaptganError:
            yield Check("mlflow store", "warn", "not tried: params.yaml is not valid", "Correct params.yaml first.")
            return
    uri = store or tracking.uri
    if not tracking.enabled and store is None:
        yield Check("mlflow store", "ok", "tracking is switched off (tracking.enabled)")
        return
    problem = reach(uri)
    if problem is None:
        yield Check("mlflow store", "ok", uri)
    else:
        advice = "Runs go on without it: what they would have logged is kept and replayed at the next run."
        yield Check("mlflow store", "warn", f"{uri}: {problem}", advice)


def reach(uri: str, seconds: float = 5.0) -> str | None:
    """Why an MLflow store cannot be used, or None. Nothing is written; a server gets one request."""
    scheme, _, rest = uri.partition("://")
    if scheme == "sqlite":
        return _reach_sqlite(Path(rest.removeprefix("/")))
    if scheme in ("http", "https"):
        import urllib.error
        import urllib.request

        try:
            with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=seconds) as answer:
                return None if answer.status == 200 else f"answered {answer.status}"
        except (urllib.error.URLError, TimeoutError, OSError) as error:
            return f"no answer ({error})"
    if scheme in ("postgresql", "mysql", "mssql") or "+" in scheme:
        from sqlalchemy import create_engine
        from sqlalchemy.exc import SQLAlchemyError

        try:
            create_engine(uri).connect().close()
        except (SQLAlchemyError, ImportError) as error:
            return str(error).splitlines()[0]
        return None
    return "a file store no longer works with MLflow; use sqlite:///mlflow.db or a server"


def _reach_sqlite(path: Path) -> str | None:
    import sqlite3

    if not path.exists():
        parent = path.absolute().parent
        return None if os.access(parent, os.W_OK | os.X_OK) else f"{parent} cannot be written"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=1.0)) as connection:
            connection.execute("BEGIN IMMEDIATE")  # fails when it is locked, read-only or no database
            connection.rollback()
    except sqlite3.Error as error:
        return str(error)
    return None
