"""Watchdogs of two players: a generator that collapsed, a discriminator that has won, a divergence. Free of torch.

They read what `TwoPlayers.watch` and its kin log: `ranking`, `diversity` and `image_gradient`, the discriminator's
losses, and `largest_generated_class` where a guard looks on. The limits were set on trainings that went wrong on
purpose and on healthy ones (tests/training/test_collapse.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from adaptgan.training.readings import SHORTEST, Pool, Stretch, largest_plausible

MEASURES = {"ranking", "diversity", "image_gradient", "largest_generated_class"}
"""What is logged beside the losses."""

START = 0.1
"""Share of the training that says nothing of what is usual: fresh networks may begin with noise, which is diverse."""
EARLY = 0.25
"""Share of the training that is a player's early level; collapse is not asked for before: all begin with one image."""
LATE = 0.5
"""Share of the training by which generated images must have come to differ."""
ALIKE = 0.1
"""A diversity, as a share of the real images', at which they do not. Healthy trainings end at 0.6 to 1.4."""
SLOW = 1.5
"""How many times its early level a diversity that low must reach to count as one that grows."""
FELL = 1 / 3
"""The share of its own best, or of the real images' where that is less, at which diversity has fallen."""
CERTAIN = 0.98
"""A ranking at which the discriminator is never wrong. A healthy Wasserstein critic has it, too."""
VANISHED = 0.1
"""The share of its early level at which G's gradient has vanished."""
STEEP = 100.0
"""The root mean square of G's gradient at a pixel, each image for itself; healthy ones lie below 1."""
GROWN = 1000.0
"""How many times its least, or 1 where that is less, the discriminator's loss is when it has no bound."""


def mode_collapse(why: str) -> str:
    """The alarm's message."""
    return (
        f"{why} What usually helps: a critic with a gradient penalty (wgan_gp) or a spectrally normalized one (sngan), "
        "a lower learning rate of the generator or a higher one of the discriminator (`optimizer.lr`; two "
        "time-scales), a minibatch standard deviation in it, a larger batch, another loss than minimax "
        "(`adversarial`), and with few images an augmentation of all that the discriminator sees (`augmentation: "
        "diff_augment` or `ada`)."
    )


def discriminator_won(ranking: float, gradient: float) -> str:
    """The alarm's message; `gradient` is the share left of its early level."""
    return (
        f"the discriminator has won: it puts {100 * ranking:.1f}% of the real images above generated ones, and the "
        f"generator's gradient has fallen to {100 * gradient:.1f}% of what it was, so it no longer learns. What "
        "usually helps: a loss that does not saturate (`adversarial: non_saturating`, hinge or wasserstein), a lower "
        "learning rate of the discriminator or fewer of its turns (`repeats`), a gradient penalty or spectral "
        "normalization (`penalties`), a smaller discriminator, and with few images more of them or an augmentation of "
        "all that it sees (`augmentation: diff_augment` or `ada`)."
    )


def divergence(why: str) -> str:
    """The alarm's message."""
    return (
        f"{why} The training diverges. What usually helps: lower learning rates, a gradient penalty, r1 or spectral "
        "normalization (`penalties`; a Wasserstein critic must have one), a limit on the gradient (`optimizer.clip: "
        "1`), Adam's β₁ at 0 to 0.5, and precision 32-true."
    )


