"""What the numbers say, in sentences computed from them; nothing here is written before the numbers are known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adaptgan.reporting.entries import chosen, entries, few_labelled
from adaptgan.reporting.formats import join, number, percent, points


def title(metrics: Mapping[str, Any]) -> str:
    """The page's first line."""
    rows, selected, baseline = metrics["rows"], metrics["selected"], metrics["baseline"]
    before, after = rows[baseline]["accuracy"], chosen(metrics)["accuracy"]
    if before is None:
        return "Accuracy was not measured: there were no test labels"
    if selected == baseline:
        return f"No row ranked above training on source alone: {percent(before)} on real images"
    gain = points(abs(after - before)).lstrip("+")
    direction = "more" if after >= before else "less"
    few = few_labelled(chosen(metrics))
    how = f"trained with {few.replace('target', 'real')}, chosen" if few else "trained and chosen"
    return f"{gain} points {direction} accurate on real images, {how} without one {'more' if few else 'real label'}"


def headline(metrics: Mapping[str, Any]) -> str:
    """What stands under the selected row's accuracy."""
    few = few_labelled(chosen(metrics))
    return f"selected, {few.replace('target', 'real')} used" if few else "selected, no real label used"


def choice(metrics: Mapping[str, Any]) -> str:
    """How the row was selected, and whether hindsight agrees."""
    rows, selected, baseline = entries(metrics), metrics["selected"], metrics["baseline"]
    names = metrics["selection"]["validators"]
    if not names:
        return "No label-free score was available for every row, so there was nothing to choose by: the baseline stays."
    scores = f"{len(names)} label-free score{'s' if len(names) > 1 else ''}"
    mine, theirs = rows[selected]["mean_rank"], rows[baseline]["mean_rank"]
    count = len(metrics.get("snapshots", {}))
    among = f" and {count} snapshot{'s' if count > 1 else ''} of their training" if count else ""
    if selected == baseline:
        text = f"Of all rows{among}, {baseline} has the best mean rank, {number(mine, 2)}, over {scores}."
    else:
        text = (
            f"{selected} was chosen without {'a further' if few_labelled(chosen(metrics)) else 'a real'} label"
            f"{', from all rows' + among if count else ''}: its mean rank over {scores} is {number(mine, 2)}, "
            f"source-only's is {number(theirs, 2)}."
        )
    best = metrics["oracle_choice"]
    if best is None or sum(row["role"] != "oracle" for row in rows.values()) < 2:
        return text
    if best["regret"] > 0:
        missed = points(best["regret"]).lstrip("+")
        return (
            f"{text} What test labels would have chosen: {best['row']}, {percent(best['accuracy'])}. "
            f"Choosing without them cost {missed} points."
        )
    return f"{text} Test labels would have chosen the same."


def refinement(metrics: Mapping[str, Any], guard: str | None = None) -> str | None:
    """What the refined images bring by themselves: the baseline's method, trained on them instead.

    Args:
        metrics: of `evaluate`.
        guard: fingerprint of the classifier that the refined images were gated by.
    """
    rows, baseline, selected = metrics["rows"], metrics["baseline"], metrics["selected"]
    alike = [
        name
        for name, row in rows.items()
        if row["training_set"] == "adapted" and row["method"] == rows[baseline]["method"] and not row["uses_target"]
    ]
    if not alike or rows[alike[0]].get("gain") is None:
        return None
    name = alike[0]
    gain = rows[name]["gain"]
    span = f"{points(gain['mean'])} points (95% interval {points(gain['low'])} to {points(gain['high'])})"
    text = f"Refined images by themselves ({name}: {rows[baseline]['method']}, trained on them instead of the source) "
    total = chosen(metrics).get("gain")
    share = gain["mean"] / total["mean"] if total and total["mean"] > 0 else None
    if gain["high"] < 0:
        text += f"cost accuracy: {span}."
    elif gain["low"] <= 0:
        text += f"add nothing that this test set can tell from chance: {span}."
    elif share is not None and selected != name and share < 0.25:
        text += f"add little: {span}, {percent(share, 0)} of what the selected row gains."
    else:
        text += f"add {span}."
    guide = next((row for row, known in rows.items() if guard and known.get("fingerprint") == guard), None)
    if guide and rows[guide]["uses_target"]:
        text += f" Their guard was {guide}, which adapted to the real images without a label of theirs."
        return text if total is None or selected == name else f"{text} {selected} gains {points(total['mean'])} in all."
    if selected in (name, baseline) or total is None:
        return text
    return f"{text} {_rest(metrics, gain['mean'] if gain['low'] > 0 else 0.0, total['mean'])}"


