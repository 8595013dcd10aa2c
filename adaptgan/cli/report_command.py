"""Being written."""


def command() -> None:
    """Being written."""
