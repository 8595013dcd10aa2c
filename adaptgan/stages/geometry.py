"""Records that say where things are: a translator that claims to leave them there is not simply believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adaptgan.data.annotations import PLACES
from adaptgan.data.dataset import ShardDataset
from adaptgan.methods.base import Method

CHECKS = {"mask": "mask_consistency"}
"""The gate that checks an annotation; `edge_consistency` checks all others."""


def missing_checks(gates: Sequence[Mapping[str, Any]], data: ShardDataset, translator: Method) -> dict[str, list[str]]:
    """Gates to add because of what records carry, each with the annotations that it is for.

    Nothing is added where no gate is asked for (`gate: []`), where the translator says itself that it moves pixels
    (such records are refused), where it makes images of annotations and has no image to hold them against, or where the
    gate is among those given, with whatever options.

    Args:
        gates: what params.yaml asks for.
        data: what is translated.
        translator: what translates it.
    """
    if not gates or translator.moves_pixels or translator.translates == "conditions":
        return {}
    counts = dict.fromkeys(PLACES, 0)
    for content in data.reader.contents():
        for name in PLACES & content.get("annotations", {}).keys():
            counts[name] += 1
    added: dict[str, list[str]] = {}
    for name in sorted(name for name, count in counts.items() if count):
        everywhere = counts[name] == len(data)
        added.setdefault(CHECKS.get(name, "edge_consistency") if everywhere else "edge_consistency", []).append(name)
    given = {gate["name"] for gate in gates}
    return {gate: names for gate, names in added.items() if gate not in given}


def print_added(added: Mapping[str, Sequence[str]], translator: Method) -> None:
    """Tell a person which gates were added."""
    from rich.console import Console

    name = translator.card["method"]["name"]
    for gate, names in added.items():
        Console(highlight=False, soft_wrap=True).print(
            f"gate: {gate} was added: records carry {', '.join(names)}, and {name} says that it moves no pixels. Name "
            "it under `gate` to set its options; `gate: []` judges nothing.",
            markup=False,
        )
