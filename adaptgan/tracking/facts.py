"""What is tracked beside the numbers: code version, DVC's words, digests of inputs; all as plain strings."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adaptgan import __version__
from adaptgan.data.manifest import Manifest
from adaptgan.files import read_json, sha256
from adaptgan.plugins import plugins

if TYPE_CHECKING:
    import torch

    from adaptgan.stages.base import Stage

_CONTEXTS = {
    "train": "training",
    "synthesize": "synthesis",
    "evaluate": "evaluation",
    "realism": "evaluation",
    "report": "evaluation",
}


def flatten(tree: Mapping[str, Any], prefix: str = "", separator: str = ".") -> dict[str, Any]:
    """Nested options as `method.refiner.blocks: 4`; a list of plain values stays one value."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        path = f"{prefix}{separator}{key}" if prefix else str(key)
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, path, separator)
        elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            flat |= flatten({str(i): item for i, item in enumerate(value)}, path, separator)
        else:
            flat[path] = value
    # `method.name: dann` reads better as `method: dann`, and the table shows it first.
    return {key.removesuffix(f"{separator}name") if prefix == "" else key: value for key, value in flat.items()}


def metric_name(name: str) -> str:
    """A name that MLflow takes; slashes make groups in its charts."""
    return re.sub(r"[^\w\-. /]", "_", name)[:250]


def numbers(tree: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers of a nested result, by names like `rows/dann`."""
    return {
        metric_name(path): float(value)
        for path, value in flatten(tree, separator="/").items()
        if isinstance(value, (int, float)) and math.isfinite(value)
    }


def words(tree: Mapping[str, Any]) -> dict[str, str]:
    """The texts of a result."""
    return {path: value for path, value in flatten(tree).items() if isinstance(value, str)}


def machine(device: torch.device) -> dict[str, str]:
    """Tags for what the last digits of a training hang on besides its params, its inputs and its fingerprint.

    Another number of threads adds in another order, another processor's kernels round otherwise, and a training
    makes other weights of that. Of two runs with one fingerprint and different numbers, these say why.
    """
    import torch

    tags = {"device": str(device), "torch": torch.__version__}
    if device.type == "cuda":
        return {**tags, "device.name": torch.cuda.get_device_name(device)}
    return {**tags, "threads": str(torch.get_num_threads()), "kernels": torch.backends.cpu.get_cpu_capability()}


def lineage() -> dict[str, str]:
    """Tags that say which code and which pipeline state made a run."""
    active = ", ".join(plugins().active()) or "none but the built-in ones"
    tags = {"adaptgan.version": __version__, "adaptgan.plugins": active, "mlflow.source.type": "LOCAL"}
    commit = _git("rev-parse", "HEAD")
    if commit:
        tags["mlflow.source.git.commit"] = tags["git.sha"] = commit
        tags["git.dirty"] = str(bool(_git("status", "--porcelain", "--untracked-files=no"))).lower()
        if branch := _git("rev-parse", "--abbrev-ref", "HEAD"):
            tags["mlflow.source.git.branch"] = branch
    for name, value in sorted(os.environ.items()):
        if name.startswith("DVC_") and not re.search("TOKEN|SECRET|PASSWORD|KEY", name):
            tags[f"dvc.{name.removeprefix('DVC_').lower()}"] = value
    lock = Path("dvc.lock")
    if lock.is_file():
        tags["dvc.lock.sha256"] = sha256(lock)
    return tags


def inputs_of(stage: Stage) -> list[dict[str, Any]]:
    """The stage's data sets and models: role, path, digest, size."""
    found: list[dict[str, Any]] = []
    for role, path in stage.inputs.items():
        entry: dict[str, Any] = {"role": role, "name": path.name or role, "path": str(path)}
        if (path / "manifest.json").is_file():
            manifest = Manifest.read(path)
            entry |= {
                "digest": manifest.digest,
                "count": manifest.count,
                "classes": list(manifest.classes),
                "context": _CONTEXTS.get(stage.name, stage.name),
            }
        elif (path / "model.json").is_file():
            entry["digest"] = read_json(path / "model.json").get("fingerprint", "")
        else:
            continue
        found.append(entry)
    return found


def short(digest: str) -> str:
    """A digest of at most 36 characters, MLflow's limit, that is unique for unlike digests."""
    return digest if len(digest) <= 36 else digest[:16]


def shortened(value: Any, limit: int = 5900) -> str:
    """A value as text within MLflow's limit."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… sha256 {hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _git(*arguments: str) -> str:
    """What git says, or nothing where there is no git or no repository."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
