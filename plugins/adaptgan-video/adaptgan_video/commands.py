"""The commands: `animate`, `pose-transfer` and `video-scores`. Free of torch until one runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[Path, typer.Option(help="A trained model.")]
Out = Annotated[Path, typer.Option(help="The new data set.")]
Gif = Annotated[Path | None, typer.Option(help="Also show the first videos as a GIF.")]
Rows = Annotated[int, typer.Option(min=1, help="Videos in the GIF.")]
Params = Annotated[Path | None, typer.Option(help="Of the pipeline whose stage this is, to be tracked with it.")]


def register(app: typer.Typer) -> None:
    """Add them to the command line."""
    app.command("animate")(animate)
    app.command("pose-transfer")(pose_transfer)
    app.command("video-scores")(video_scores)


def animate(
    model: Model,
    source: Annotated[Path, typer.Option(help="Data set whose videos' first frames are set in motion.")],
    driving: Annotated[Path, typer.Option(help="Data set of the videos that they follow.")],
    out: Out,
    relative: Annotated[bool, typer.Option("--relative", help="Move as the video does since its first frame.")] = False,
    gif: Gif = None,
    rows: Rows = 4,
    params: Params = None,
) -> None:
    """Make still images follow videos with a trained `fomm`; the n-th driving video moves the n-th source.

    A GIF shows source, driving video and what was made of both. `--relative` needs a source in about the pose of the
    video's first frame; without, the source takes the poses as they are.
    """
    from adaptgan.stages.base import Stage
    from adaptgan_video.making import animate_videos

    inputs = {"model": model, "source": source, "driving": driving}
    stage = Stage.of_command("animate", params, {"relative": relative}, inputs, {"out": out, "gif": gif})
    with stage.running():
        count = animate_videos(model, source, driving, out, relative=relative, gif=gif, rows=rows)
        stage.results = {"frames": count}
    typer.echo(f"{out}: {count} frames")


def pose_transfer(
    model: Model,
    poses: Annotated[Path, typer.Option(help="Data set of videos of poses.")],
    out: Out,
    gif: Gif = None,
    rows: Rows = 4,
    params: Params = None,
) -> None:
    """Make videos of poses with a trained `pose_to_frame`, each frame with a look at the one made before.

    Labels and annotations are kept. A GIF shows poses, what was made of them, and, where the data set has pairs, the
    true frames.
    """
    from adaptgan.stages.base import Stage
    from adaptgan_video.making import transfer_videos

    inputs = {"model": model, "poses": poses}
    stage = Stage.of_command("pose-transfer", params, {}, inputs, {"out": out, "gif": gif})
    with stage.running():
        count = transfer_videos(model, poses, out, gif=gif, rows=rows)
        stage.results = {"frames": count}
    typer.echo(f"{out}: {count} frames")


def video_scores(
    model: Model,
    test: Annotated[Path, typer.Option(help="Data set of videos to measure on.")],
    out: Annotated[Path, typer.Option(help="The numbers, as JSON.")],
    train: Annotated[
        Path | None, typer.Option(help="Videos that a regression from keypoints to joints is fitted on (`fomm`).")
    ] = None,
    gif: Gif = None,
    rows: Rows = 4,
    params: Params = None,
) -> None:
    """Measure a trained `fomm` or `pose_to_frame`: L1 to the true frames, and tracking or flicker.

    `fomm` remakes every test video from its first frame, beside a copy of that frame; with --train, its keypoints are
    held against the annotated joints. `pose_to_frame` makes every test video from its poses.
    """
    from adaptgan.stages.base import Stage
    from adaptgan_video.making import score_videos

    inputs = {"model": model, "test": test, "train": train}
    stage = Stage.of_command("video-scores", params, {}, inputs, {"out": out, "gif": gif})
    with stage.running():
        result = score_videos(model, test, out, train=train, gif=gif, rows=rows)
        found = result["rows"]
        stage.results = {f"{row}/{key}": value for row, values in found.items() for key, value in values.items()}
    for name, row in result["rows"].items():
        typer.echo(f"{name}: " + ", ".join(f"{key} {value:.4f}" for key, value in row.items()))
