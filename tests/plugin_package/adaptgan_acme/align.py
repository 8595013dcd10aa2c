"""Acme's method."""

from __future__ import annotations

from torch import nn
from torch.nn import functional as F

from adaptgan import DataInfo, OptimizerOptions, Phase, nested
from adaptgan.data.batch import Batch
from adaptgan.methods.base import ClassifierMethod, Losses


class Align(ClassifierMethod):
    """A classifier whose target features a critic takes for source features.

    Args:
        data: shape and classes.
        classifier: what is trained.
        objective: what critic and classifier play for.
        weight: of the alignment.
        lr: learning rate of both.
    """

    needs_target = True

    def __init__(
        self,
        data: DataInfo,
        classifier: nn.Module = nested("network", "acme_mlp"),
        objective: object = nested("objective", "acme_hinge"),
        weight: float = 0.1,
        lr: float = 1e-3,
    ) -> None:
        super().__init__()
        self.classifier = classifier
        self.critic = nn.Linear(classifier.n_features, 1)  # type: ignore[arg-type]
        self.objective, self.weight, self.lr = objective, weight, lr

    def phases(self) -> list[Phase]:
        options = OptimizerOptions(lr=self.lr)
        return [
            Phase("classifier", ("classifier",), self.classify, options),
            Phase("critic", ("critic",), self.criticize, options),
        ]

    def classify(self, batch: Batch) -> Losses:
        logits_NK, source_NF = self.classifier(batch.source.images_NCHW, features=True)
        _, target_NF = self.classifier(batch.real.images_NCHW, features=True)
        batch.shared["features"] = source_NF.detach(), target_NF.detach()
        return {
            "cross_entropy": F.cross_entropy(logits_NK, batch.source.labels_N),
            "alignment": self.weight * self.objective.generator(self.critic(target_NF)).mean(),  # type: ignore[attr-defined]
        }

    def criticize(self, batch: Batch) -> Losses:
        source_NF, target_NF = batch.shared["features"]
        real, fake = self.objective.real, self.objective.fake  # type: ignore[attr-defined]
        return {"source": real(self.critic(source_NF)).mean(), "target": fake(self.critic(target_NF)).mean()}
