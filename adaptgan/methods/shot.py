"""SHOT: source hypothesis transfer (Liang et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm as normalized_weights
from torch.nn.utils.parametrize import is_parametrized

from adaptgan.components import nested
from adaptgan.data.batch import Batch
from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.methods.base import ClassifierMethod, Losses, OptimizerOptions, Phase
from adaptgan.methods.heads import Assembled, take_head
from adaptgan.methods.tasks import Classification
from adaptgan.methods.two_domains import measure_classes
from adaptgan.objectives.entropy import entropy


class SHOT(ClassifierMethod):
    """A source classifier's last layer, the hypothesis h, is kept; the encoder g is fitted to it on the target alone.

        min_g,h  CE(h(g(x_s)), y_s), labels smoothed                                            for a first share, then
        min_g    mean H(p) − δ H(mean p) + β CE(p, ŷ(x_t)),  p = h(g(x_t))              (eq. 3 and 7, no source image)

    ŷ is the class of the nearest centroid by the cosine of g(x_t): of the centroids weighted by p (eq. 5, first round),
    then of those of the classes so found (eq. 6, second round).

    The paper computes the centroids from all target images at the start of each epoch. A method here sees batches, not
    data sets, so both rounds keep running sums: each batch's features are added to the sums times `momentum`. The
    centroids so are those of the last 1 / (1 − momentum) batches, of an encoder that hardly moved meanwhile; they are
    never an epoch old, and rarer classes' are noisier. As in the authors' code, ŷ is read from plain images with the
    running statistics, the loss from augmented ones.

    Args:
        data: the classes.
        classifier: g and h; a network that ends in a layer `head`, which is h.
        augmentation: what is done to the images that are learned from.
        source: share of the training on the source.
        pseudo_labels: β; the paper has 0.3, for digits 0.1.
        diversity: δ.
        momentum: of the running centroids.
        weight_norm: h's weights as direction and length, as the paper's.
        label_smoothing: share of the label spread over all classes, in the source's part.
        optimizer: how g and h learn on the source.
        target_optimizer: how g learns on the target.
    """

    needs_target = True
    training_only = ("soft_KF", "hard_KF")

    soft_KF: torch.Tensor
    hard_KF: torch.Tensor

    def __init__(
        self,
        data: DataInfo,
        classifier: nn.Module = nested("network", "conv_classifier"),
        augmentation: nn.Module = nested("augmentation", "warp"),
        source: Annotated[float, Field(gt=0, lt=1)] = 0.5,
        pseudo_labels: float = 0.3,
        diversity: float = 1.0,
        momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9,
        weight_norm: bool = True,
        label_smoothing: float = 0.1,
        optimizer: OptimizerOptions = OptimizerOptions(
            "sgd", lr=0.01, momentum=0.9, weight_decay=1e-3, schedule="inverse_decay"
        ),
        target_optimizer: OptimizerOptions = OptimizerOptions(
            "sgd", lr=0.01, momentum=0.9, weight_decay=1e-3, schedule="inverse_decay"
        ),
    ) -> None:
        super().__init__()
        self.head = take_head(classifier)
        if weight_norm and not is_parametrized(self.head):
            if not isinstance(self.head, nn.Linear):
                raise ParamsError(
                    f"shot: weight_norm is for a linear last layer, this network's `head` is a "
                    f"{type(self.head).__name__}. Set `weight_norm: false`."
                )
            normalized_weights(self.head)
        self.encoder, self.augmentation = classifier, augmentation
        self.source, self.pseudo_labels, self.diversity, self.momentum = source, pseudo_labels, diversity, momentum
        self.task = Classification(label_smoothing)
        self.optimizer, self.target_optimizer = optimizer, target_optimizer
        n_features: int = classifier.n_features  # type: ignore[assignment]
        for name in ("soft_KF", "hard_KF"):
            self.register_buffer(name, torch.zeros(data.n_classes, n_features))

    def phases(self) -> Sequence[Phase]:
        """The source, then the target."""
        both = ("encoder", "head")
        return [
            Phase("source", both, self.source_loss, self.optimizer, stop=self.source),
            Phase("target", ("encoder",), self.target_loss, self.target_optimizer, start=self.source),
        ]

    def predictor(self) -> nn.Module:
        """Encoder and head."""
        return Assembled(self.encoder, self.head)

    def source_loss(self, batch: Batch) -> Losses:
        """Cross-entropy."""
        x_NCHW = self.augmentation(batch.source.images_NCHW, batch.source.seeds_N)
        return {"task": self.task.loss(self.predictor()(x_NCHW), batch.source.labels)}

    def target_loss(self, batch: Batch) -> Losses:
        """Sure of each image, of all classes together, and faithful to the centroids."""
        target = batch.real
        label_N = self.label(target.images_NCHW)
        logits_NK = self.predictor()(self.augmentation(target.images_NCHW, target.seeds_N)).float()
        measure_classes(batch, logits_NK)
        p_NK = logits_NK.softmax(1)
        return {
            "entropy": entropy(p_NK).mean(),
            "diversity": -self.diversity * entropy(p_NK.mean(0)),
            "pseudo_labels": self.pseudo_labels * F.cross_entropy(logits_NK, label_N),
        }

    @torch.no_grad()
    def label(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """ŷ, (N,), after both rounds' running sums took in these images."""
        self.encoder.eval()
        logits_NK, features_NF = self.predictor()(images_NCHW, features=True)
        self.encoder.train()
        unit_NF, p_NK = F.normalize(features_NF.float(), dim=1), logits_NK.float().softmax(1)
        first_N = self._nearest(unit_NF, self._add(self.soft_KF, p_NK, unit_NF))
        return self._nearest(unit_NF, self._add(self.hard_KF, F.one_hot(first_N, p_NK.shape[1]).float(), unit_NF))

    def _add(self, sums_KF: torch.Tensor, weights_NK: torch.Tensor, unit_NF: torch.Tensor) -> torch.Tensor:
        with torch.autocast(unit_NF.device.type, enabled=False):
            return sums_KF.mul_(self.momentum).add_(weights_NK.T @ unit_NF)

    @staticmethod
    def _nearest(unit_NF: torch.Tensor, sums_KF: torch.Tensor) -> torch.Tensor:
        """The class whose centroid has the largest cosine; a sum points where its mean does. None has no image yet."""
        with torch.autocast(unit_NF.device.type, enabled=False):
            cosine_NK = unit_NF @ F.normalize(sums_KF, dim=1).T
        return cosine_NK.masked_fill(sums_KF.abs().sum(1) == 0, -torch.inf).argmax(1)
