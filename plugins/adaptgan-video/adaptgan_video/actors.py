"""What moves: a figure of capsules with joints, and a digit that turns; both know where their joints are."""

from __future__ import annotations

import math
from typing import Protocol

import cv2
import numpy as np

from adaptgan.data.sources.rendered import RenderedDigits
from adaptgan_video.motions import Wave, wave

SUPER = 4
"""Frames are drawn at so many times their size, then averaged down: smooth edges, and motion by parts of a pixel."""

_SHIFT = 6
"""Binary digits after the point of the coordinates that OpenCV draws at."""

Colour = tuple[int, int, int]


class Actor(Protocol):
    """Something that moves."""

    @property
    def joints(self) -> tuple[str, ...]:
        """Names of its keypoints."""
        ...

    @property
    def bones(self) -> tuple[tuple[int, int], ...]:
        """Pairs of joints that a pose map joins by lines."""
        ...

    def places(self, frame: int) -> np.ndarray:
        """Where the joints are, float64 (J, 2): x and y, as shares of the image's side."""
        ...

    def paint(self, canvas_HW3: np.ndarray, places_J2: np.ndarray) -> None:
        """Draw it, with its joints at these places, onto a float32 canvas, 0..255, `SUPER` times enlarged."""
        ...


class Figure:
    """A person of eleven joints: capsules for limbs and torso, a circle for the head.

    The left limbs are near and hide the rest; the right ones are behind the torso.

    Args:
        draw: decides its proportions and how it moves.
        speed: swings of a joint per frame.
        colours: of its parts: `torso`, `head`, `left arm`, `right arm`, `left leg`, `right leg`.
        build: decides its proportions; `draw` when None.
    """

    joints = (
        "head",
        "neck",
        "left elbow",
        "left wrist",
        "right elbow",
        "right wrist",
        "pelvis",
        "left knee",
        "left ankle",
        "right knee",
        "right ankle",
    )
    bones = ((0, 1), (1, 6), (1, 2), (2, 3), (1, 4), (4, 5), (6, 7), (7, 8), (6, 9), (9, 10))
    parts = ("torso", "head", "left arm", "right arm", "left leg", "right leg")

    def __init__(
        self,
        draw: np.random.Generator,
        speed: float,
        colours: dict[str, Colour],
        build: np.random.Generator | None = None,
    ) -> None:
        shape = draw if build is None else build
        size = float(shape.uniform(0.9, 1.1))
        self.torso, self.arm, self.leg = 0.22 * size, 0.135 * size, 0.16 * size
        self.neck, self.radius = 0.11 * size, 0.07 * size * float(shape.uniform(0.9, 1.2))
        self.thick = float(shape.uniform(0.07, 0.09))
        self.colours = colours
        self.x, self.y = wave(draw, 0.5, 0.1, speed), wave(draw, 0.55, 0.03, speed)
        self.lean = wave(draw, 0.0, 0.15, speed)
        # Angles from straight down; the left side of the figure is to the right in the image.
        self.shoulders, self.elbows = (_both(draw, centre, reach, speed) for centre, reach in ((1.0, 1.0), (0.4, 0.7)))
        self.hips, self.knees = (_both(draw, centre, reach, speed) for centre, reach in ((0.3, 0.35), (-0.1, 0.3)))

    def places(self, frame: int) -> np.ndarray:
        """Where the joints are, (11, 2), as shares of the image's side."""
        lean = self.lean(frame)
        pelvis = np.array([self.x(frame), self.y(frame)])
        neck = pelvis - self.torso * _down(lean)
        head = neck - self.neck * _down(lean)
        found = [head, neck]
        for shoulder, elbow in zip(self.shoulders, self.elbows, strict=True):
            found += _limb(neck, self.arm, lean + shoulder(frame), elbow(frame))
        found.append(pelvis)
        for hip, knee in zip(self.hips, self.knees, strict=True):
            found += _limb(pelvis, self.leg, lean + hip(frame), knee(frame))
        return np.stack(found)

    def paint(self, canvas_HW3: np.ndarray, places_J2: np.ndarray) -> None:
        """Right limbs, torso, head, left limbs: what comes later hides what came before."""
        chains = (("right leg", 6, 9, 10), ("right arm", 1, 4, 5), ("torso", 1, 6), ("head", 0))
        for part, *chain in (*chains, ("left leg", 6, 7, 8), ("left arm", 1, 2, 3)):
            colour = self.colours[part]
            if part == "head":
                disc(canvas_HW3, places_J2[0], self.radius, colour)
                continue
            wide = self.thick * (1.7 if part == "torso" else 1.0)
            for start, end in zip(chain, chain[1:], strict=False):
                capsule(canvas_HW3, places_J2[start], places_J2[end], wide, colour)


