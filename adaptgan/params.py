"""params.yaml -> one frozen tree. Every value is checked; nothing unknown is let through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import pydantic
import yaml
from pydantic import Field

from adaptgan.components import explain
from adaptgan.datainfo import TaskName
from adaptgan.errors import ParamsError, nearest

Component = str | dict[str, Any]
"""`name` or `{name: …, option: …}`; checked against the component's own signature when it is used."""


Name = Annotated[str, Field(pattern=r"\S")]


class Section(pydantic.BaseModel):
    """Base of all sections: frozen, and an unknown key is an error."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class IngestSection(Section):
    """A data set to bring in: `adaptgan ingest SECTION`."""

    dataset: Component
    shard_size: Annotated[int, Field(ge=1, description="records per tar file")] = 1000
    max_corrupt: Annotated[float, Field(ge=0, le=1, description="abort above this share of unreadable images")] = 0.001
    labels: Literal["open", "sealed"] = "open"
    """`sealed`: the labels are kept, but only `evaluate` and `train --oracle` may read them."""
    size: Annotated[tuple[int, int] | None, Field(description="resize to (height, width); null: all must agree")] = None
    resample: Annotated[
        Literal["bicubic"] | None,
        Field(
            description="how `size` resizes; null: shrinking averages areas; `bicubic`: antialiased, as Pillow and "
            "MATLAB do, and super-resolution expects its small images"
        ),
    ] = None
    mode: Annotated[Literal["L", "RGB"] | None, Field(description="convert to; null: all must agree")] = None
    paired_mode: Annotated[
        Literal["L", "RGB"] | None, Field(description="convert the paired images to; null: all must agree")
    ] = None
    """`size` is for both images of a pair, `mode` for the first: a grey drawing may belong to a colour photo."""
    limit: Annotated[int | None, Field(ge=1, description="take only the first N records")] = None
    per_class: Annotated[
        int | None, Field(ge=1, description="take N records of each class at random (of the first `limit`)")
    ] = None

    @pydantic.model_validator(mode="after")
    def _resamples_something(self) -> IngestSection:
        if self.resample is not None and self.size is None:
            raise ValueError("`resample` says how `size` resizes, and there is no `size`")
        return self


class Training(Section):
    """How to train; what to train is the method's."""

    steps: Annotated[int, Field(ge=1)] = 1000
    batch_size: Annotated[int, Field(ge=1, description="records of each domain in a batch, over all ranks")] = 64
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = "auto"
    compile: bool = False
    channels_last: bool = True
    log_every: Annotated[int, Field(ge=1, description="steps between two read-outs of the losses")] = 50
    on_alarm: Annotated[
        Literal["warn", "stop"], Field(description="whether an alarm ends the training, after a checkpoint")
    ] = "warn"
    on_collapse: Annotated[
        Literal["warn", "stop"] | None,
        Field(description="the same for alarms of a collapse or a divergence; null: as `on_alarm` says"),
    ] = None
    snapshots: Annotated[
        int, Field(ge=0, description="copies of the weights kept along the way, evenly spaced, to choose among")
    ] = 0
    sample_every: Annotated[int, Field(ge=0, description="steps between two image grids; 0: only at the end")] = 0
    checkpoint_every: Annotated[int, Field(ge=1, description="steps; at most this much work is lost")] = 250
    keep_checkpoints: Annotated[int, Field(ge=2)] = 2
    validation: Annotated[float, Field(ge=0, lt=1, description="share of the source held out to score on")] = 0.05
    loading: Annotated[
        Literal["auto", "device", "stream"], Field(description="whole data set on the device, or by workers")
    ] = "auto"
    workers: Annotated[int, Field(ge=0, description="processes that load a streamed data set")] = 1
    transforms: Annotated[
        list[dict[str, Any]],
        Field(description="albumentations transforms of streamed source images: {name: …, option: …}"),
    ] = []
    target_transforms: Annotated[
        list[dict[str, Any]], Field(description="the same of target images, where a method learns from some")
    ] = []


class TrainSection(Section):
    """A method and how to train it: `adaptgan train SECTION`."""

    method: Component
    learns: TaskName | None = None
    """`classification`: the labels; `regression`: the annotation `values`; `segmentation`: the annotation `mask`; null:
    what the method learns first of all, which is `classification` for most."""
    training: Training = Training()


