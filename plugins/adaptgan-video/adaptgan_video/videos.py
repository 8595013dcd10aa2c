"""Data sets as videos: their frames in order, in [-1, 1]."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from adaptgan import load_dataset
from adaptgan.data.dataset import ShardDataset
from adaptgan.data.images import to_float
from adaptgan.data.sequences import Sequences
from adaptgan.errors import DataError


@dataclass(frozen=True)
class Video:
    """One sequence of a data set.

    Attributes:
        name: its annotation `sequence`.
        records: int64 (T,), its records, in the order of their annotation `frame`.
    """

    name: str
    records: np.ndarray


class Videos:
    """The sequences of a data set.

    Args:
        folder: the data set.

    Raises:
        DataError: its records are no frames of sequences, or frames are missing.
    """

    def __init__(self, folder: Path) -> None:
        self.data: ShardDataset = load_dataset(folder)
        of_N = Sequences(self.data, 0, "following").of_N
        frames_N = np.array(self.data.annotations("frame", "numbers of frames"))
        names = self.data.annotations("sequence", "names of sequences")
        self.all: list[Video] = []
        for number in range(int(of_N.max()) + 1):
            members = np.flatnonzero(of_N == number)
            self.all.append(Video(str(names[members[0]]), members[np.argsort(frames_N[members])]))

    def images(self, records_T: np.ndarray, device: torch.device | str = "cpu") -> torch.Tensor:
        """Images of records, float (T, C, H, W)."""
        return to_float(torch.from_numpy(np.ascontiguousarray(self.data.images_NCHW[records_T])).to(device))

    def paired(self, records_T: np.ndarray, device: torch.device | str = "cpu") -> torch.Tensor:
        """Their paired images, float (T, C', H, W)."""
        return to_float(torch.from_numpy(np.ascontiguousarray(self.data.paired_NCHW[records_T])).to(device))

    def joints(self, records_T: np.ndarray | None = None) -> np.ndarray:
        """True keypoints in pixels, float64 (T, J, 2), of some records or all.

        Raises:
            DataError: there are none, or not of all records as many.
        """
        found = self.data.annotations("keypoints", "true places of joints")
        counts = {len(points) for points in found}
        if len(counts) > 1:
            raise DataError(
                f"{self.data.folder}: its records have {sorted(counts)} keypoints. Only figures of one kind can be "
                "compared: ingest them by themselves."
            )
        joints_NJ2 = np.array(found, np.float64)[..., :2]
        return joints_NJ2 if records_T is None else joints_NJ2[records_T]