def _rest(metrics: Mapping[str, Any], by_images: float, total: float) -> str:
    """What is left of the selected row's gain, and what is not known about it; `by_images` is 0 when unproven."""
    rows, selected, mine = metrics["rows"], metrics["selected"], chosen(metrics)
    twins = [
        name
        for name, row in rows.items()
        if row["method"] == mine["method"]
        and row["uses_target"] == mine["uses_target"]
        and row["training_set"] == "source"
        and row.get("labelled") == mine.get("labelled")
    ]
    text = f"{selected} gains {points(total)} points in all"
    if twins and rows[twins[0]]["accuracy"] is not None and mine["training_set"] == "adapted":
        reached = percent(rows[twins[0]]["accuracy"])
        return f"{text}; the same method on the unrefined source ({twins[0]}) reaches {reached}."
    if not mine["uses_target"]:
        return f"{text}."
    share = f"the other {points(total - by_images)} come" if by_images else "they come"
    few = few_labelled(mine)
    seen = "unlabelled real images" + (f" and from {few.replace('target', 'real')}" if few else "")
    text += f"; {share} with its method, which also learns from {seen}."
    if mine["training_set"] == "adapted":
        text += " How much of that it would reach on unrefined images was not measured in this run."
    return text


def labels(metrics: Mapping[str, Any]) -> str | None:
    """Whether refined images still show what their labels say."""
    kept, before, refused = (
        metrics.get(key) for key in ("label_preservation", "label_preservation_before_gate", "quarantined")
    )
    parts = []
    if kept is not None:
        text = (
            "A judge that neither refiner nor gate ever used reads the given label on "
            f"{percent(kept)} of the kept images"
        )
        if before is not None:
            text += f" ({percent(before)} before the gate)"
        if metrics.get("judge_on_source") is not None:
            text += f"; on the synthetic images themselves it reads {percent(metrics['judge_on_source'])}"
        parts.append(text + ".")
    if refused is not None:
        parts.append(f"The gate turned away {percent(refused)} of the refined images.")
    opinion = metrics.get("read_by_oracle") or {}
    if "adapted" in opinion:
        parts.append(
            f"A stricter reader, the oracle, which knows real images only, agrees with {percent(opinion['adapted'])} "
            f"of the refined labels, and with {percent(opinion['source'])} of the synthetic ones."
        )
    return " ".join(parts) or None


def realism(metrics: Mapping[str, Any], main: str, guarded: bool) -> list[str]:
    """Whether refined images are nearer to real ones, in every space that was looked at.

    Args:
        metrics: metrics.json.
        main: whose features the headline is measured in.
        guarded: whether that network is also the one that refiner or gate asked.
    """
    measured = metrics["realism"]
    if "adapted" not in measured or "kid" not in measured["source"]:
        return []
    before, after, floor = (measured[name] for name in ("source", "adapted", "floor"))
    sentences = [
        f"KID to real images goes from {number(before['kid'])} to {number(after['kid'])}{_times(before, after)}; "
        f"two halves of the real images are at {number(floor['kid'])}."
    ]
    spaces = {main: (before, after)} | {
        space: (before["cross_check"][space], after["cross_check"][space]) for space in after["cross_check"]
    }
    sentences.append(_agreement(spaces))
    if guarded:
        sentences.append(
            f"The network whose features these are ({main}) also guards the labels in refining, so refined images were "
            "shaped or filtered by it: trust the cross-check more."
        )
    distance = after.get("a_distance")
    if distance is not None and distance > 1:
        sentences.append(
            f"A linear classifier still tells refined from real with an error of {percent(after['domain_error'])}: "
            "they are not alike."
        )
    return sentences


def _agreement(spaces: Mapping[str, tuple[Mapping[str, float], Mapping[str, float]]]) -> str:
    """Whether the feature spaces tell one story; a tenth up or down counts as no change."""
    ratios = {space: new["kid"] / old["kid"] for space, (old, new) in spaces.items() if old["kid"] > 0}
    listed = join([f"{number(ratio, 2)} in {space}" for space, ratio in ratios.items()])
    nearer = [space for space, ratio in ratios.items() if ratio < 0.9]
    farther = [space for space, ratio in ratios.items() if ratio > 1.1]
    if ratios and len(nearer) == len(ratios):
        verdict = "Refined images are nearer in every feature space"
    elif farther and not nearer:
        verdict = "Refined images are nearer in no feature space"
    elif nearer:
        verdict = f"The feature spaces disagree: refined images are clearly nearer only in {join(nearer)}"
    else:
        verdict = "Refined images are hardly nearer in any feature space"
    return f"{verdict} (KID relative to the synthetic images: {listed})."


def _times(before: Mapping[str, float], after: Mapping[str, float]) -> str:
    return f", {number(after['kid'] / before['kid'], 2)} times as much" if before["kid"] > 0 else ""