class SynthesizeSection(Section):
    """How to make a training set, of a data set or from noise: `adaptgan synthesize SECTION`."""

    gate: list[Component] = ["classifier_agreement"]
    """What images must pass. Where records carry boxes, keypoints or masks and the translator says that it moves no
    pixels, a check of places is added to these; an empty list judges nothing."""
    count: Annotated[int | None, Field(ge=1, description="images to make from noise; each is judged by the gate")] = (
        None
    )
    classes: Annotated[
        dict[str, Annotated[float, Field(ge=0)]],
        Field(description="how often each class is made from noise: {name: share}; empty: all alike"),
    ] = {}
    balance: Annotated[
        bool,
        Field(description="go on making images from noise until `count` have passed, each class as often as asked for"),
    ] = False
    truncation: Annotated[
        float | None, Field(gt=0, description="of the noise: less variety, fewer failures; null: none")
    ] = None
    to: Annotated[
        str | None, Field(description="the domain to go to, of a translator that knows several; null: its first")
    ] = None
    label_by_guard: Annotated[
        bool, Field(description="images of a generator without classes get the label that the guard reads")
    ] = False
    batch_size: Annotated[int, Field(ge=1)] = 256
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = "auto"
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    shard_size: Annotated[int, Field(ge=1)] = 1000


class EvaluateSection(Section):
    """What `adaptgan evaluate` measures."""

    validators: list[Component] = ["source_accuracy", "information_maximization", "batch_nuclear_norm", "class_ami"]
    """Label-free scores; the row with the best mean rank is selected, never one that ranks below source-only."""
    observed: list[Component] = []
    """Further validators, reported beside those above but without a vote."""
    largest_class: Annotated[
        float,
        Field(
            gt=0,
            lt=1,
            description="how much of the target one class may take before a row counts as collapsed and cannot be "
            "selected, from an even split (0) to everything (1)",
        ),
    ] = 0.5
    baseline: str = "source"
    oracle: str = "oracle"
    feature_map: Annotated[bool, Field(description="draw features of both domains, before and after adaptation")] = True
    realism: list[Component] = ["kid", "a_distance"]
    images: Annotated[int, Field(ge=10, description="images of each set that realism is measured on")] = 2000
    features: Annotated[
        Literal["baseline", "judge", "pixels"],
        Field(description="whose features realism is measured in; the other spaces are reported beside it"),
    ] = "baseline"
    batch_size: Annotated[int, Field(ge=1)] = 256
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = "auto"


class RealismSection(Section):
    """How to judge generated images: `adaptgan realism SECTION`."""

    extractors: Annotated[list[Component], Field(min_length=1)] = ["pixels"]
    """The spaces to measure in; the first is the one whose numbers are tracked by their bare names."""
    metrics: Annotated[list[Component], Field(min_length=1)] = ["fid", "kid", "precision_recall", "density_coverage"]
    images: Annotated[int, Field(ge=10, description="images of each set that are compared")] = 2000
    batch_size: Annotated[int, Field(ge=1)] = 256
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = "auto"
    truncation: Annotated[float | None, Field(gt=0, description="of the latents of generators; null: none")] = None


class FidelitySection(Section):
    """How to hold translations against their truth: `adaptgan fidelity SECTION`."""

    metrics: list[Component] = ["kid"]
    """Distances between the sets, beside L1, PSNR and SSIM of each pair."""
    border: Annotated[int, Field(ge=0, description="pixels left out at every edge of each pair")] = 0
    luma: Annotated[bool, Field(description="compare pairs on Y of Y′CbCr alone, as papers on super-resolution do")] = (
        False
    )
    rows: Annotated[int, Field(ge=1, le=100, description="pairs in the grid")] = 10
    batch_size: Annotated[int, Field(ge=1)] = 256
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = "auto"


class ReportSection(Section):
    """What the report page shows."""

    title: str = "adaptgan report"
    images: Annotated[int, Field(ge=1, le=400, description="images in each grid")] = 40


class TrackingSection(Section):
    """Where runs are tracked."""

    enabled: bool = True
    uri: str = "sqlite:///mlflow.db"
    experiment: str = "adaptgan"
    flush_seconds: Annotated[float, Field(gt=0)] = 10.0
    log_models: bool = True


class PluginsSection(Section):
    """Whose code may run. Names are of distributions or of entry points; `-`, `_`, `.` and case make no difference.

    What is said here holds before any plugin is imported: `adaptgan.trust` reads it first.
    """

    allow: Annotated[
        list[Name] | None, Field(description="nothing but these and what is built in; null: all that is installed")
    ] = None
    block: Annotated[list[Name], Field(description="never these, even if they are allowed")] = []


