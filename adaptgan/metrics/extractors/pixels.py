"""Pixels themselves, as few coordinates: no network had a say, and none is needed."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from adaptgan.errors import DataError
from adaptgan.metrics.extractors.base import Extractor, Features
from adaptgan.metrics.spaces import PixelPCA


class Pixels(Extractor):
    """The principal components of the real images' pixels. It sees brightness and layout, and little of shapes.

    Args:
        components: at most this many directions, those in which the real images differ most.
    """

    def __init__(self, components: Annotated[int, Field(ge=1)] = 64) -> None:
        self.components = components
        self._space: PixelPCA | None = None

    def fit(self, real_NCHW: np.ndarray) -> None:
        """Find the directions."""
        self._space = PixelPCA(real_NCHW, self.components)

    def __call__(self, images_NCHW: np.ndarray) -> Features:
        """Coordinates along the directions that `fit` found.

        Raises:
            DataError: it was not called.
        """
        if self._space is None:
            raise DataError("pixels: fit it on the real images first; its directions are theirs.")
        return Features(self._space(images_NCHW))
