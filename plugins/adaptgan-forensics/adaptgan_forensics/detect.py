"""Which images a trained detector holds to be generated, how surely, and how right it is where that is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from adaptgan.data.dataset import ShardDataset
from adaptgan.data.images import to_float
from adaptgan.errors import AdaptganError, DataError
from adaptgan.files import write_json
from adaptgan.methods.base import ClassifierMethod
from adaptgan.metrics.inference import in_batches
from adaptgan.models import load_model
from adaptgan.training.devices import pick_device
from adaptgan_forensics.dataset import CLASSES, GENERATED, REAL
from adaptgan_forensics.scores import calibration_error, cross_entropy, fit_temperature, probabilities, summary


def detect(
    model: Path,
    data: Path,
    out: Path,
    *,
    calibrate: Path | None = None,
    device: str = "auto",
    batch_size: int = 256,
) -> dict[str, Any]:
    """Score every image of a data set.

    Args:
        model: folder of a classifier with the classes `real` and `generated`.
        data: the images; where they have these classes, open to all, the scores are held against them.
        out: JSON to write.
        calibrate: a data set with these classes that the detector did not learn from: sets the temperature.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        batch_size: images at a time.

    Returns:
        What `out` holds. `images`; `flagged`, the share with P(generated) > ½; `temperature`, and `calibration`, the
        numbers of `calibrate` before and after; `scores`, of all images where the truth is known, `auc`, `accuracy`,
        `nll` and `ece` before and after calibration (`uncalibrated`); `generators`, the same of each one's images
        against all real ones; `sequences`, where records tell the `sequence` whose frame they are: `scores` and
        `generators` of whole sequences, by the mean of their frames' logits, and `records` of each one's `key`,
        `frames` and `probability`; `records`: `key`, `logit` (log-odds before calibration) and `probability`.

    Raises:
        AdaptganError: the model is no such classifier, or the images are of another shape.
    """
    detector = load_model(model, pick_device(device))
    images = ShardDataset(data)
    logits_N = _logits(detector, model, images, batch_size)
    temperature, calibration = 1.0, None
    if calibrate is not None:
        held = ShardDataset(calibrate)
        truth = _truth(held)
        if truth is None:
            raise DataError(
                f"--calibrate {calibrate}: expected a data set with the classes {' and '.join(CLASSES)}, such as the "
                f"`validation` split of `real_and_generated`; found {', '.join(held.classes) or 'no labels'}."
            )
        held_N = _logits(detector, model, held, batch_size)
        temperature = fit_temperature(held_N, truth)
        calibration = {
            "images": len(held),
            "digest": held.digest,
            "before": summary(held_N, truth),
            "after": summary(held_N, truth, temperature),
        }
    p_N = probabilities(logits_N, temperature)
    labels_N = _truth(images)
    contents = list(images.reader.contents())
    makers = [(content.get("provenance") or {}).get("generator") for content in contents]
    result: dict[str, Any] = {
        "model": str(model),
        "fingerprint": detector.card.get("fingerprint", ""),
        "data": str(data),
        "digest": images.digest,
        "images": len(images),
        "flagged": float((p_N > 0.5).mean()),
        "temperature": temperature,
        "calibration": calibration,
        "scores": _scores(logits_N, labels_N, temperature),
        "generators": _generators(logits_N, labels_N, temperature, makers),
        "sequences": _sequences(logits_N, labels_N, temperature, makers, contents),
        "records": [
            {"key": key, "logit": round(float(logit), 6), "probability": round(float(p), 6)}
            for key, logit, p in zip(images.keys, logits_N, p_N, strict=True)
        ],
    }
    write_json(out, result)
    return result


def _logits(detector: Any, model: Path, images: ShardDataset, batch_size: int) -> np.ndarray:
    """Log-odds of generated against real, (N,) float64."""
    classes = detector.info.classes
    if not isinstance(detector, ClassifierMethod) or set(classes) != set(CLASSES):
        raise AdaptganError(
            f"{model}: a detector is a classifier with the classes {' and '.join(CLASSES)}; this one has "
            f"{', '.join(classes) or 'none'}. Train one on a data set of `real_and_generated`."
        )
    expected = (detector.info.channels, detector.info.height, detector.info.width)
    if images.images_NCHW.shape[1:] != expected:
        raise DataError(
            f"{images.folder} has images of {images.images_NCHW.shape[1:]} (channels, height, width), the detector of "
            f"{model} knows {expected}. Do not enlarge or shrink images to fit: that itself leaves traces."
        )
    network = detector.predictor()

    def forward(batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        logits_N2 = network(to_float(batch)).double()
        return ((logits_N2[:, classes.index(GENERATED)] - logits_N2[:, classes.index(REAL)])[:, None],)

    where = next(network.parameters()).device
    return in_batches(forward, images.images_NCHW, where, batch_size)[0][:, 0]


def _truth(data: ShardDataset) -> np.ndarray | None:
    """1 generated, 0 real; None where that is not what the labels say."""
    if not data.has_labels or set(data.classes) != set(CLASSES):
        return None
    labels_N: np.ndarray = (data.labels_N == data.classes.index(GENERATED)).astype(np.int64)
    return labels_N


def _scores(logits_N: np.ndarray, labels_N: np.ndarray | None, temperature: float) -> dict[str, Any] | None:
    """All numbers; None without both classes."""
    if labels_N is None or len(np.unique(labels_N)) < 2:
        return None
    before = {"nll": cross_entropy(logits_N, labels_N), "ece": calibration_error(logits_N, labels_N)}
    return {**summary(logits_N, labels_N, temperature), "uncalibrated": before}


def _generators(
    logits_N: np.ndarray, labels_N: np.ndarray | None, temperature: float, makers: list[str | None]
) -> dict[str, Any]:
    """What each generator made against all that is real; nothing where nothing is."""
    if labels_N is None:
        return {}
    found: dict[str, Any] = {}
    for name in dict.fromkeys(name for name, label in zip(makers, labels_N, strict=True) if label and name):
        rows = (labels_N == 0) | (np.array([other == name for other in makers]) & (labels_N == 1))
        if (scores := _scores(logits_N[rows], labels_N[rows], temperature)) is not None:
            found[name] = scores
    return found


def _sequences(
    logits_N: np.ndarray,
    labels_N: np.ndarray | None,
    temperature: float,
    makers: list[str | None],
    contents: list[dict[str, Any]],
) -> dict[str, Any] | None:
    """Frames taken together: the mean of their logits. A sum would count each frame as new evidence; it is not."""
    frames: dict[str, list[int]] = {}
    for number, content in enumerate(contents):
        if (name := (content.get("annotations") or {}).get("sequence")) is not None:
            frames.setdefault(str(name), []).append(number)
    if not frames:
        return None
    means_S = np.array([logits_N[numbers].mean() for numbers in frames.values()])
    first = [numbers[0] for numbers in frames.values()]
    labels_S = None if labels_N is None else labels_N[first]
    return {
        "scores": _scores(means_S, labels_S, temperature),
        "generators": _generators(means_S, labels_S, temperature, [makers[number] for number in first]),
        "records": [
            {"key": name, "frames": len(numbers), "probability": round(float(p), 6)}
            for (name, numbers), p in zip(frames.items(), probabilities(means_S, temperature), strict=True)
        ],
    }
