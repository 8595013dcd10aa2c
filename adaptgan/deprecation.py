"""How something public goes: for at least one minor version it still works and says what to use instead.

Functions and classes carry `@deprecated`; components say it in their `ComponentSpec` (`deprecated`, `formerly`,
`renamed`); a hook in its `hookspec(warn_on_impl=notice(…))`. The policy: docs/versioning.md.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from adaptgan.errors import AdaptganWarning

P = ParamSpec("P")
R = TypeVar("R")


class AdaptganDeprecationWarning(AdaptganWarning):
    """Something still works, and will not for long; the text says until when, and what to use instead."""


def notice(what: str, since: str, removal: str, instead: str) -> AdaptganDeprecationWarning:
    """The warning as it reads everywhere.

    Args:
        what: goes, as a person knows it: `the network 'old'`.
        since: the version in which that was decided.
        removal: the version in which it is gone.
        instead: what to use: `use the network 'new'`.
    """
    return AdaptganDeprecationWarning(f"{what} is deprecated since {since} and goes in {removal}: {instead}.")


@functools.cache
def warn_once(message: str) -> None:
    """Warn of a deprecation, once in a process however often it is met; under `-W error` every time."""
    warnings.warn(message, AdaptganDeprecationWarning, stacklevel=3)


def deprecated(since: str, removal: str, instead: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Mark a function as going: it works as before, and the first call says so.

    Example:
        >>> @deprecated(since="0.2", removal="0.3", instead="use `load_model`")
        ... def open_model(folder): ...

    Args:
        since: the version in which that was decided.
        removal: the version in which it is gone.
        instead: what to use.
    """

    def mark(function: Callable[P, R]) -> Callable[P, R]:
        message = str(notice(f"`{function.__module__}.{function.__qualname__}`", since, removal, instead))

        @functools.wraps(function)
        def marked(*args: P.args, **kwargs: P.kwargs) -> R:
            warn_once(message)
            return function(*args, **kwargs)

        marked.__deprecated__ = message  # type: ignore[attr-defined]  # where editors and type checkers look (PEP 702)
        return marked

    return mark