class TwoPlayersWatch:
    """Looks at one training's read-outs.

    Args:
        steps: of the whole training.
        classes: K that a guard tells apart; 0 where there are none.
        pixels: C·H·W of an image.
    """

    def __init__(self, steps: int, classes: int = 0, pixels: int = 1) -> None:
        self.steps = steps
        self._step = 0
        self._raised: set[str] = set()
        self._pool = Pool(steps)
        self._classes, self._pixels = classes, max(1, pixels)
        self._phases: dict[str, list[_Check]] = {}
        self._peaks: dict[str, float] = {}

    def see(self, step: int, means: Mapping[str, float]) -> dict[str, str]:
        """The alarms that a read-out raises, by name: each at most once in a training."""
        span, self._step = step - self._step, step
        if span <= 0 or self.steps < SHORTEST:
            return {}
        for key, value in means.items():
            if key.endswith("/image_gradient") and step <= EARLY * self.steps:  # unpooled: D may win within a block
                self._peaks[key] = max(self._peaks.get(key, 0.0), value)
        block = self._pool.add(step, span, means)
        return {} if block is None else self._judge(*block)

    def _judge(self, first: float, last: float, means: Mapping[str, float]) -> dict[str, str]:
        alarms: dict[str, str] = {}
        for key in means:
            phase, _, measure = key.rpartition("/")
            if measure not in MEASURES:
                continue
            if key not in self._phases:
                self._phases[key] = self._checks(phase, measure)
            for check in self._phases[key]:
                message = check(first, last, means)
                if message and check.name not in self._raised:
                    self._raised.add(check.name)
                    alarms[check.name] = message
        return alarms

    def _checks(self, phase: str, measure: str) -> list[_Check]:
        key = f"{phase}/{measure}"
        if measure == "diversity":
            return [Fallen(key), Alike(key)]
        if measure == "image_gradient":
            return [Steep(key, STEEP * math.sqrt(self._pixels))]
        if measure == "largest_generated_class" and self._classes > 1:
            return [OneClass(key, self._classes)]
        if measure == "ranking":
            return [Unbounded(phase), Won(phase, self._peaks)]
        return []


class _Check:
    """One condition on the blocks of some measures."""

    name: str

    def __call__(self, first: float, last: float, means: Mapping[str, float]) -> str | None:
        """The alarm's message as soon as it lasted."""
        raise NotImplementedError


class Fallen(_Check):
    """Diversity fell far below its own best, and stayed there.

    Args:
        key: of the diversity.
    """

    name = "mode_collapse"

    def __init__(self, key: str) -> None:
        self.key, self.best = key, 0.0
        self.stretch = Stretch(EARLY, 0.15, 0.1)

    def __call__(self, first: float, last: float, means: Mapping[str, float]) -> str | None:
        """Compare with the best so far."""
        mean = means[self.key]
        self.best = max(self.best, mean if first >= START - 1e-9 else 0.0)
        usual = min(1.0, self.best)
        if not self.stretch.lasted(first, last, mean < FELL * usual and usual > ALIKE):
            return None
        return mode_collapse(
            f"generated images differ from each other by {100 * mean:.1f}% of what real ones do, and once differed by "
            f"{100 * self.best:.0f}%: the generator has collapsed to a few images."
        )


class Alike(_Check):
    """In the second half generated images still hardly differ, and not much more than early: it is not just slow.

    Args:
        key: of the diversity.
    """

    name = "mode_collapse"

    def __init__(self, key: str) -> None:
        self.key, self.early = key, 0.0
        self.stretch = Stretch(LATE, 0.15, 0.1)

    def __call__(self, first: float, last: float, means: Mapping[str, float]) -> str | None:
        """Compare with the real images, and with the first quarter."""
        mean = means[self.key]
        if last <= EARLY + 1e-9 or not self.early:
            self.early = max(self.early, mean)
        if not self.stretch.lasted(first, last, mean < min(ALIKE, SLOW * self.early)):
            return None
        return mode_collapse(
            f"late in the training generated images differ from each other by {100 * mean:.1f}% of what real ones do: "
            "the generator has collapsed to a few images or, where `ranking` stays near 1, never found any others."
        )


