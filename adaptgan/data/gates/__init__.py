"""Gates: what a synthesized image must pass before it may train anything."""

from __future__ import annotations

from adaptgan.data.gates.base import CALIBRATION, Gate, Trial, Verdict
from adaptgan.data.gates.classifier_agreement import ClassifierAgreement
from adaptgan.data.gates.distance_to_source import DistanceToSource
from adaptgan.data.gates.edge_consistency import EdgeConsistency
from adaptgan.data.gates.mask_consistency import MaskConsistency
from adaptgan.data.gates.near_duplicates import NearDuplicates

__all__ = [
    "CALIBRATION",
    "ClassifierAgreement",
    "DistanceToSource",
    "EdgeConsistency",
    "Gate",
    "MaskConsistency",
    "NearDuplicates",
    "Trial",
    "Verdict",
]
