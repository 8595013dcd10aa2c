"""CycleGAN as the authors' code and tutorials have it: what the bench of that name measures ours against."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import torch
from torch import nn

Draw = Callable[[int, int], list[int | None]]
"""For a batch of so many images and a history of so many: each image's place, or None for those that pass by."""


def generator(channels: int, width: int, blocks: int) -> nn.Sequential:
    """The authors' ResNet, for images of so many channels."""

    def active(count: int) -> list[nn.Module]:
        return [nn.InstanceNorm2d(count), nn.ReLU(inplace=True)]

    layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(channels, width, 7), *active(width)]
    for inside in (width, 2 * width):
        layers += [nn.Conv2d(inside, 2 * inside, 3, stride=2, padding=1), *active(2 * inside)]
    layers += [Block(4 * width) for _ in range(blocks)]
    for inside in (4 * width, 2 * width):
        up = nn.ConvTranspose2d(inside, inside // 2, 3, stride=2, padding=1, output_padding=1)
        layers += [up, *active(inside // 2)]
    return nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, channels, 7), nn.Tanh())


class Block(nn.Module):
    """x + norm(conv(relu(norm(conv(x)))))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        once = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width)]
        again = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width)]
        self.layers = nn.Sequential(*once, nn.ReLU(inplace=True), *again)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = x + self.layers(x)
        return result


def discriminator(channels: int, width: int, depth: int) -> nn.Sequential:
    """The authors' PatchGAN."""
    widths = [width * min(8, 2**level) for level in range(depth + 1)]
    layers: list[nn.Module] = [nn.Conv2d(channels, widths[0], 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
    for level, (inside, outside) in enumerate(itertools.pairwise(widths), 1):
        conv = nn.Conv2d(inside, outside, 4, 2 if level < depth else 1, 1)
        layers += [conv, nn.InstanceNorm2d(outside), nn.LeakyReLU(0.2, inplace=True)]
    return nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, 1, 1))


def same_weights(book: nn.Module, ours: nn.Module) -> nn.Module:
    """Ours', layer by layer; a bias that ours leave out, since a norm follows, begins at 0."""
    kinds = (nn.Conv2d, nn.ConvTranspose2d)
    pairs = zip(
        [module for module in book.modules() if isinstance(module, kinds)],
        [module for module in ours.modules() if isinstance(module, kinds)],
        strict=True,
    )
    with torch.no_grad():
        for mine, theirs in pairs:
            mine.weight.copy_(theirs.weight)
            assert mine.bias is not None
            mine.bias.zero_() if theirs.bias is None else mine.bias.copy_(theirs.bias)
    return book


class ImagePool:
    """The authors' history: images in a list, one by one.

    Args:
        capacity: how many it holds.
        draw: where images go once it is full; a coin for each, and any place, when not given.
    """

    def __init__(self, capacity: int, draw: Draw | None = None) -> None:
        self.capacity, self.draw, self.images = capacity, draw or self._any, list[torch.Tensor]()

    def _any(self, count: int, stored: int) -> list[int | None]:
        return [random.randrange(self.capacity) if random.random() < 0.5 else None for _ in range(count)]

    def query(self, fresh: torch.Tensor) -> torch.Tensor:
        """What the discriminator gets."""
        returned = []
        places = iter(self.draw(len(fresh), len(self.images)))
        for image in fresh:
            if len(self.images) < self.capacity:
                self.images.append(image)
                returned.append(image)
                continue
            place = next(places)
            if place is None:
                returned.append(image)
            else:
                returned.append(self.images[place])
                self.images[place] = image
        return torch.stack(returned)


class Textbook:
    """CycleGAN in plain PyTorch.

    Args:
        networks: G, F, D_Y and D_X.
        steps: of the whole training, for the rate's decay.
        capacity: of each history.
        draw: what decides where images of a history go.
    """

    def __init__(self, networks: list[nn.Module], steps: int, capacity: int = 50, draw: Draw | None = None) -> None:
        self.networks = networks
        self.g, self.f, self.d_y, self.d_x = networks
        self.pool_y, self.pool_x = ImagePool(capacity, draw), ImagePool(capacity, draw)
        makers = [*self.g.parameters(), *self.f.parameters()]
        judges = [*self.d_y.parameters(), *self.d_x.parameters()]
        self.for_makers, self.for_judges = (torch.optim.Adam(p, 2e-4, betas=(0.5, 0.999)) for p in (makers, judges))
        decay = lambda step: min(1.0, 2 - 2 * step / steps)  # noqa: E731 - as the authors write it
        self.schedules = [torch.optim.lr_scheduler.LambdaLR(one, decay) for one in (self.for_makers, self.for_judges)]
        self.mse, self.l1 = nn.MSELoss(), nn.L1Loss()

    def against(self, logits: torch.Tensor, wanted: float) -> torch.Tensor:
        """The least-squares GAN's loss."""
        loss: torch.Tensor = self.mse(logits, torch.full_like(logits, wanted))
        return loss

    def step(self, x: torch.Tensor, y: torch.Tensor) -> dict[str, float]:
        """One step; its losses by the names that ours have."""
        for judge in (self.d_y, self.d_x):
            judge.requires_grad_(False)
        self.for_makers.zero_grad()
        losses = {"generators/identity": 5.0 * self.l1(self.g(y), y)}
        losses["generators/back_identity"] = 5.0 * self.l1(self.f(x), x)
        made, back = self.g(x), self.f(y)
        losses["generators/adversarial"] = self.against(self.d_y(made), 1.0)
        losses["generators/back_adversarial"] = self.against(self.d_x(back), 1.0)
        losses["generators/cycle"] = 10.0 * self.l1(self.f(made), x)
        losses["generators/back_cycle"] = 10.0 * self.l1(self.g(back), y)
        sum(losses.values(), torch.zeros((), device=x.device)).backward()
        self.for_makers.step()
        for judge in (self.d_y, self.d_x):
            judge.requires_grad_(True)
        self.for_judges.zero_grad()
        y_side = ("discriminator", self.d_y, self.pool_y, y, made)
        x_side = ("back_discriminator", self.d_x, self.pool_x, x, back)
        for name, judge, pool, real, fake in (y_side, x_side):
            losses[f"{name}/real"] = 0.5 * self.against(judge(real), 1.0)
            losses[f"{name}/translated"] = 0.5 * self.against(judge(pool.query(fake.detach())), 0.0)
            (losses[f"{name}/real"] + losses[f"{name}/translated"]).backward()
        self.for_judges.step()
        for schedule in self.schedules:
            schedule.step()
        return {name: value.item() for name, value in losses.items()}
