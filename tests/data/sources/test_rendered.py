from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from scipy import ndimage

from adaptgan.data.measures import measured
from adaptgan.data.records import Record
from adaptgan.data.sources.rendered import RenderedDigits
from adaptgan.errors import DataError

FONTS = Path(mpl.get_data_path()) / "fonts" / "ttf"


def draw(split: str = "train", seed: int = 0, **options: object) -> list[Record]:
    return list(RenderedDigits(**{"count": 40, **options}).records(split, seed))  # type: ignore[arg-type]


def test_shape_labels_and_provenance() -> None:
    records = draw(count=200)
    assert {record.image.shape for record in records} == {(32, 32)}
    assert Counter(record.label for record in records) == dict.fromkeys(range(10), 20)
    assert len({record.key for record in records}) == 200
    assert len({record.provenance["font"] for record in records}) > 12
    for record in records:
        # White on black, with a full-bright stroke or nearly, and nothing cut off by the border.
        assert record.image.max() > 150 and np.median(record.image) == 0
        border = np.concatenate([record.image[[0, -1]].ravel(), record.image[:, [0, -1]].ravel()])
        assert border.max() == 0


def test_a_record_depends_on_seed_split_and_number_alone() -> None:
    few, many = draw(count=10), draw(count=30)
    for a, b in zip(few, many, strict=False):
        np.testing.assert_array_equal(a.image, b.image)
        assert a.provenance == b.provenance
    assert not np.array_equal(draw(seed=1)[0].image, few[0].image)
    assert not np.array_equal(draw("test")[0].image, few[0].image)


def holes(image: np.ndarray) -> int:
    """Regions of background that the ink encloses; specks where strokes meet do not count."""
    regions, _ = ndimage.label(np.pad(image < 80, 1, constant_values=True))
    return int((np.bincount(regions.ravel())[2:] >= 20).sum())


@pytest.mark.parametrize("fonts", ["truetype", "hershey"])
def test_the_digits_are_the_labels(fonts: str) -> None:
    # Topology, which no font or warp changes: 8 has two holes, 0, 6 and 9 have one, the open digits none.
    records = draw(fonts=fonts, count=200, image_size=96, stroke=(0.0, 0.0), jitter=0.0)
    expected = {0: 1, 1: 0, 2: 0, 3: 0, 5: 0, 6: 1, 7: 0, 8: 2, 9: 1}
    wrong = [r.label for r in records if r.label != 4 and holes(r.image) != expected[r.label]]  # type: ignore[index]
    # A curl of a serif may touch in a rare font; a wrong glyph would be wrong in every record of it.
    assert len(wrong) <= 0.04 * len(records), Counter(wrong)


def test_fonts_option() -> None:
    hershey = {record.provenance["font"] for record in draw(fonts="hershey")}
    truetype = {record.provenance["font"] for record in draw(fonts="truetype")}
    assert hershey <= {"simplex", "plain", "duplex", "complex", "complex_small", "script_complex"}
    assert not hershey & truetype and "DejaVuSans" in truetype


def test_geometry_options_do_what_they_say() -> None:
    still = {"rotation": 0.0, "shear": 0.0, "jitter": 0.0, "stroke": (0.0, 0.0), "aspect": (1.0, 1.0), "image_size": 64}
    for record in draw(**still, height=(0.5, 0.5)):
        rows = np.flatnonzero(record.image.max(1) > 40)
        columns = np.flatnonzero(record.image.max(0) > 40)
        assert abs(rows[-1] - rows[0] + 1 - 32) <= 2
        assert abs((rows[0] + rows[-1]) / 2 - 31.5) <= 1 and abs((columns[0] + columns[-1]) / 2 - 31.5) <= 1
    thin, thick = (draw(**{**still, "stroke": (width, width)}, height=(0.5, 0.5)) for width in (0.0, 3.0))
    assert all(b.image.sum() > a.image.sum() for a, b in zip(thin, thick, strict=True))
    shifted = draw(**{**still, "jitter": 8.0}, height=(0.5, 0.5))
    centres = np.array([ndimage.center_of_mass(record.image) for record in shifted])
    assert 2 < (centres - 31.5).std() < 8


def test_invert_is_black_on_white() -> None:
    for a, b in zip(draw(), draw(invert=True), strict=True):
        np.testing.assert_array_equal(a.image, 255 - b.image)


def test_a_folder_of_ones_own_fonts(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    shutil.copy(FONTS / "cmb10.ttf", tmp_path / "sub" / "mine.TTF")
    records = draw(fonts="truetype", font_folder=str(tmp_path))
    assert {record.provenance["font"] for record in records} == {"sub/mine"}


def test_fonts_without_digits_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        RenderedDigits(font_folder=str(tmp_path / "none"))
    with pytest.raises(DataError, match=r"holds no \.ttf"):
        RenderedDigits(font_folder=str(tmp_path))
    with pytest.raises(DataError, match="fonts: hershey"):
        RenderedDigits(font_folder=str(tmp_path), fonts="hershey")
    shutil.copy(FONTS / "STIXSizOneSymReg.ttf", tmp_path / "symbols.ttf")
    with pytest.raises(DataError, match=r"symbols\.ttf has no glyph for 0"):
        RenderedDigits(font_folder=str(tmp_path))
    (tmp_path / "symbols.ttf").write_bytes(b"no font")
    with pytest.raises(DataError, match=r"symbols\.ttf could not be opened"):
        RenderedDigits(font_folder=str(tmp_path))


def test_ranges_that_make_no_sense_are_refused() -> None:
    with pytest.raises(DataError, match="height must be"):
        RenderedDigits(height=(0.7, 0.5))
    with pytest.raises(DataError, match="at most 1"):
        RenderedDigits(height=(0.7, 1.5))
    with pytest.raises(DataError, match="no split 'both'"):
        RenderedDigits().records("both", 0)


@pytest.mark.parametrize("invert", [False, True])
def test_annotations_are_measured_on_the_ink(invert: bool) -> None:
    plain, asked = draw(invert=invert), draw(invert=invert, annotate=("values", "mask"))
    for before, after in zip(plain, asked, strict=True):
        assert before.annotations == {}
        np.testing.assert_array_equal(after.image, before.image)  # nothing else changes
        ink = 255 - after.image if invert else after.image
        assert after.annotations == measured(ink, ["values", "mask"])


def test_measured_slant_follows_the_drawn_shear_and_thickness_the_pen() -> None:
    """By the same digit in the same font, so that its own shape does not count."""
    common = {"count": 300, "rotation": 0.0, "jitter": 0.0, "aspect": (1.0, 1.0), "annotate": ("values",)}
    upright, sheared = draw(**common, shear=0.0, stroke=(0.0, 0.0)), draw(**common, stroke=(0.0, 0.0))
    heavy = draw(**common, shear=0.0, stroke=(1.0, 1.0))
    of = {(r.provenance["font"], r.label): r.annotations["values"] for r in upright}
    drawn, found, wider = [], [], []
    for record, thick in zip(sheared, heavy, strict=True):
        base = of.get((record.provenance["font"], record.label))
        if base is not None:
            drawn.append(record.provenance["shear"])
            tan = [np.tan(np.deg2rad(values["slant"])) for values in (record.annotations["values"], base)]
            found.append(tan[0] - tan[1])
        base = of.get((thick.provenance["font"], thick.label))
        if base is not None:
            wider.append(thick.annotations["values"]["thickness"] > base["thickness"])
    assert np.corrcoef(drawn, found)[0, 1] > 0.98 and np.abs(np.subtract(found, drawn)).mean() < 0.03
    assert np.mean(wider) > 0.95
