"""What a predictor learns of an image: loss, prediction and score of each task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

import torch
from torch.nn import functional as F

from adaptgan.datainfo import DataInfo, TaskName


class Task(Protocol):
    """The part of a predictor method that depends on what is predicted."""

    name: ClassVar[TaskName]

    def loss(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """What is minimized on labelled images, a scalar."""
        ...

    def predict(self, outputs: torch.Tensor) -> torch.Tensor:
        """The prediction that a network's outputs mean."""
        ...

    def score(self, predicted: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
        """Named scores of predictions; the higher the better."""
        ...


class Classification:
    """Logits (N, K), labels int64 (N,), predictions are probabilities.

    Args:
        label_smoothing: share of the label spread over all classes.
    """

    name: ClassVar[TaskName] = "classification"

    def __init__(self, label_smoothing: float = 0.0) -> None:
        self.label_smoothing = label_smoothing

    def loss(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Cross-entropy."""
        return F.cross_entropy(outputs, labels, label_smoothing=self.label_smoothing)

    def predict(self, outputs: torch.Tensor) -> torch.Tensor:
        """Softmax over dimension 1."""
        return outputs.softmax(1)

    def score(self, predicted: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
        """Accuracy."""
        return {"accuracy": (predicted.argmax(1) == labels).float().mean().item()}


class Segmentation(Classification):
    """Logits (N, K, H, W), labels int64 (N, H, W): a classification of each pixel."""

    name: ClassVar[TaskName] = "segmentation"


class Regression:
    """Standardized values (N, D), labels float32 (N, D) in their own units, predictions too.

    Args:
        scales: mean and standard deviation of each value, by which labels are standardized.
    """

    name: ClassVar[TaskName] = "regression"

    def __init__(self, scales: Sequence[tuple[float, float]]) -> None:
        self.scales_D2 = torch.tensor([list(scale) for scale in scales])

    def loss(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Mean squared error of the standardized values."""
        self.scales_D2 = self.scales_D2.to(labels)  # moved once: a GPU is waited for while it takes a copy
        mean_D, std_D = self.scales_D2.unbind(1)
        return F.mse_loss(outputs.float(), (labels - mean_D) / std_D)

    def predict(self, outputs: torch.Tensor) -> torch.Tensor:
        """Values in their own units."""
        mean_D, std_D = self.scales_D2.to(outputs.device).unbind(1)
        return outputs.float() * std_D + mean_D

    def score(self, predicted: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
        """R², the share of variance explained, averaged over the values."""
        residual_D = (predicted.float() - labels).square().mean(0)
        return {"r2": (1 - residual_D / labels.var(0, unbiased=False).clamp_min(1e-12)).mean().item()}


def task_of(data: DataInfo, label_smoothing: float = 0.0) -> Task:
    """The task that a data set is for.

    Args:
        data: tells the task.
        label_smoothing: of the two that have classes.
    """
    if data.task == "regression":
        return Regression(data.scales)
    return (Segmentation if data.task == "segmentation" else Classification)(label_smoothing)
