from __future__ import annotations

from adaptgan.data.annotations import boxes, scaled


def test_scaling_moves_boxes_and_keypoints_and_nothing_else() -> None:
    before = {"boxes": [[1, 2, 3, 4]], "keypoints": [[5, 6, 1]], "caption": "a b", "gaze": [0.1, 0.2]}
    after = scaled(before, 2.0, 0.5)
    assert after == {"boxes": [[2, 1, 6, 2]], "keypoints": [[10, 3, 1]], "caption": "a b", "gaze": [0.1, 0.2]}
    assert before["boxes"] == [[1, 2, 3, 4]]


def test_the_hugging_face_form_of_boxes() -> None:
    annotations = {"objects": {"bbox": [[0, 0, 4, 4]], "categories": [3]}}
    assert boxes(annotations) == [[0, 0, 4, 4]]
    assert scaled(annotations, 0.5, 0.5) == {"objects": {"bbox": [[0, 0, 2, 2]], "categories": [3]}}
