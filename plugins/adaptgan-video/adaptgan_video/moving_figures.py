"""Videos of articulated figures and digits, drawn frame by frame, with the truth about their motion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import cv2
import numpy as np
from pydantic import Field

from adaptgan.data.records import Record
from adaptgan.data.sources.base import check_split, generator
from adaptgan.data.sources.photos import Tile, patch, tiles
from adaptgan.data.sources.rendered import DIGITS
from adaptgan_video.actors import SUPER, Actor, Colour, Digit, Figure, capsule

_CONTRAST, _COLOURS = 130.0, 10
"""Least distance in RGB of a part's colour from the ground, and how many colours are tried."""

_BONE = 0.022
"""Width of a bone of a pose map, as a share of the image."""


@dataclass(frozen=True)
class Scene:
    """One video: who moves, before what.

    Attributes:
        actor: who.
        ground_HW3: uint8, what is behind.
        label: of all its frames.
        provenance: how it came about.
    """

    actor: Actor
    ground_HW3: np.ndarray
    label: int
    provenance: dict[str, Any]


class MovingFigures:
    """Videos of a figure of capsules, or of a digit, that moves smoothly before a still ground; RGB, a record a frame.

    Annotations: `sequence` (text) and `frame` (from 0); `keypoints`, where the joints are, [x, y] in pixels (a pixel's
    centre is half a pixel from its corner), of parts that are hidden too; `joints` of a figure are in `actors.Figure`.
    Every video depends on seed, split and number alone; `train` and `test` share no appearance and no motion, except
    that `identities` are the same people in both.

    With `pose` a record's image is the pose, bones in colours of their own on black, and its `paired` image the frame:
    what a pose-to-frame translator shall make of it.

    Args:
        sequences: how many videos.
        frames: of each.
        image_size: height and width, in pixels.
        kind: who moves: a `figure`, a `digit`, or `both` in turns. The label tells which digit, or of `both` the kind.
        background: `plain`, a `gradient` between two colours, or a `photo`.
        identities: so many people (figure or digit, colours, proportions, ground) for all videos, in turns, whom the
            label tells apart; without, every video has one of its own.
        speed: swings of a joint per frame, about.
        pose: give pairs of poses and frames.
        pose_noise: standard deviation in pixels of what a pose detector gets wrong, on every joint and frame by itself;
            in the drawn pose alone, not in `keypoints`.
        photos: a folder of your own photos for `photo`, used in place of the bundled ones.
    """

    def __init__(
        self,
        sequences: Annotated[int, Field(ge=1)] = 200,
        frames: Annotated[int, Field(ge=1)] = 16,
        image_size: Annotated[int, Field(ge=16, le=512)] = 64,
        kind: Literal["figure", "digit", "both"] = "figure",
        background: Literal["plain", "gradient", "photo"] = "gradient",
        identities: Annotated[int, Field(ge=1)] | None = None,
        speed: Annotated[float, Field(gt=0, le=0.5)] = 0.035,
        pose: bool = False,
        pose_noise: Annotated[float, Field(ge=0)] = 0.0,
        photos: str | None = None,
    ) -> None:
        self.sequences, self.frames, self.image_size = sequences, frames, image_size
        self.kind, self.background, self.identities, self.speed = kind, background, identities, speed
        self.pose, self.pose_noise, self.photos = pose, pose_noise, photos
        self.total = sequences * frames
        if identities:
            self.classes: tuple[str, ...] = tuple(f"identity {number}" for number in range(identities))
        else:
            self.classes = {"figure": ("figure",), "digit": DIGITS, "both": ("figure", "digit")}[kind]

    def records(self, split: str, seed: int) -> Iterator[Record]:
        """`frames` records of each of `sequences` videos, one video after the other."""
        check_split(split, ("train", "test"), "moving_figures")
        # People that both splits know stand before the same photos, too.
        shown = "train" if self.identities else split
        photos = tiles(self.photos, shown, "moving_figures") if self.background == "photo" else []
        return (record for number in range(self.sequences) for record in self._video(number, photos, split, seed))

    def _video(self, number: int, photos: list[Tile], split: str, seed: int) -> Iterator[Record]:
        scene = self._scene(number, photos, split, seed)
        name = f"{split}_{number:06d}"
        misses = generator("moving_figures", "pose", seed, split, number)
        for frame in range(self.frames):
            places_J2 = scene.actor.places(frame)
            image = self._frame(scene, places_J2)
            annotations = {
                "sequence": name,
                "frame": frame,
                "keypoints": (places_J2 * self.image_size).round(3).tolist(),
            }
            drawn, pair = image, None
            if self.pose:
                noise_J2 = misses.standard_normal(places_J2.shape) * self.pose_noise / self.image_size
                drawn, pair = pose_map(scene.actor, places_J2 + noise_J2, self.image_size), image
            key = f"{name}_{frame:04d}"
            yield Record(key, drawn, scene.label, annotations, dict(scene.provenance), paired=pair)

    def _scene(self, number: int, photos: list[Tile], split: str, seed: int) -> Scene:
        motion = generator("moving_figures", seed, split, number)
        person = number if self.identities is None else number % self.identities
        whose = split if self.identities is None else "everywhere"
        look = generator("moving_figures", "look", seed, whose, person)
        digit = self.kind == "digit" or (self.kind == "both" and person % 2 == 1)
        ground_HW3, told = self._ground(photos, look)
        parts = Digit.parts if digit else Figure.parts
        colours = {part: _colour(ground_HW3, look) for part in parts}
        value = int(look.integers(len(DIGITS)))
        actor: Actor = (
            Digit(motion, self.speed, value, colours, self.image_size, look)
            if digit
            else Figure(motion, self.speed, colours, look)
        )
        label = person if self.identities else value if self.kind == "digit" else int(digit)
        kind = {"kind": "digit", "digit": value} if digit else {"kind": "figure"}
        provenance = {**kind, "colours": {part: list(colour) for part, colour in colours.items()}, **told}
        return Scene(actor, ground_HW3, label, provenance)

    def _ground(self, photos: list[Tile], draw: np.random.Generator) -> tuple[np.ndarray, dict[str, Any]]:
        """What is behind, uint8 (S, S, 3), and how it came about."""
        size = self.image_size
        if self.background == "photo":
            file, corner, pixels = photos[int(draw.integers(len(photos)))]
            cut, (left, top, side) = patch(pixels, size, draw)
            return np.ascontiguousarray(cut), {"photo": file, "patch": [corner[0] + left, corner[1] + top, side, side]}
        first, second = draw.integers(0, 256, (2, 3))
        if self.background == "plain":
            second = first
        angle = float(draw.uniform(0, 2 * np.pi))
        axis = (np.arange(size) + 0.5) / size - 0.5
        along_HW = np.cos(angle) * axis[None, :] + np.sin(angle) * axis[:, None]
        # Half-way to the second colour at the far corner: a ground that is darker here than there, not a rainbow.
        share_HW1 = (along_HW / np.sqrt(2) + 0.5)[:, :, None] / 2
        ground = first + share_HW1 * (second - first)
        return ground.round().astype(np.uint8), {"background": [first.tolist(), second.tolist()]}

    def _frame(self, scene: Scene, places_J2: np.ndarray) -> np.ndarray:
        size = self.image_size
        canvas = scene.ground_HW3.astype(np.float32).repeat(SUPER, 0).repeat(SUPER, 1)
        scene.actor.paint(canvas, places_J2)
        return _shrunk(canvas, size)


