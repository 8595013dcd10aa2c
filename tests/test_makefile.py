"""What `make` says when it cannot set up."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_an_install_that_fails_says_where_it_needs_room(tmp_path: Path) -> None:
    clone, scratch = tmp_path / "clone", tmp_path / "scratch"
    python = clone / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    scratch.mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, clone)
    python.write_text("#!/bin/sh\necho 'ERROR: [Errno 28] No space left on device' >&2\nexit 1\n")
    python.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    environment["TMPDIR"] = str(scratch)
    done = subprocess.run(["make", "run"], cwd=clone, env=environment, capture_output=True, text=True, check=False)
    told = done.stderr.splitlines()
    assert done.returncode == 2 and told[0] == "ERROR: [Errno 28] No space left on device"
    assert f"7 GB in {clone}/.venv (" in done.stderr and f"3 GB in {scratch}\n" in done.stderr
    assert "TMPDIR=/another/folder make run" in done.stderr
    assert not (clone / ".venv" / ".installed").exists()
