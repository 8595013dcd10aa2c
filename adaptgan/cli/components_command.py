"""`adaptgan components`: what params.yaml can name, and the options of each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adaptgan.cli.common import AsJson

if TYPE_CHECKING:
    from adaptgan.components import ComponentSpec, Registry, Schema


def command(
    kind: Annotated[str | None, typer.Argument(help="A kind, such as `method`; none: list the kinds.")] = None,
    name: Annotated[str | None, typer.Argument(help="A component of that kind: show its options.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the kinds of components, those of one kind, or one component's options."""
    from adaptgan.plugins import components

    registry = components()
    if kind is None:
        _print(_kinds(registry), as_json, _kinds_text)
    elif name is None:
        _print([_summary(spec) for spec in registry.specs(kind)], as_json, _specs_text)
    else:
        registry.specs(kind)  # an unknown kind is named as such, before the name is looked up
        spec = registry.find(kind, name)
        _print(_detail(spec, registry.schema(spec)), as_json, _detail_text)


def _print(value: Any, as_json: bool, text: Any) -> None:
    typer.echo(json.dumps(value, indent=1, ensure_ascii=False) if as_json else text(value))


def _kinds(registry: Registry) -> list[dict[str, Any]]:
    from adaptgan.components import KINDS

    return [{"kind": kind, "summary": KINDS[kind], "count": len(registry.specs(kind))} for kind in KINDS]


def _kinds_text(kinds: list[dict[str, Any]]) -> str:
    rows = [(kind["kind"], str(kind["count"]), kind["summary"]) for kind in kinds]
    return table(("kind", "known", "what it is"), rows) + "\n\nOne kind: `adaptgan components KIND`."


def _summary(spec: ComponentSpec) -> dict[str, Any]:
    return {
        "kind": spec.kind,
        "name": spec.name,
        "summary": spec.summary,
        "paper": spec.paper,
        "distribution": spec.distribution,
        "target": spec.target,
        "deprecated": spec.deprecated,
    }


def _specs_text(specs: list[dict[str, Any]]) -> str:
    rows = [(spec["name"], _with_notice(spec), spec["paper"], spec["distribution"]) for spec in specs]
    more = f"\n\nOptions of one: `adaptgan components {specs[0]['kind']} {specs[0]['name']}`." if specs else ""
    return table(("name", "what it is", "paper", "from"), rows) + more


def _with_notice(spec: dict[str, Any]) -> str:
    return f"{spec['summary']} (deprecated: {spec['deprecated']})" if spec["deprecated"] else spec["summary"]


def _detail(spec: ComponentSpec, schema: Schema) -> dict[str, Any]:
    properties = schema.model.model_json_schema().get("properties", {})
    options = []
    for option in schema.options:
        default: Any = properties.get(option.name, {}).get("default")
        shown: dict[str, Any] = {"name": option.name, "type": option.type, "required": option.required}
        shown["default"] = option.nested.default if option.nested else default
        shown["help"] = option.help
        if option.nested:
            shown["component"] = option.nested.kind
        options.append(shown)
    return {**_summary(spec), "options": options}


def _detail_text(detail: dict[str, Any]) -> str:
    lines = [f"{detail['kind']} {detail['name']}: {_with_notice(detail)}"]
    if detail["paper"]:
        lines.append(f"paper: {detail['paper']}")
    lines += [f"from: {detail['distribution']} ({detail['target']})", ""]
    rows = []
    for option in detail["options"]:
        default = "required" if option["required"] else json.dumps(option["default"], ensure_ascii=False)
        rows.append((option["name"], option["type"], default, option["help"]))
    lines.append(table(("option", "type", "default", "help"), rows) if rows else "It has no options.")
    nested = {option["component"] for option in detail["options"] if "component" in option}
    lines += [f"\nWhat `{kind}` can be: `adaptgan components {kind}`." for kind in sorted(nested)]
    return "\n".join(lines)


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Left-aligned columns, the last one as long as it is."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [head, *rows]
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)
