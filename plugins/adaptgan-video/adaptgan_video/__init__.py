"""Video: the First Order Motion Model, pose-to-frame transfer, and moving figures to learn from. Free of torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adaptgan import ComponentSpec, hookimpl

if TYPE_CHECKING:
    import typer

__all__ = ["adaptgan_register_commands", "adaptgan_register_components"]


def _spec(kind: str, name: str, target: str, summary: str, paper: str = "") -> ComponentSpec:
    return ComponentSpec(kind, name, f"{__name__}.{target}", summary, paper)


@hookimpl
def adaptgan_register_components() -> list[ComponentSpec]:
    """Name what there is; nothing is imported before params.yaml asks for it."""
    return [
        _spec("dataset", "moving_figures", "moving_figures:MovingFigures", "videos of figures and digits that move"),
        _spec(
            "method", "fomm", "fomm:FOMM", "a still image follows a video: First Order Motion Model", "Siarohin 2019"
        ),
        _spec("method", "pose_to_frame", "pose_to_frame:PoseToFrame", "poses into video frames", "Chan 2019"),
        _spec(
            "network",
            "keypoint_detector",
            "keypoints:KeypointDetector",
            "keypoints and the affine maps around them",
            "Siarohin 2019",
        ),
        _spec(
            "network",
            "dense_motion",
            "dense_motion:DenseMotion",
            "from keypoints to a flow and what it cannot show",
            "Siarohin 2019",
        ),
        _spec(
            "network",
            "warping_generator",
            "warping_generator:WarpingGenerator",
            "an image whose features follow a flow",
            "Siarohin 2019",
        ),
        _spec("network", "frame_generator", "frames:FrameGenerator", "a pose and the frame before it", "Chan 2019"),
        _spec("network", "frame_discriminator", "frames:FrameDiscriminator", "pairs of frames and poses", "Chan 2019"),
    ]


@hookimpl
def adaptgan_register_commands(app: typer.Typer) -> None:
    """`animate`, `pose-transfer` and `video-scores`."""
    from adaptgan_video.commands import register

    register(app)
