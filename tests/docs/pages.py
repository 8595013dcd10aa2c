"""What the tests of documents share: where they are, the hooks, and the generator of pages."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from types import ModuleType

from adaptgan import hookspecs

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
EXAMPLES = DOCS / "examples"
HOOKS = [name for name in vars(hookspecs) if name.startswith("adaptgan_")]


@functools.cache
def generator() -> ModuleType:
    """docs/generate.py as a module."""
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
