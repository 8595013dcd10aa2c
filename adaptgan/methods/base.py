"""A method is a list of phases; the loop owns devices, optimizers, precision and checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from torch import nn

from adaptgan.data.batch import Batch, Side
from adaptgan.datainfo import DataInfo, TaskName
from adaptgan.methods.tasks import Classification, Task

Losses = dict[str, torch.Tensor]
"""Named scalar terms; their sum is minimized."""


@dataclass(frozen=True)
class OptimizerOptions:
    """How one player learns.

    Attributes:
        name: the algorithm.
        lr: learning rate at its peak.
        betas: decay of Adam's first and second moments.
        eps: what Adam adds to the root of the second moment; gradients well below it move little.
        momentum: of sgd.
        weight_decay: L2 for adam, sgd and rmsprop, decoupled for adamw.
        schedule: how the rate moves with p = (step - start) / (stop - start) of its phase: `constant`; `linear`:
            constant for the first half, then to 0 (CycleGAN); `cosine`: to 0; `one_cycle`: linear up over the first
            tenth, cosine to 0; `inverse_decay`: lr / (1 + 10p)^0.75 (Ganin 2016).
        warmup: steps over which the rate first rises from a fifth of its scheduled value.
        clip: largest norm of the gradient, 0 for no limit.
    """

    name: Literal["adam", "adamw", "sgd", "rmsprop"] = "adam"
    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: Literal["constant", "linear", "cosine", "one_cycle", "inverse_decay"] = "constant"
    warmup: int = 0
    clip: float = 0.0


@dataclass(frozen=True)
class Phase:
    """One player's turn in a training step.

    Attributes:
        name: what the losses are filed under: `discriminator/adversarial`.
        trains: the method's modules that learn in it; all others are frozen for its duration.
        loss: gives the named terms whose sum is minimized. A tensor that a later phase can use again goes into
            `batch.shared`.
        optimizer: phases that train the same modules with equal options share one optimizer.
        repeats: turns in a row, each on a batch of its own (WGAN's n_critic, SimGAN's K_g).
        every: take a turn only each n-th step (StyleGAN2's lazy regularization).
        start: first step of this phase; a float is a share of the whole training.
        stop: the step it ends before, or a share of the training; None for the end.
        keeps: modules that do not learn in it, but whose graph a later phase of the same step goes through: this
            turn's images of a generator, made once for both players. They are not frozen; detach what they gave.
        partial: its loss does not reach every weight of what it trains (a gradient penalty alone reaches no last bias).
            Several processes then exchange gradients after the backward pass.
        after: called after each optimizer step, without gradients (an EMA, a weight clip, an image history).
    """

    name: str
    trains: tuple[str, ...]
    loss: Callable[[Batch], Losses]
    optimizer: OptimizerOptions
    repeats: int = 1
    every: int = 1
    start: int | float = 0
    stop: int | float | None = None
    after: Callable[[Batch], None] | None = None
    keeps: tuple[str, ...] = ()
    partial: bool = False

    def scheduled(self, steps: int) -> Phase:
        """The same phase with shares of the training turned into steps."""
        start = round(self.start * steps) if isinstance(self.start, float) else self.start
        stop = round(self.stop * steps) if isinstance(self.stop, float) else self.stop
        return replace(self, start=start, stop=stop)

    def active(self, step: int) -> bool:
        """Whether it takes its turn at this step."""
        inside = self.start <= step and (self.stop is None or step < self.stop)
        return inside and (step - self.start) % self.every == 0


class Method(nn.Module):
    """Networks and their losses: one paper.

    All state that must survive an interruption is in parameters and buffers, so that `state_dict()` is the whole truth.
    """

    needs_target: ClassVar[bool] = False
    """Whether it cannot train without unlabelled target images."""

    needs_labels: bool = True
    """Whether it cannot train without source labels; a method may know only once it is built."""

    needs_pairs: ClassVar[bool] = False
    """Whether it learns from source images that each have a pair (`Side.paired`): the translation that is wanted."""

    conditions: ClassVar[tuple[str, ...]] = ()
    """Annotations of the source that it learns from (`caption`): batches carry what `encode_conditions` makes of
    them."""

    frames: int = 0
    """How many further frames of its sequence it needs with each source image (`Side.frames`)."""

    frame_order: ClassVar[Literal["random", "following"]] = "random"
    """Which frames these are: others of the sequence, or those right after the image."""

    tasks: ClassVar[tuple[TaskName, ...]] = ("classification",)
    """What it can learn: which truth its labels are. The first is what `learns` means when nobody says."""

    takes_labelled: ClassVar[bool] = False
    """Whether it also learns from a few labelled images of the target domain (`train --labelled`)."""

    labels_are_domains: ClassVar[bool] = False
    """Whether the source's labels tell domains (StarGAN), of which a guard, who reads classes, need not know."""

    moves_pixels: bool = False
    """Whether a translation may move what is in the image; class labels survive that, boxes and keypoints do not."""

    translates: ClassVar[Literal["image", "mask", "conditions"]] = "image"
    """What `translate` starts from: an image; a map of the pixels' classes, int64 (N, H, W) (SPADE); or what
    `encode_conditions` makes of a record's annotations, (N, …): the record's own image is not looked at."""

    enlarges: int = 1
    """How many times as high and wide a translation is as what it starts from (super-resolution)."""

    domains: tuple[str, ...] = ()
    """Names of the domains that `translate(…, to=…)` goes to, the first when nobody says; empty where there is one."""

    training_only: ClassVar[tuple[str, ...]] = ()
    """Children that checkpoints keep and the final model leaves out (an image history)."""

    eager: tuple[str, ...] = ()
    """Children that `training.compile` leaves as they are: torch.compile cannot differentiate twice, which a gradient
    penalty asks of a critic."""

    info: DataInfo
    card: dict[str, Any]

    def phases(self) -> Sequence[Phase]:
        """The players' turns within one step, in order."""
        raise NotImplementedError

    def samples(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Named image batches (NCHW, float in [-1, 1]) that show how training goes; none by default."""
        return {}

    def encode_conditions(self, annotations: dict[str, Any]) -> np.ndarray:
        """One record's `conditions` as an array, of the same shape and dtype for every record.

        Called once for each record before training, and for each that is translated.

        Raises:
            DataError: they cannot be encoded.
        """
        raise NotImplementedError

    def score(self, held_out: Side) -> dict[str, float]:
        """Scores on held-out source images; none by default."""
        return {}


@runtime_checkable
class Translator(Protocol):
    """A method that turns an image of one domain into one of another.

    One that has `domains` takes a further argument `to`, the name of one of them.
    """

    def translate(self, images_NCHW: torch.Tensor, seeds_N: torch.Tensor | None = None) -> torch.Tensor:
        """Translated images, NCHW in [-1, 1].

        Args:
            images_NCHW: in [-1, 1]; where the method `translates` a mask, int64 (N, H, W) class indices; where it
                translates conditions, those, (N, …).
            seeds_N: int64, decide the noise of a method that has some; an image's noise depends on its own seed alone,
                not on the others in the batch. Without them there is no noise, or that of the global generator.
        """
        ...


@runtime_checkable
class Sampler(Protocol):
    """A method that makes images from noise."""

    @property
    def conditional(self) -> bool:
        """Whether the classes asked for decide what is made; else they only say how many."""
        ...

    def sample(
        self, labels_N: torch.Tensor, generator: torch.Generator, truncation: float | None = None
    ) -> torch.Tensor:
        """Images of the given classes, NCHW in [-1, 1]; a smaller truncation trades variety for quality."""
        ...


@runtime_checkable
class Predictor(Protocol):
    """A method that classifies."""

    def predict(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """Class probabilities, (N, K), of images in [-1, 1]."""
        ...

    def features(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """The representation before the last layer, (N, F)."""
        ...


class ClassifierMethod(Method):
    """Base of the methods whose product is one predictor; subclasses set `self.classifier`.

    A subclass that can learn more than classes takes a parameter `data: DataInfo` and sets
    `self.task = task_of(data, …)`.
    """

    classifier: nn.Module
    augmentation: nn.Module
    task: Task = Classification()

    def predictor(self) -> nn.Module:
        """The network that predicts: the classifier, or its teacher."""
        return self.classifier

    def predict(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """What the task is about, of images in [-1, 1]: class probabilities (N, K), values, or pixels' classes."""
        return self.task.predict(self.predictor()(images_NCHW))

    def features(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """The representation before the last layer, (N, F)."""
        features_NF: torch.Tensor
        _, features_NF = self.predictor()(images_NCHW, features=True)
        return features_NF

    def predict_with_features(self, images_NCHW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What `predict` and `features` give, in one pass."""
        outputs, features_NF = self.predictor()(images_NCHW, features=True)
        return self.task.predict(outputs), features_NF

    def labelled_loss(self, batch: Batch) -> Losses:
        """The task loss on the few labelled target images; no term when there are none."""
        if batch.labelled is None:
            return {}
        x_NCHW = self.augmentation(batch.labelled.images_NCHW, batch.labelled.seeds_N)
        return {"labelled": self.task.loss(self.classifier(x_NCHW), batch.labelled.labels)}

    def score(self, held_out: Side) -> dict[str, float]:
        """The task's score on held-out source images."""
        if held_out.labels_N is None:
            return {}
        predicted = torch.cat([self.predict(part) for part in held_out.images_NCHW.split(512)])
        return {f"source_{name}": value for name, value in self.task.score(predicted, held_out.labels_N).items()}


@dataclass(frozen=True)
class Guard:
    """A frozen classifier of the source that a translator can ask whether a label survived.

    A method asks for it by annotating a parameter `guard: Guard`. It is no part of the method's own weights.
    """

    filled_by_builder: ClassVar[bool] = True

    model: Any = None

    @property
    def classifier(self) -> nn.Module:
        """The frozen network, (N, C, H, W) -> logits (N, K).

        Raises:
            ParamsError: the stage was given no guard.
        """
        from adaptgan.errors import ParamsError

        if self.model is None:
            raise ParamsError(
                "this method's semantic term needs a frozen classifier of the source. Give one with `--guard DIR` "
                "(a trained classifier), or set its weight `semantic` to 0."
            )
        network: nn.Module = self.model.predictor()
        return network
