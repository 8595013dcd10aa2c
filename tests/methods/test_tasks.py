"""What is predicted: classes, values, masks; against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from adaptgan.data.batch import Batch
from adaptgan.datainfo import DataInfo
from adaptgan.methods.base import ClassifierMethod, Phase
from adaptgan.methods.tasks import task_of
from adaptgan.methods.two_domains import measure_classes, measure_domains
from adaptgan.plugins import components
from adaptgan.testing.data import tiny_batch, tiny_info, tiny_side

VALUES = DataInfo(1, 16, 16, ("a", "b"), "regression", ("slant", "thickness"), ((10.0, 4.0), (2.0, 0.5)))


def test_outputs_follow_the_task() -> None:
    assert VALUES.n_outputs == 2
    assert DataInfo(1, 16, 16, ("a", "b", "c")).n_outputs == 3
    assert DataInfo(1, 16, 16, ("ground", "digit"), "segmentation").n_outputs == 2


def test_regression_is_learned_standardized_and_predicted_in_its_units() -> None:
    task = task_of(VALUES)
    labels = torch.tensor([[14.0, 2.0], [6.0, 3.0]])
    outputs = torch.tensor([[0.5, 0.0], [-1.0, 1.0]])
    standardized = (labels.numpy() - [10, 2]) / [4, 0.5]
    assert task.loss(outputs, labels).item() == pytest.approx(np.mean((outputs.numpy() - standardized) ** 2))
    assert torch.equal(task.predict(outputs), torch.tensor([[12.0, 2.0], [6.0, 2.5]]))
    predicted = torch.tensor([[13.0, 2.5], [7.0, 3.0]])
    spread = labels.numpy().var(0)
    expected = np.mean(1 - ((predicted.numpy() - labels.numpy()) ** 2).mean(0) / spread)
    assert task.score(predicted, labels)["r2"] == pytest.approx(expected)


def test_a_perfect_regression_has_no_loss() -> None:
    task = task_of(VALUES)
    outputs = torch.randn(5, 2)
    assert task.loss(outputs, task.predict(outputs)).item() == pytest.approx(0, abs=1e-9)


def test_segmentation_classifies_every_pixel() -> None:
    task = task_of(DataInfo(1, 4, 4, ("ground", "digit"), "segmentation"))
    logits, masks = torch.randn(3, 2, 4, 4).double(), torch.randint(2, (3, 4, 4))
    p = logits.exp() / logits.exp().sum(1, keepdim=True)
    picked = p.gather(1, masks[:, None])
    assert task.loss(logits, masks).item() == pytest.approx(-picked.log().mean().item())
    assert task.score(p, masks)["accuracy"] == pytest.approx(((p[:, 1] > 0.5) == masks.bool()).double().mean().item())


@pytest.mark.parametrize("name", ["supervised", "dann"])
def test_a_method_regresses(name: str) -> None:
    options = {"classifier": {"name": "conv_classifier", "widths": [4, 4], "hidden": 8}, "augmentation": "none"}
    method = components().build("method", {"name": name, **options}, name, [VALUES])
    assert isinstance(method, ClassifierMethod)
    side = tiny_side(DataInfo(1, 16, 16, ("a", "b")), 6, 0)
    side.labels_N = torch.randn(6, 2) * 3
    real = tiny_side(DataInfo(1, 16, 16), 6, 0, labels=False, salt=1)
    losses = method.phases()[0].loss(Batch(side, real, 0, 0.0))
    assert losses["task"].shape == () and losses["task"].requires_grad
    method.eval()
    assert method.predict(side.images_NCHW).shape == (6, 2)
    assert set(method.score(side)) == {"source_r2"}


def test_labelled_target_images_add_a_term_of_their_own() -> None:
    info = tiny_info(size=16)
    method = components().build("method", {"name": "dann", "augmentation": "none"}, "dann", [info])
    batch = tiny_batch(info)
    assert "labelled" not in method.phases()[0].loss(batch)
    batch.labelled = tiny_side(info, 4, 50)
    method.eval()  # no dropout, running statistics: the two passes below are equal
    got = method.loss(batch)["labelled"]
    expected = F.cross_entropy(method.classifier(batch.labelled.images_NCHW), batch.labelled.labels)
    assert got.item() == pytest.approx(expected.item(), rel=1e-5)


def test_measures() -> None:
    batch = tiny_batch()
    measure_domains(batch, torch.tensor([1.0, -1.0, 2.0, 3.0]), torch.tensor([1.0, 1.0, 0.0, 1.0]))
    measure_classes(batch, torch.tensor([[1.0, 0.0, 0.0], [3.0, 0.0, 1.0], [0.0, 0.0, 1.0], [0.0, 2.0, 1.0]]))
    assert batch.measures["domain_accuracy"].item() == 0.5
    assert batch.measures["largest_class"].item() == 0.5


def test_shares_of_the_training_become_steps() -> None:
    phase = Phase("x", (), lambda batch: {}, None, start=0.25, stop=0.5).scheduled(40)  # type: ignore[arg-type]
    assert [step for step in range(40) if phase.active(step)] == list(range(10, 20))
    whole = Phase("x", (), lambda batch: {}, None, start=3, stop=1.0).scheduled(5)  # type: ignore[arg-type]
    assert [step for step in range(5) if whole.active(step)] == [3, 4]
