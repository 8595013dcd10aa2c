"""Reading metrics.json: rows and snapshots, what each learned from, and what went wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Entry = Mapping[str, Any]


def entries(metrics: Mapping[str, Any]) -> dict[str, Entry]:
    """Rows and snapshots by name."""
    return {**metrics["rows"], **metrics.get("snapshots", {})}


def chosen(metrics: Mapping[str, Any]) -> Entry:
    """What was selected: a row, or a snapshot of one."""
    found: Entry = entries(metrics)[metrics["selected"]]
    return found


def shown(metrics: Mapping[str, Any]) -> dict[str, Entry]:
    """The rows, and after its own the snapshot that was selected, if one was."""
    found: dict[str, Entry] = {}
    for name, entry in metrics["rows"].items():
        found[name] = entry
        if chosen(metrics).get("snapshot_of") == name:
            found[metrics["selected"]] = chosen(metrics)
    return found


def few_labelled(entry: Entry) -> str | None:
    """`100 labelled target images`; None for a row that saw none."""
    count = entry.get("labelled")
    if count is None:
        return None
    return f"{count} labelled target image{'s' if count != 1 else ''}" if count else "labelled target images"


def learned_from(entry: Entry) -> str:
    """What a row was trained on, in a few words: `adapted, target`, `source, 100 labelled target images`."""
    if entry["role"] == "oracle":
        return "target labels"
    few = few_labelled(entry)
    parts = [] if few and entry["training_set"] == "labelled" else [str(entry["training_set"])]
    parts += ["target"] if entry["uses_target"] else []
    return ", ".join([*parts, few] if few else parts)


def alarms(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every alarm of the rows and of the selected snapshot: `row`, `step`, `alarm`, `message`, and `helps`.

    The message is cut where it turns to what usually helps; `helps` is empty when it does not.
    """
    return [_told(name, alarm) for name, entry in shown(metrics).items() for alarm in entry.get("alarms", [])]


def alarms_of_trainings(raised: Mapping[str, Iterable[Entry]], told: Iterable[Entry]) -> list[dict[str, Any]]:
    """Alarms of trainings that are no rows, such as a refiner's or a generator's: as those of `alarms`.

    Args:
        raised: each training's, by its section.
        told: those that a row shows already.
    """
    known = {_key(alarm) for alarm in told}
    found = [_told(section, alarm) for section, some in raised.items() for alarm in some]
    return [alarm for alarm in found if _key(alarm) not in known]


def _told(name: str, alarm: Entry) -> dict[str, Any]:
    what, _, helps = str(alarm["message"]).partition("What usually helps:")
    return {"row": name, **alarm, "message": what.strip(), "helps": helps.strip()}


def _key(alarm: Entry) -> tuple[Any, ...]:
    return alarm["alarm"], alarm["step"], alarm["message"]
