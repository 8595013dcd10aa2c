"""How many steps of each generator fit into a time: three trainings side by side, one thread each, as in this recipe.

    python pipelines/generators/speed.py --data data/generators/train --seconds 180 [--methods dcgan wgan_gp …]

Prints a line for each method: milliseconds per step, and the steps (a multiple of 50) that the time allows.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from adaptgan.params import load

PARAMS = Path(__file__).parent / "params.yaml"
SIDE_BY_SIDE = 3
SHORT, LONG = 8, 24
"""Steps of two short trainings; their difference leaves the start out."""


def main() -> None:
    """Measure and print."""
    known = [name.split(".")[1] for name in load(PARAMS).leaves() if name.startswith("generator.")]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--methods", nargs="+", choices=known, default=known)
    options = parser.parse_args()
    for name in options.methods:
        with tempfile.TemporaryDirectory() as folder:
            short, long = (seconds(name, steps, options.data, Path(folder)) for steps in (SHORT, LONG))
        step = max(long - short, 1e-9) / (LONG - SHORT)
        steps = int(options.seconds / step) // 50 * 50
        sys.stdout.write(f"{name:<18}{1000 * step:8.1f} ms/step{steps:8} steps\n")
        sys.stdout.flush()


def seconds(name: str, steps: int, data: Path, folder: Path) -> float:
    """The time that a training takes beside its like, mean over them."""
    command = [sys.executable, "-m", "adaptgan", "train", f"generator.{name}", "--params", str(PARAMS), "--source"]
    common = [str(data), "--set", f"generator.{name}.training.steps={steps}"]
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        "ADAPTGAN_SCRATCH": str(folder / "scratch"),
    }
    started = []
    for seed in range(SIDE_BY_SIDE):
        out = folder / f"{steps}-{seed}"
        mine = ["--set", f"seed={seed}", "--out", str(out / "model"), "--trace", str(out / "log")]
        started.append(subprocess.Popen([*command, *common, *mine], env=environment, stderr=subprocess.DEVNULL))
    if any(one.wait() for one in started):
        sys.exit(f"{name}: a training failed; run `adaptgan train generator.{name}` by itself to see why.")
    logs = [
        json.loads((folder / f"{steps}-{seed}" / "log" / "timing.json").read_text()) for seed in range(SIDE_BY_SIDE)
    ]
    return float(sum(log["seconds"] for log in logs) / len(logs))


if __name__ == "__main__":
    main()