class OneClass(_Check):
    """A guard takes most generated images for one class.

    Args:
        key: of its share.
        classes: K.
    """

    name = "mode_collapse"

    def __init__(self, key: str, classes: int) -> None:
        self.key, self.classes = key, classes
        self.stretch = Stretch(EARLY, 0.25, 0.1)

    def __call__(self, first: float, last: float, means: Mapping[str, float]) -> str | None:
        """Compare with an even split."""
        limit = largest_plausible(self.classes)
        if not self.stretch.lasted(first, last, means[self.key] > limit):
            return None
        return mode_collapse(
            f"the guard takes {100 * means[self.key]:.1f}% of the generated images for one class (an even split over "
            f"{self.classes} classes is {100 / self.classes:.0f}%; the alarm is at {100 * limit:.0f}%): the "
            "generator has collapsed, unless the real images are that one-sided."
        )


class Won(_Check):
    """D is never wrong, and G's gradient is a fraction of its early level.

    A ranking near 1 alone is no alarm: a Wasserstein critic is meant to be near its optimum.

    Args:
        phase: D's. Where its opponent logs no gradient, nothing can be said.
        peaks: the gradients' early levels, by key.
    """

    name = "discriminator_won"

    def __init__(self, phase: str, peaks: Mapping[str, float]) -> None:
        self.phase, self.peaks = phase, peaks
        self.stretch = Stretch(START, 0.15, 0.1)

    def __call__(self, first: float, last: float, means: Mapping[str, float]) -> str | None:
        """Both at once."""
        gradient, ranking = _opponent(self.phase, means), means[f"{self.phase}/ranking"]
        if gradient is None or not self.peaks.get(gradient):
            return None
        left = means[gradient] / self.peaks[gradient]
        if not self.stretch.lasted(first, last, ranking >= CERTAIN and left < VANISHED):
            return None
        return discriminator_won(ranking, left)


class Steep(_Check):
    """G's gradient at its images is beyond all that a discriminator of images should have.

    Args:
        key: of the gradient's norm.
        limit: for an image of this size.
    """

    name = "divergence"

    def __init__(self, key: str, limit: float) -> None:
        self.key, self.limit = key, limit
        self.stretch = Stretch(0.0, 0.1, 0.05)

    def __call__(self, first: float, last: float, means: Mapping[str, float]) -> str | None:
        """Compare with the limit."""
        if not self.stretch.lasted(first, last, means[self.key] > self.limit):
            return None
        return divergence(
            f"the norm of the generator's gradient at an image is {means[self.key]:.3g}; beyond {self.limit:.3g} the "
            "discriminator's answer turns on changes that nobody sees."
        )


class Unbounded(_Check):
    """The sum of D's losses is a thousand times what it was at its least.

    The sum, because a Wasserstein critic's two terms may drift together as far as they like; their difference is
    bounded by the images' distance.

    Args:
        phase: D's.
    """

    name = "divergence"

    def __init__(self, phase: str) -> None:
        self.phase = phase
        self.least = math.inf
        self.stretch = Stretch(0.0, 0.1, 0.05)

    def __call__(self, first: float, last: float, means: Mapping[str, float]) -> str | None:
        """Compare with the least so far."""
        terms = [key.rpartition("/") for key in means]
        total = abs(sum(means[f"{p}/{n}"] for p, _, n in terms if p == self.phase and n not in MEASURES))
        self.least = min(self.least, total)
        if not self.stretch.lasted(first, last, total > GROWN * max(1.0, self.least)):
            return None
        return divergence(
            f"the losses of the phase {self.phase} sum up to {total:.3g}, and were once at {self.least:.3g}: they grow "
            "without bound."
        )


def _opponent(phase: str, means: Mapping[str, float]) -> str | None:
    """The key of the gradient of the generator that plays against this discriminator.

    The one whose phase is called alike (`discriminator_16`, `generator_16`), else the only one there is.
    """
    gradients = [key for key in means if key.endswith("/image_gradient")]
    alike = phase.replace("discriminator", "generator") + "/image_gradient"
    if alike in gradients:
        return alike
    return gradients[0] if len(gradients) == 1 else None
