"""A folder with every example of docs/hooks installed, and a witness beside them that notes every call."""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import sys
from pathlib import Path

import pytest

from adaptgan import hookspecs
from adaptgan.plugins import plugins
from tests.conftest import write_params
from tests.docs.pages import EXAMPLES, HOOKS

STEPS, STOP_AT, BATCH = 12, 6, 8
TRAINING = {
    "steps": STEPS,
    "batch_size": BATCH,
    "log_every": 2,
    "checkpoint_every": 4,
    "sample_every": 4,
    "validation": 0.2,
    "precision": "32-true",
    "device": "cpu",
}
METHOD = {"name": "supervised", "classifier": {"name": "conv_classifier", "widths": [4], "hidden": 8}}
WILD = {**METHOD, "optimizer": {"name": "sgd", "lr": 1000.0}}
BROKEN = {**METHOD, "optimizer": {"name": "sgd", "lr": 1e30}}
SECTIONS = {
    "plain": {"method": METHOD, "training": TRAINING},
    "each": {"method": METHOD, "training": TRAINING | {"steps": 2, "log_every": 1, "checkpoint_every": 1}},
    "wild": {"method": WILD, "training": TRAINING | {"log_every": 1}},
    "broken": {"method": BROKEN, "training": TRAINING},
}
SECTIONS["each"]["training"]["sample_every"] = 1

WITNESS = """
import json, os, signal
from adaptgan import AdaptganError, hookimpl

def note(hook, rank, step=None):
    with open(os.environ["WITNESS"], "a") as file:
        file.write(json.dumps([hook, rank, step]) + chr(10))
    if hook == "adaptgan_on_step_end" and step == int(os.environ.get("STOP_AT", "-1")):
        os.kill(os.getpid(), signal.SIGTERM)
    if hook == "adaptgan_on_step_end" and os.environ.get("DRAW"):
        import torch
        torch.randn(7)
    if hook == os.environ.get("RAISE_IN"):
        raise AdaptganError("the witness had enough")
"""


def witness() -> str:
    """A plugin that implements every hook there is."""
    code = WITNESS
    for hook in HOOKS:
        parameters = inspect.signature(getattr(hookspecs, hook)).parameters
        who = next((name for name in ("run", "stage") if name in parameters), "")
        rank = f"{who}.rank" if who else 'int(os.environ.get("RANK", "0"))'
        step = "run.step" if who == "run" else "None"
        code += (
            f'\n@hookimpl(must_succeed=True, observes=True)\ndef {hook}({who}):\n    note("{hook}", {rank}, {step})\n'
        )
        code += "    return []\n" if hook == "adaptgan_register_components" else ""
    return code


class World:
    """A folder to work in, with every example installed as a distribution of its own."""

    def __init__(self, folder: Path, source: Path) -> None:
        self.folder, self.source, self.site = folder, source, folder / "site"
        for example in sorted(EXAMPLES.glob("adaptgan_*.py")):
            self._install(example.stem, example.read_text())
        self._install("witness", witness())
        self.params = write_params(folder / "params.yaml", task=SECTIONS)
        self.environment = {
            "ADAPTGAN_SCRATCH": str(folder / "scratch"),
            "WITNESS": str(folder / "witness.jsonl"),
            "ADAPTGAN_LEDGER": str(folder / "ledger.jsonl"),
            "ADAPTGAN_SCORES": str(folder / "scores.csv"),
            "ADAPTGAN_BACKUP": str(folder / "backup"),
            "ADAPTGAN_NOTIFY": f"tee -a {folder / 'mail.txt'}",
        }

    def _install(self, module: str, code: str) -> None:
        info = self.site / f"{module}-1.0.dist-info"
        info.mkdir(parents=True)
        (self.site / f"{module}.py").write_text(code)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module.replace('_', '-')}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[adaptgan]\n{module} = {module}\n")

    def arguments(self, section: str) -> list[str]:
        """Those of a training, into `SECTION/model` and `SECTION/log`."""
        places = ["--out", self.folder / section / "model", "--trace", self.folder / section / "log"]
        return ["train", f"task.{section}", *map(str, ["--source", self.source, *places, "--params", self.params])]

    def run(self, *arguments: object, **environment: str) -> tuple[int, str]:
        """A command in this process, with the plugins as a new process finds them; exit status and all output."""
        from adaptgan.cli.main import app, run

        known, said, code = list(app.registered_commands), io.StringIO(), 0
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(str(self.site))
            for key, value in {**self.environment, **environment}.items():
                patch.setenv(key, value)
            plugins.cache_clear()
            try:
                with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
                    run([str(argument) for argument in arguments])
            except SystemExit as stop:
                code = int(stop.code or 0)
            finally:
                plugins.cache_clear()
                app.registered_commands[:] = known
                for example in self.site.glob("*.py"):
                    sys.modules.pop(example.stem, None)
        return code, said.getvalue()

    def witnessed(self) -> list[tuple[str, int, int | None]]:
        """What was called since the last look: hook, rank, step."""
        path = self.folder / "witness.jsonl"
        calls = [tuple(json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []
        path.unlink(missing_ok=True)
        return calls
