"""Time of `adaptgan --help`, and what it imports. Budget: < 300 ms, no torch."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import time

RUNS = 15
SLOWEST = 12


def main() -> None:
    """Print the median and the slowest imports."""
    command = [sys.executable, "-m", "adaptgan", "--help"]
    subprocess.run(command, capture_output=True, check=True)  # byte code and disk cache
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        times.append(1000 * (time.perf_counter() - start))
    print(f"adaptgan --help: median {statistics.median(times):.0f} ms, fastest {min(times):.0f} ms of {RUNS}")
    tracing = [sys.executable, "-X", "importtime", *command[1:]]
    traced = subprocess.run(tracing, capture_output=True, text=True, check=True)
    rows = re.findall(r"import time:\s+(\d+) \|\s+(\d+) \| ( *)(\S+)", traced.stderr)
    print(f"{len(rows)} modules; slowest by themselves:")
    for own, _, _, name in sorted(rows, key=lambda row: -int(row[0]))[:SLOWEST]:
        print(f"  {int(own) / 1000:6.1f} ms  {name}")
    heavy = [name for *_, name in rows if name in ("torch", "numpy", "mlflow", "pydantic", "rich", "dvc", "PIL")]
    print(f"heavy packages imported: {', '.join(heavy) or 'none'}")


if __name__ == "__main__":
    main()