class Pipeline(Section):
    """The sections that every params.yaml has (or leaves at their defaults)."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    evaluate: EvaluateSection = EvaluateSection()
    report: ReportSection = ReportSection()
    tracking: TrackingSection = TrackingSection()
    plugins: PluginsSection = PluginsSection()


S = TypeVar("S", bound=Section)
_SHAPES = ("dataset", "method", "gate", "extractors", "metrics")
_USUAL = ("source", "target", "target_test", "refiner", "refine", "task", "realism", "fidelity")


class Params:
    """A parsed params.yaml.

    Attributes:
        pipeline: seed, evaluate, report, tracking and plugins.
        sections: every other section as plain data; `section` checks one against what a command expects.
        path: the file it came from, for messages.
    """

    def __init__(self, tree: Mapping[str, Any], path: Path) -> None:
        self.path = path
        known = {key: value for key, value in tree.items() if key in Pipeline.model_fields}
        self.sections = {key: value for key, value in tree.items() if key not in known}
        for name, value in self.sections.items():
            if name not in _USUAL and not _has_shape(value):
                raise ParamsError(
                    f"{path}: unknown section {str(name)!r}. {nearest(str(name), [*Pipeline.model_fields, *_USUAL])} "
                    "A section of your own has a `dataset`, a `method` or a `gate` (or `extractors`, or `metrics`)."
                )
        self.pipeline = _validate(Pipeline, known, "", path)

    @property
    def seed(self) -> int:
        """The one seed that all randomness derives from."""
        return self.pipeline.seed

    def section(self, name: str, expected: type[S]) -> S:
        """The section at a dotted path, `refiner` or `task.dann`.

        Raises:
            ParamsError: it is missing, or not of the expected shape.
        """
        value: Any = self.sections
        seen: list[str] = []
        for part in name.split("."):
            if not isinstance(value, Mapping) or part not in value:
                inside = ".".join(seen) or str(self.path)
                known = [str(key) for key in value] if isinstance(value, Mapping) else []
                raise ParamsError(
                    f"{self.path}: there is no section {name!r}; {inside} has no {part!r}. {nearest(part, known)}"
                )
            seen.append(part)
            value = value[part]
        return _validate(expected, value if value is not None else {}, name, self.path)

    def leaves(self) -> dict[str, dict[str, Any]]:
        """Every section that a command can run, by its dotted path."""
        found: dict[str, dict[str, Any]] = {}

        def walk(prefix: str, value: Any) -> None:
            if not isinstance(value, Mapping):
                return
            if any(shape in value for shape in _SHAPES) or prefix in ("refine", "realism", "fidelity"):
                found[prefix] = dict(value)
                return
            for key, inner in value.items():
                walk(f"{prefix}.{key}" if prefix else str(key), inner)

        walk("", self.sections)
        return found


def load(path: Path | str = "params.yaml", overrides: Iterable[str] = ()) -> Params:
    """Read a params file and apply `a.b=c` overrides (values are YAML).

    Raises:
        ParamsError: the file is missing or not YAML, or a value is wrong.
    """
    path = Path(path)
    try:
        tree = yaml.safe_load(path.read_text()) or {}
    except FileNotFoundError:
        raise ParamsError(
            f"{path}: there is no such file. Run from the project's folder, or name one with --params."
        ) from None
    except IsADirectoryError:
        raise ParamsError(f"{path}: this is a folder; --params names a file.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path}: this is not valid YAML: {error}") from None
    if not isinstance(tree, dict):
        raise ParamsError(f"{path}: expected sections (seed, source, …); found {type(tree).__name__}.")
    for override in overrides:
        _override(tree, override)
    return Params(tree, path)


def _override(tree: dict[str, Any], override: str) -> None:
    dotted, equals, text = override.partition("=")
    if not equals or not dotted:
        raise ParamsError(f"--set {override}: expected a.b=c, such as --set refiner.training.steps=100.")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ParamsError(f"--set {override}: {text!r} is not a YAML value: {error}") from None
    *parents, last = dotted.split(".")
    if [*parents, last][0] == "plugins":
        raise ParamsError(
            f"--set {override}: plugins are found before this is read. Write it in the params file, or set "
            "ADAPTGAN_DISABLE_PLUGINS or ADAPTGAN_ALLOW_PLUGINS to a list of names for one command."
        )
    node = tree
    for part in parents:
        inner = node.get(part)
        if isinstance(inner, str):  # a component given by its name alone
            inner = {"name": inner}
        if inner is None:
            inner = {}
        if not isinstance(inner, dict):
            raise ParamsError(f"--set {override}: {part!r} holds {inner!r}, which has no options.")
        node[part] = inner
        node = inner
    node[last] = value


def _has_shape(value: Any) -> bool:
    return isinstance(value, Mapping) and (
        any(shape in value for shape in _SHAPES) or any(_has_shape(inner) for inner in value.values())
    )


def _validate(model: type[S], value: Any, where: str, path: Path) -> S:
    if not isinstance(value, Mapping):
        raise ParamsError(f"{path}: {where}: expected options, found {value!r}.")
    _refuse_unknown(model, value, where, path)
    try:
        return model.model_validate(dict(value))
    except pydantic.ValidationError as error:
        raise ParamsError(f"{path}: " + explain(error, where)) from None


def _refuse_unknown(model: type[pydantic.BaseModel], value: Mapping[Any, Any], where: str, path: Path) -> None:
    """An unknown option, nested ones too, is named with the nearest known ones (pydantic would not)."""
    for key, inner in value.items():
        place = f"{where}.{key}" if where else str(key)
        if key not in model.model_fields:
            raise ParamsError(f"{path}: {place}: there is no such option. {nearest(str(key), model.model_fields)}")
        annotation = model.model_fields[key].annotation
        if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel) and isinstance(inner, Mapping):
            _refuse_unknown(annotation, inner, place, path)
