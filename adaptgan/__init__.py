"""adaptgan: labelled synthetic images and unlabelled real ones in, a realistic labelled training set out.

The public names are imported on first use, so that `import adaptgan` stays free of torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "AdaptganError": "adaptgan.errors",
    "ComponentSpec": "adaptgan.components",
    "DataInfo": "adaptgan.datainfo",
    "GenerativeMethod": "adaptgan.methods.generative",
    "Method": "adaptgan.methods.base",
    "OptimizerOptions": "adaptgan.methods.base",
    "Penalty": "adaptgan.objectives.penalties",
    "Phase": "adaptgan.methods.base",
    "TwoPlayers": "adaptgan.methods.generative",
    "hookimpl": "adaptgan.hookspecs",
    "load_dataset": "adaptgan.data.dataset",
    "load_model": "adaptgan.models",
    "nested": "adaptgan.components",
    "nested_list": "adaptgan.components",
}

__all__ = sorted([*_PUBLIC, "__version__"])

if TYPE_CHECKING:
    from adaptgan.components import ComponentSpec as ComponentSpec
    from adaptgan.components import nested as nested
    from adaptgan.components import nested_list as nested_list
    from adaptgan.data.dataset import load_dataset as load_dataset
    from adaptgan.datainfo import DataInfo as DataInfo
    from adaptgan.errors import AdaptganError as AdaptganError
    from adaptgan.hookspecs import hookimpl as hookimpl
    from adaptgan.methods.base import Method as Method
    from adaptgan.methods.base import OptimizerOptions as OptimizerOptions
    from adaptgan.methods.base import Phase as Phase
    from adaptgan.methods.generative import GenerativeMethod as GenerativeMethod
    from adaptgan.methods.generative import TwoPlayers as TwoPlayers
    from adaptgan.models import load_model as load_model
    from adaptgan.objectives.penalties import Penalty as Penalty


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'adaptgan' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_PUBLIC[name]), name)
