"""The errors a person can act on: each says what was found, where, what was expected and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AdaptganError(Exception):
    """Base of every expected failure; the command line prints its text and exits with `exit_code`, no traceback."""

    exit_code = 1


class ParamsError(AdaptganError):
    """A value in params.yaml (or in --set) is missing, unknown or of the wrong type."""

    exit_code = 2


class ComponentError(ParamsError):
    """A component is unknown, claimed twice, or its plugin failed to load."""


class PluginError(AdaptganError):
    """A plugin's hook failed, and the plugin says that nothing may go on without it."""


class DataError(AdaptganError):
    """An input is missing, corrupt, unlabelled where labels are needed, or of mixed shapes."""


class SealedLabelsError(DataError):
    """Somebody asked for labels of the real domain that only `evaluate` and the oracle may read."""


class TrainingError(AdaptganError):
    """Training cannot go on, a non-finite loss for example."""


class RunLockedError(TrainingError):
    """Another process trains the same run."""


class Interrupted(AdaptganError):
    """A signal stopped the run after a checkpoint; the same command resumes it. Exit status 75 (EX_TEMPFAIL)."""

    exit_code = 75


class FailedElsewhere(AdaptganError):
    """Another process of the same torchrun says why the run ended; this one ends quietly with it."""


class AdaptganWarning(UserWarning):
    """Base of what a person should know although the work goes on; the command line shows its text."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A ready phrase that names the closest of `known`, or all of them when nothing is close."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.55)
    if close:
        return "Did you mean " + " or ".join(repr(match) for match in close) + "?"
    return "Known: " + (", ".join(known) if known else "none") + "."
