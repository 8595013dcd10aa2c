"""`init`: a project around a user's own folders, ready for `dvc repro`."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adaptgan.errors import AdaptganError, DataError, ParamsError, nearest
from adaptgan.files import write_atomic
from adaptgan.stages.survey import Survey, survey

LARGEST = 128
"""Longest side that is chosen by itself: what trains in minutes to an hour. `--size` goes beyond."""

_SMALLEST = 16
_STEP = 4
"""Sides are multiples of this: the networks halve an image twice."""

IGNORED = ("/.adaptgan/", "/.venv/", "/mlflow.db*", "/mlruns/", "/mlartifacts/")


@dataclass(frozen=True)
class Choice:
    """The one size and mode that all images are brought to, and why, where it had to be chosen."""

    size: tuple[int, int]
    mode: str
    remarks: tuple[str, ...]


def create(
    directory: Path,
    source: Path,
    target: Path,
    target_test: Path | None = None,
    *,
    size: str | None = None,
    mode: str | None = None,
    force: bool = False,
) -> Iterator[str]:
    """Look at the folders, then write params.yaml, dvc.yaml and what goes with them into `directory`.

    Args:
        directory: the project; made when missing.
        source: labelled synthetic images.
        target: real images.
        target_test: labelled real images to measure on, or None.
        size: `HEIGHTxWIDTH`, or None to choose.
        mode: L or RGB, or None to choose.
        force: overwrite params.yaml and dvc.yaml.

    Yields:
        Lines for a person: what was found, chosen and written.

    Raises:
        DataError: the folders cannot make a pipeline.
        AdaptganError: there is a project already, or dvc fails.
    """
    there = [name for name in ("params.yaml", "dvc.yaml") if (directory / name).exists()]
    if there and not force:
        raise AdaptganError(
            f"{directory}: {' and '.join(there)} already there. Use --force to overwrite, or another folder."
        )
    folders = {"source": source, "target": target, **({"target_test": target_test} if target_test else {})}
    surveys: dict[str, Survey] = {}
    for role, folder in folders.items():
        _check_place(directory, role, folder)
        surveys[role] = survey(folder)
        yield f"{role}: {surveys[role].text} ({folder})"
        if bad := surveys[role].unreadable:
            yield f"  {len(bad)} of them could not be read, such as {', '.join(bad[:3])}."
            yield f"  Remove them, or allow more with {role}.max_corrupt in params.yaml: ingest stops above 0.1%."
    yield from _check_labels(surveys)
    choice = choose(surveys, size, mode)
    yield from choice.remarks
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in render(directory, surveys, choice).items():
        if name == "README.md" and (directory / name).exists():
            continue
        write_atomic(directory / name, text)
        yield f"wrote {directory / name}"
    _add_lines(directory / ".gitignore", IGNORED)
    _add_lines(directory / ".dvcignore", IGNORED[:2])
    yield from _dvc_init(directory)
    yield f"Next: cd {directory} && dvc repro"


def choose(surveys: dict[str, Survey], size: str | None = None, mode: str | None = None) -> Choice:
    """One size and mode for all: the target's, where folders differ, since the source is to look like it.

    Args:
        surveys: what was found, by role.
        size: `HEIGHTxWIDTH` from the user.
        mode: from the user.
    """
    remarks: list[str] = []
    chosen = _given_size(size) if size else None
    if chosen is None:
        sizes = {each for found in surveys.values() for each in found.sizes}
        ((common, _),) = surveys["target"].sizes.most_common(1)
        chosen = _fit(common)
        if len(sizes) > 1:
            remarks.append(
                f"Sizes differ; all images are resized to {_text(chosen)} (height x width), after the target's most "
                f"common {_text(common)}. Another: --size."
            )
        elif chosen != common:
            remarks.append(
                f"Images of {_text(common)} are resized to {_text(chosen)}, which the networks can halve, and train on "
                "in minutes. Another: --size."
            )
        if any(abs(width / height / (chosen[1] / chosen[0]) - 1) > 0.1 for height, width in sizes):
            remarks.append(
                "Some images have other proportions: resizing stretches them. Crop them before if that matters."
            )
    if mode is None:
        grey = {role: set(found.modes) == {"L"} for role, found in surveys.items()}
        mode = "L" if any(grey.values()) else "RGB"
        if len({each for found in surveys.values() for each in found.modes}) > 1:
            without = " and ".join(role for role in grey if grey[role])
            why = f"there is no colour in {without}" if mode == "L" else "there is colour in all"
            remarks.append(
                f"Modes differ; all images become {'grey (L)' if mode == 'L' else 'colour (RGB)'}, since {why}. "
                "Another: --mode."
            )
    return Choice(chosen, mode, tuple(remarks))


def render(directory: Path, surveys: dict[str, Survey], choice: Choice) -> dict[str, str]:
    """The project's files, by name."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    test, target = surveys.get("target_test"), surveys["target"]
    oracle = test is not None and bool(target.classes)
    folders = {role: stored_path(directory, found.folder) for role, found in surveys.items()}

    def dataset(role: str) -> str:
        found, classes = surveys[role], surveys["source"].classes
        options = f"name: {found.dataset}, folder: {json.dumps(folders[role], ensure_ascii=False)}"
        # Labels are numbers: where a set lacks a class it is told the source's list.
        if found.classes and found.classes != classes:
            options += f", classes: {json.dumps(classes, ensure_ascii=False)}"
        return f"{{{options}}}"

    values: dict[str, Any] = {
        "dataset": dataset,
        "title": directory.resolve().name,
        "rows": ["source", "adapted", "dann", "self_ensembling"] + ["oracle"] * oracle,
        "folders": folders,
        "surveys": surveys,
        "size": list(choice.size),
        "mode": choice.mode,
        "test": test is not None,
        "oracle": oracle,
    }
    return {
        name: environment.get_template(f"{name}.j2").render(values) for name in ("params.yaml", "dvc.yaml", "README.md")
    }