class Digit:
    """A digit that wanders, turns and grows; its keypoints are its box's corners, from the upper left, and its centre.

    Args:
        draw: decides how it moves.
        speed: swings per frame.
        digit: which.
        colours: of the `digit`.
        size: of the frames, in pixels.
        build: decides its font; `draw` when None.
    """

    joints = ("upper left", "upper right", "lower right", "lower left", "centre")
    bones = ((0, 1), (1, 2), (2, 3), (3, 0), (0, 4))
    parts = ("digit",)

    def __init__(
        self,
        draw: np.random.Generator,
        speed: float,
        digit: int,
        colours: dict[str, Colour],
        size: int,
        build: np.random.Generator | None = None,
    ) -> None:
        fonts = RenderedDigits(1, min(512, SUPER * size), rotation=0, shear=0, jitter=0, height=(0.6, 0.6))
        image_HW, _ = fonts.drawn(digit, draw if build is None else build)
        rows, columns = np.nonzero(image_HW > 8)
        self.glyph_HW = image_HW[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        self.colours = colours
        self.x, self.y = wave(draw, 0.5, 0.14, speed), wave(draw, 0.5, 0.14, speed)
        self.turn, self.grow = wave(draw, 0.0, 0.7, speed), wave(draw, 0.0, 0.25, speed)

    def places(self, frame: int) -> np.ndarray:
        """Where the box's corners and its centre are, (5, 2), as shares of the image's side."""
        height = 0.48 * math.exp(self.grow(frame))
        width = height * self.glyph_HW.shape[1] / self.glyph_HW.shape[0]
        turn = self.turn(frame)
        across, down = np.array([math.cos(turn), math.sin(turn)]), np.array([-math.sin(turn), math.cos(turn)])
        centre = np.array([self.x(frame), self.y(frame)])
        signs = ((-1, -1), (1, -1), (1, 1), (-1, 1), (0, 0))
        return np.stack([centre + 0.5 * (right * width * across + below * height * down) for right, below in signs])

    def paint(self, canvas_HW3: np.ndarray, places_J2: np.ndarray) -> None:
        """The glyph, moved so that its box has these corners."""
        height, width = self.glyph_HW.shape
        side = canvas_HW3.shape[0]
        box = np.array([[0, 0], [width, 0], [width, height]], np.float32) - 0.5  # OpenCV counts from pixels' centres
        matrix = cv2.getAffineTransform(box, (places_J2[:3] * side).astype(np.float32) - 0.5)
        opacity_HW = cv2.warpAffine(self.glyph_HW, matrix, (side, side), flags=cv2.INTER_AREA)
        opacity_HW1 = opacity_HW[:, :, None].astype(np.float32) / 255
        canvas_HW3 += opacity_HW1 * (np.array(self.colours["digit"], np.float32) - canvas_HW3)


def capsule(canvas: np.ndarray, start_2: np.ndarray, end_2: np.ndarray, wide: float, colour: Colour) -> None:
    """A line with round ends; places and width as shares of the canvas's side."""
    side = canvas.shape[0]
    cv2.line(canvas, _fixed(start_2, side), _fixed(end_2, side), colour, max(1, round(wide * side)), shift=_SHIFT)


def disc(canvas: np.ndarray, centre_2: np.ndarray, radius: float, colour: Colour) -> None:
    """A filled circle; place and radius as shares of the canvas's side."""
    side = canvas.shape[0]
    cv2.circle(canvas, _fixed(centre_2, side), round(radius * side * 2**_SHIFT), colour, -1, shift=_SHIFT)


def _fixed(place_2: np.ndarray, side: int) -> tuple[int, int]:
    """A place as OpenCV's fixed-point coordinates, which count from the centre of the first pixel."""
    x, y = np.round((place_2 * side - 0.5) * 2**_SHIFT).astype(int)
    return int(x), int(y)


def _both(draw: np.random.Generator, centre: float, reach: float, speed: float) -> tuple[Wave, Wave]:
    """The same joint of the left and of the right side."""
    return wave(draw, centre, reach, speed), wave(draw, -centre, reach, speed)


def _limb(start_2: np.ndarray, length: float, angle: float, bend: float) -> list[np.ndarray]:
    """Where the two bones of a limb end."""
    middle = start_2 + length * _down(angle)
    return [middle, middle + length * _down(angle + bend)]


def _down(angle: float) -> np.ndarray:
    """The direction at an angle from straight down, towards the right of the image."""
    return np.array([math.sin(angle), math.cos(angle)])
