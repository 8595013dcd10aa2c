"""Nothing pickled: what the scan of a component's source finds, and what it lets pass."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
import torch
from torch import nn

import adaptgan
from adaptgan.testing import check_component
from adaptgan.testing.pickles import check_state, pickles_in
from adaptgan.testing.workbench import Workbench


def scanned(tmp_path: Path, code: str) -> list[str]:
    path = tmp_path / "part.py"
    path.write_text(textwrap.dedent(code))
    return [found.split(" ", 1)[1] for found in pickles_in(path)]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import pickle\npickle.loads(b'')", ["uses pickle.loads"]),
        ("import pickle as p\np.Unpickler(f)", ["uses pickle.Unpickler"]),
        ("def f():\n    import pickle\n    return pickle.load", ["uses pickle.load"]),
        ("from pickle import dumps, PicklingError", ["imports dumps of pickle"]),
        ("import dill", ["imports dill"]),
        ("import joblib.memory", ["imports joblib.memory"]),
        ("from cloudpickle import loads", ["imports cloudpickle"]),
        ("import torch\ntorch.load(f)", ["calls torch.load without weights_only=True"]),
        ("import torch as t\nt.load(f, weights_only=False)", ["calls torch.load without weights_only=True"]),
        ("from torch import load\nload(f, weights_only=safe)", ["calls torch.load without weights_only=True"]),
        ("import numpy as np\nnp.load(f, allow_pickle=True)", ["calls numpy.load with allow_pickle"]),
        ("import pandas\nframe.to_pickle(f)\npandas.read_pickle(f)", ["calls to_pickle", "calls read_pickle"]),
    ],
)
def test_what_pickles(tmp_path: Path, code: str, expected: list[str]) -> None:
    assert scanned(tmp_path, code) == expected


@pytest.mark.parametrize(
    "code",
    [
        "import torch\ntorch.load(f, map_location='cpu', weights_only=True)",
        "import pickle\ntry: ...\nexcept pickle.UnpicklingError: ...",
        "from pickle import UnpicklingError",
        "import numpy as np\nnp.load(f)\nnp.load(f, allow_pickle=False)",
        "from safetensors.torch import load\nload(f)",
        "from . import pickle\npickle.loads(f)",
        "class Store:\n    def load(self): return self.torch.load(1)",
    ],
)
def test_what_does_not(tmp_path: Path, code: str) -> None:
    assert scanned(tmp_path, code) == []


def test_the_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "part.py").write_text("import pickle\n\n\npickle.loads(b'')\n")
    assert pickles_in(tmp_path / "part.py") == ("part.py:4 uses pickle.loads",)


def test_no_module_of_adaptgan_does() -> None:
    modules = sorted(Path(adaptgan.__file__).parent.rglob("*.py"))
    assert len(modules) > 100
    assert [found for module in modules if "templates" not in module.parts for found in pickles_in(module)] == []


def test_a_component_that_does_is_named(adaptgan_plugins: Workbench) -> None:
    code = '''
    import pickle
    from adaptgan import ComponentSpec, hookimpl

    class Stored:
        """A metric from a file."""

        def __init__(self):
            self.values = pickle.loads(b"N.")

    @hookimpl
    def adaptgan_register_components():
        return [ComponentSpec("metric", "stored", f"{__name__}:Stored", "from a file")]
    '''
    adaptgan_plugins.install("pickled-metric", textwrap.dedent(code))
    with pytest.raises(AssertionError, match=r"the metric 'stored': pickled_metric\.py:9 uses pickle\.loads"):
        check_component("metric", "stored")


class Extra(nn.Linear):
    """Keeps an object in its state."""

    def get_extra_state(self) -> object:
        return {"seen": 3}

    def set_extra_state(self, state: object) -> None: ...


def test_a_state_of_more_than_tensors_is_named() -> None:
    check_state(nn.BatchNorm2d(3).state_dict(), "it")
    check_state({"nothing": torch.tensor([float("nan")]), "half": torch.ones(2, dtype=torch.bfloat16)}, "it")
    with pytest.raises(AssertionError, match=r"it: its state_dict\(\) holds \['_extra_state'\], which are no tensors"):
        check_state(Extra(1, 1).state_dict(), "it")
    with pytest.raises(AssertionError, match="it: its state_dict\\(\\) cannot be kept as safetensors"):
        check_state({"sparse": torch.ones(2, 2).to_sparse()}, "it")
