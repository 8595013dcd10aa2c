"""A model folder as an MLflow model: traced, with an example, registered under an alias."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from adaptgan.models import load_model
from adaptgan.tracking.replay import Rejected

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from adaptgan.methods.base import Method


class Served(torch.nn.Module):
    """What of a method is served: images in, class probabilities or translated images out.

    Args:
        method: a Predictor or a Translator, in eval mode.
    """

    def __init__(self, method: Method) -> None:
        super().__init__()
        self.method = method
        self.predicts = hasattr(method, "predict")

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """Probabilities (N, K) or images (N, C, H, W) for float images in [-1, 1]."""
        served = self.method.predict if self.predicts else self.method.translate
        result: torch.Tensor = served(images_NCHW)  # type: ignore[operator]
        return result


def export_model(client: MlflowClient, uri: str, run_id: str, folder: Path, name: str, alias: str) -> None:
    """Log a model folder to a finished run as `pt2`, register it and point the alias at it.

    Args:
        client: of the store.
        uri: of the store and the registry.
        run_id: the run that the model belongs to; its status and times stay as they are.
        folder: with model.safetensors and model.json.
        name: of the registered model; all aliases of an experiment are under one.
        alias: what others ask for: `models:/NAME@ALIAS`.

    Raises:
        Rejected: the model cannot be traced.
    """
    import mlflow
    import mlflow.pytorch
    from mlflow.models import infer_signature

    fingerprint = _fingerprint(folder)
    for version in client.search_model_versions(f"name = '{name}'"):
        if version.tags.get("fingerprint") == fingerprint and version.tags.get("alias") == alias:
            client.set_registered_model_alias(name, alias, version.version)
            return
    try:
        method = load_model(folder)
        model = Served(method).eval()
        info = method.info
        example = torch.linspace(-1, 1, 2 * info.channels * info.height * info.width)
        example_NCHW = example.reshape(2, info.channels, info.height, info.width)
        with torch.no_grad():
            signature = infer_signature(example_NCHW.numpy(), model(example_NCHW).numpy())
    except Exception as error:
        raise Rejected(f"{folder.name}: not exported: {type(error).__name__}: {error}") from error
    before = client.get_run(run_id).info
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    try:
        with mlflow.start_run(run_id=run_id), torch.no_grad():
            logged = mlflow.pytorch.log_model(
                model,
                name=alias,
                signature=signature,
                input_example=example_NCHW.numpy(),
                serialization_format="pt2",
                registered_model_name=name,
                pip_requirements=[f"torch=={torch.__version__.partition('+')[0]}", "mlflow"],
            )
    except (RuntimeError, torch._dynamo.exc.TorchDynamoException) as error:
        raise Rejected(f"{folder.name}: not exported: {str(error)[:300]}") from error
    finally:
        client.set_terminated(run_id, before.status, before.end_time)
    version_number = str(logged.registered_model_version)
    for key, value in {"fingerprint": fingerprint, "alias": alias, "section": method.card.get("section", "")}.items():
        client.set_model_version_tag(name, version_number, key, value)
    client.set_registered_model_alias(name, alias, version_number)


def _fingerprint(folder: Path) -> str:
    from adaptgan.files import read_json

    return str(read_json(folder / "model.json").get("fingerprint", ""))