def pose_map(actor: Actor, places_J2: np.ndarray, size: int) -> np.ndarray:
    """Bones as lines on black, each of a hue of its own, uint8 (S, S, 3)."""
    canvas = np.zeros((SUPER * size, SUPER * size, 3), np.float32)
    for number, (start, end) in enumerate(actor.bones):
        hue = np.array([[[180 * number // len(actor.bones), 255, 255]]], np.uint8)
        red, green, blue = cv2.cvtColor(hue, cv2.COLOR_HSV2RGB)[0, 0].tolist()
        capsule(canvas, places_J2[start], places_J2[end], _BONE, (red, green, blue))
    return _shrunk(canvas, size)


def _shrunk(canvas: np.ndarray, size: int) -> np.ndarray:
    shrunk: np.ndarray = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)
    return shrunk.round().clip(0, 255).astype(np.uint8)


def _colour(ground_HW3: np.ndarray, draw: np.random.Generator) -> Colour:
    """The first of some colours to stand out from the ground's mean, or the one that does most."""
    tried_T3 = draw.integers(0, 256, (_COLOURS, 3))
    distance_T = np.linalg.norm(tried_T3 - ground_HW3.reshape(-1, 3).mean(0), axis=1)
    red, green, blue = tried_T3[int(np.argmax(np.minimum(distance_T, _CONTRAST)))].tolist()
    return red, green, blue
