"""Progress of a training, on a terminal or in a log."""

from __future__ import annotations
