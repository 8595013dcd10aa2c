"""The check of an extractor: an image's features are its own, and the same every time."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from adaptgan.data.images import to_uint8
from adaptgan.datainfo import DataInfo
from adaptgan.errors import AdaptganError
from adaptgan.metrics.extractors.base import Compute, Extractor, Features
from adaptgan.plugins import components
from adaptgan.testing.chance import chance
from adaptgan.testing.checks import check_component
from adaptgan.testing.data import tiny_info, tiny_side

N = 6


def check_extractor(config: Any, *, info: DataInfo | None = None) -> Extractor:
    """An extractor keeps its promises: see the messages of the assertions.

    Of uint8 images it gives finite float64 features (N, F) and, where it knows classes, probabilities (N, K) whose rows
    sum to 1. An image's features depend on nothing but the image and what `fit` was shown: not on the others in the
    batch, nor its size, nor what came before, nor the global generators. Different images have different features, and
    the images are left alone. One that says it is `fixed` does not change by `fit`. Where there is a GPU, it gives the
    same there.

    Args:
        config: its name, or `{name: …, option: …}`.
        info: the images that it can read; grey ones of 32×32 pixels when not given.

    Returns:
        The extractor, fitted on made-up images.
    """
    name = config if isinstance(config, str) else config["name"]
    check_component("extractor", name)
    info = info or tiny_info()
    real_NCHW, images_NCHW = _images(info, 2 * N, 1), _images(info, N, 2)
    extractor = _built(config, name)
    fixed: Any = getattr(extractor, "fixed", None)
    assert isinstance(fixed, bool), f"{name}: `fixed` must be True (one network for everybody) or False"
    unfitted = _seen(extractor, images_NCHW, f"{name}, before `fit`") if fixed else None
    extractor.fit(real_NCHW.copy())
    seen = _seen(extractor, images_NCHW, name)
    spread = float(np.ptp(seen.features_NF, 0).max())
    assert spread > 0, f"{name}: different images have the same features"
    if unfitted is not None:
        _same(unfitted, seen, f"{name}: it says that it is `fixed`, and changes by `fit`")
    with chance(7):
        other = _built(config, name, batch_size=2)
        other.fit(real_NCHW.copy())
        _seen(other, real_NCHW[:1], name)
        again = _seen(other, images_NCHW[::-1].copy(), f"{name}, in other batches")
    _same(
        _rows(seen, np.s_[::-1]),
        again,
        f"{name}: an image's features depend on its batch, on what came before it, or on the global generators",
    )
    alone = _seen(extractor, images_NCHW[:1], f"{name}, one image")
    _same(_rows(seen, np.s_[:1]), alone, f"{name}: an image alone has other features than among others")
    if torch.cuda.is_available():
        there = _built(config, name, device=torch.device("cuda"))
        there.fit(real_NCHW.copy())
        _same(seen, _seen(there, images_NCHW, f"{name}, on a GPU"), f"{name}: other features on a GPU", 0.05)
    return extractor


def _built(config: Any, name: str, batch_size: int = 4, device: torch.device | None = None) -> Extractor:
    compute = Compute(device or torch.device("cpu"), batch_size)
    extractor: Extractor = components().build("extractor", config, "extractor", [compute])
    for method in ("fit", "__call__"):
        assert callable(getattr(extractor, method, None)), f"{name}: an extractor has a method `{method}`"
    return extractor


def _images(info: DataInfo, count: int, number: int) -> np.ndarray:
    return np.asarray(to_uint8(tiny_side(info, count, number, salt=1).images_NCHW).numpy())


def _seen(extractor: Extractor, images_NCHW: np.ndarray, what: str) -> Features:
    before = images_NCHW.copy()
    try:
        seen: Any = extractor(images_NCHW)
    except AdaptganError as error:
        raise AssertionError(f"{what}: it refuses images of {images_NCHW.shape[1:]}: {error}") from error
    assert np.array_equal(before, images_NCHW), f"{what}: it changes the images"
    assert isinstance(seen, Features), f"{what}: expected Features, found a {type(seen).__name__}"
    count = len(images_NCHW)
    for part, values in (("features_NF", seen.features_NF), ("probabilities_NK", seen.probabilities_NK)):
        if values is None and part == "probabilities_NK":
            continue
        assert isinstance(values, np.ndarray) and values.ndim == 2 and len(values) == count and values.dtype == float, (
            f"{what}: {part} must be a float64 array ({count}, …); found {getattr(values, 'dtype', type(values))} of "
            f"{np.shape(values)}"  # type: ignore[arg-type]
        )
        assert np.isfinite(values).all(), f"{what}: {part} has values that are not finite"
    if seen.probabilities_NK is not None:
        sums = seen.probabilities_NK.sum(1)
        proper = np.allclose(sums, 1, atol=0.02) and seen.probabilities_NK.min() >= 0
        assert proper, f"{what}: rows of probabilities must sum to 1; found {sums.min():.3g} to {sums.max():.3g}"
    return seen


def _rows(seen: Features, rows: slice) -> Features:
    p_NK = seen.probabilities_NK
    return Features(seen.features_NF[rows], None if p_NK is None else p_NK[rows])


def _same(one: Features, other: Features, message: str, tolerance: float = 1e-3) -> None:
    scale = float(np.sqrt(np.mean(np.square(one.features_NF)))) or 1.0
    alike = one.features_NF.shape == other.features_NF.shape and np.allclose(
        one.features_NF / scale, other.features_NF / scale, rtol=tolerance, atol=tolerance
    )
    assert alike, message
    if one.probabilities_NK is not None:
        assert np.allclose(one.probabilities_NK, other.probabilities_NK, atol=tolerance), f"{message} (probabilities)"  # type: ignore[arg-type]
