"""The environment stage: checks all of params.yaml, writes what each section depends on, starts a new pipeline.

It runs in every `dvc repro`, before all else, so it imports no component unless a third party's is named: the names and
the shapes of sections can be checked without. A mistake in the last stage's section is told now, not in ten minutes.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from adaptgan import __version__
from adaptgan.components import ComponentSpec
from adaptgan.errors import ParamsError
from adaptgan.files import staged, write_json
from adaptgan.params import FidelitySection, IngestSection, Params, RealismSection, SynthesizeSection, TrainSection
from adaptgan.plugins import STAGE_HOOKS, TRAINING_HOOKS, components, plugins, version_of

_OWN = "adaptgan"


def environment(params: Params, *, out: Path) -> None:
    """Write `<section>.json` for every section, and for evaluate and report.

    Args:
        params: the parsed params.yaml.
        out: folder to write; files of sections that are gone are gone.

    Raises:
        ParamsError: sections are malformed, or name unknown components; all mistakes at once.
    """
    used: dict[str, list[ComponentSpec]] = {}
    mistakes: list[str] = []
    for section, configs in _sections(params, mistakes):
        used[section] = []
        for kind, where, config in configs:
            try:
                used[section] += _components(kind, where, config)
            except ParamsError as error:
                mistakes.append(str(error))
    if mistakes:
        raise ParamsError("\n".join(mistakes))
    with staged(out) as folder:
        for section, specs in used.items():
            hooks = TRAINING_HOOKS if any(spec.kind == "method" for spec in specs) else STAGE_HOOKS
            write_json(folder / f"{section}.json", describe(specs, plugins().deciding(hooks)))
    _start_pipeline(params)


def describe(specs: list[ComponentSpec], deciding: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The versions behind a section's components, the same for equal installations.

    Args:
        specs: the components.
        deciding: distribution and version of the plugins whose hooks may have a hand in what the section makes.
    """
    return {
        "python": ".".join(platform.python_version_tuple()[:2]),
        "adaptgan": __version__,
        "torch": version_of("torch"),
        "components": {
            f"{spec.kind}/{spec.name}": f"{spec.distribution}=={version_of(spec.distribution)}"
            for spec in sorted(specs, key=lambda spec: (spec.kind, spec.name))
        },
        **({"hooks": [f"{name}=={version}" for name, version in deciding.items()]} if deciding else {}),
    }


def _sections(params: Params, mistakes: list[str]) -> Iterator[tuple[str, list[tuple[str, str, Any]]]]:
    """Every section with its components as (kind, path in params.yaml, configuration)."""
    for name, value in params.leaves().items():
        configs: list[tuple[str, str, Any]] = []
        try:
            if "dataset" in value:
                configs = [("dataset", f"{name}.dataset", params.section(name, IngestSection).dataset)]
            elif "method" in value:
                configs = [("method", f"{name}.method", params.section(name, TrainSection).method)]
            elif "extractors" in value or name == "realism":
                options = params.section(name, RealismSection)
                configs = [("extractor", f"{name}.extractors[{i}]", one) for i, one in enumerate(options.extractors)]
                configs += [("metric", f"{name}.metrics[{i}]", one) for i, one in enumerate(options.metrics)]
            elif "metrics" in value or name == "fidelity":
                measures = params.section(name, FidelitySection).metrics
                configs = [("metric", f"{name}.metrics[{i}]", one) for i, one in enumerate(measures)]
            else:
                gates = params.section(name, SynthesizeSection).gate
                configs = [("gate", f"{name}.gate[{i}]", gate) for i, gate in enumerate(gates)]
        except ParamsError as error:
            mistakes.append(str(error))
        yield name, configs
    evaluate = params.pipeline.evaluate
    yield (
        "evaluate",
        [("validator", f"evaluate.validators[{i}]", config) for i, config in enumerate(evaluate.validators)]
        + [("metric", f"evaluate.realism[{i}]", config) for i, config in enumerate(evaluate.realism)],
    )
    yield "report", []


def _components(kind: str, where: str, config: Any) -> list[ComponentSpec]:
    """The components that a configuration uses.

    Our own are imported only if the configuration names a third party's: their defaults nest nothing but our own.
    """
    registry = components()
    name = config if isinstance(config, str) else config.get("name")
    if not isinstance(name, str):
        raise ParamsError(f"{where}: expected a {kind}, as `name` or `{{name: …, option: …}}`; found {config!r}.")
    spec = registry.find(kind, name, where)
    foreign = {other.name for other in registry.specs() if other.distribution != _OWN}
    if foreign.isdisjoint(_texts(config)):
        return [spec]
    found = registry.names_in(kind, registry.resolve(kind, config, where))
    return list(dict.fromkeys(found))


def _texts(value: Any) -> Iterator[str]:
    """Every text inside a configuration that could name a component."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _start_pipeline(params: Params) -> None:
    """Give this pipeline an id; a new MLflow database is made now, beside the first stages: it takes seconds."""
    from adaptgan.tracking.pipeline import start_pipeline
    from adaptgan.tracking.plugin import prepare

    start_pipeline()
    prepare(params.pipeline.tracking)
