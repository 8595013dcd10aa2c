"""Run a command and write how long it took.

    python pipelines/mnist_m/timed.py SECONDS.json COMMAND …

`SECONDS.json` gets `{"seconds": …}`, wall-clock, the program's start included; a command that fails leaves none.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from adaptgan.files import write_json


def main() -> None:
    """Run, write."""
    out, *command = sys.argv[1:]
    start = time.perf_counter()
    subprocess.run(command, check=True)
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    write_json(Path(out), {"seconds": round(time.perf_counter() - start, 3)})


if __name__ == "__main__":
    main()