def stored_path(directory: Path, folder: Path) -> str:
    """How a project names a folder: relative when it lies inside the project and moves with it, else absolute."""
    inside, folder = directory.resolve(), folder.resolve()
    return folder.relative_to(inside).as_posix() if folder.is_relative_to(inside) else folder.as_posix()


def _check_place(directory: Path, role: str, folder: Path) -> None:
    flag = "--" + role.replace("_", "-")
    if directory.resolve().is_relative_to(folder.resolve()):
        raise DataError(
            f"{flag} {folder}: the project {directory} would lie inside it, and DVC would track its own outputs."
        )
    inside = folder.resolve().is_relative_to(directory.resolve())
    if inside and folder.resolve().relative_to(directory.resolve()).parts[:2] in (("data", role), ("data", "adapted")):
        raise DataError(
            f"{flag} {folder}: the pipeline writes its own data set there. Move the images, to raw/{role} say."
        )
    if "${" in str(folder.resolve()):
        raise DataError(f"{flag} {folder}: DVC would take `${{` in the path for a variable. Rename the folder.")


def _check_labels(surveys: dict[str, Survey]) -> Iterator[str]:
    source, target, test = surveys["source"], surveys["target"], surveys.get("target_test")
    if not source.classes:
        raise DataError(
            f"--source {source.folder}: its images have no labels. Put each class into a folder of its own, or write a "
            'metadata.jsonl of lines {"file_name": …, "label": …}.'
        )
    if len(source.classes) < 2:
        raise DataError(
            f"--source {source.folder}: only one class, {source.classes[0]!r}; there is nothing to tell apart."
        )
    for role, found in (("target-test", test), ("target", target)):
        if found is None or (role == "target" and not found.classes):
            continue
        if not found.classes:
            raise DataError(
                f"--{role} {found.folder}: its images have no labels to measure accuracy with. Leave it out, or label "
                "it: a folder for each class, or a metadata.jsonl."
            )
        if foreign := sorted(set(found.classes) - set(source.classes)):
            raise DataError(
                f"--{role} {found.folder}: the source has no class {', '.join(repr(name) for name in foreign[:5])}. "
                f"{nearest(foreign[0], source.classes)} Rename its folders, or give the images in one folder, "
                "unlabelled."
            )
        if missing := [name for name in source.classes if name not in found.classes]:
            yield f"{role}: it has no image of {', '.join(missing[:5])}; that is allowed."
    if test is None:
        yield "No --target-test: the pipeline runs and is judged by label-free measures; accuracies stay empty."
    elif not target.classes:
        yield "The target has no labels: there is no oracle row, so the share of the gap that was closed stays empty."


def _given_size(size: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)(?:x(\d+))?", size)
    if not match:
        raise ParamsError(f"--size {size}: expected HEIGHTxWIDTH, such as 64x64.")
    height = int(match.group(1))
    chosen = height, int(match.group(2) or height)
    if any(side % _STEP or side < _SMALLEST for side in chosen):
        raise ParamsError(
            f"--size {size}: sides must be multiples of {_STEP}, at least {_SMALLEST}. "
            f"Try {_text(_fit(chosen, max(chosen)))}."
        )
    return chosen


def _fit(size: tuple[int, int], largest: int = LARGEST) -> tuple[int, int]:
    scale = min(1.0, largest / max(size))
    height, width = (max(_SMALLEST, round(side * scale / _STEP) * _STEP) for side in size)
    return height, width


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _add_lines(path: Path, lines: tuple[str, ...]) -> None:
    before = path.read_text() if path.exists() else ""
    missing = [line for line in lines if line not in before.splitlines()]
    if missing:
        gap = "" if not before or before.endswith("\n") else "\n"
        write_atomic(path, before + gap + "\n".join(missing) + "\n")


def _dvc_init(directory: Path) -> Iterator[str]:
    if (directory / ".dvc").is_dir():
        return
    git = (directory / ".git").exists() and shutil.which("git") is not None
    how = ["init", "--quiet"] if git else ["init", "--quiet", "--no-scm"]
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *how], cwd=directory, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise AdaptganError(f"{directory}: `dvc {' '.join(how)}` failed: {done.stderr.strip() or done.stdout.strip()}")
    yield f"set up DVC in {directory}" + ("" if git else " (without git)")
