"""Files and folders are whole: what was there stays until what is new is complete."""

from __future__ import annotations

from pathlib import Path

import pytest

from adaptgan.files import staged


def fill(out: Path, text: str) -> None:
    with staged(out) as folder:
        (folder / "file").write_text(text)


def test_a_folder_replaces_what_was_there(tmp_path: Path) -> None:
    for text in ("one", "two"):
        fill(tmp_path / "out", text)
        assert (tmp_path / "out" / "file").read_text() == text
        assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    fill(tmp_path / "out", "one")

    def fail() -> None:
        with staged(tmp_path / "out") as folder:
            (folder / "file").write_text("half")
            raise ValueError("in the midst")

    with pytest.raises(ValueError, match="in the midst"):
        fail()
    assert (tmp_path / "out" / "file").read_text() == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("error", [OSError("no"), KeyboardInterrupt()])
@pytest.mark.parametrize("at", [1, 2])
def test_a_stop_in_the_midst_of_replacing_loses_nothing(
    at: int, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two renames: the old one aside, the new one into its place."""
    fill(tmp_path / "out", "one")
    plain, calls = Path.rename, []

    def rename(self: Path, to: Path) -> Path:
        calls.append(to)
        if len(calls) == at:
            raise error
        return plain(self, to)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(type(error)):
        fill(tmp_path / "out", "two")
    assert (tmp_path / "out" / "file").read_text() == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
