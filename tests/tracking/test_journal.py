"""The journal: whole lines, one writer, mended ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from adaptgan.tracking.journal import Journal, last_steps, locked, read, writer_lock


def test_lines_come_back_with_offsets_to_go_on_from(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    journal = Journal(path)
    journal.append("begin", name="train task.dann")
    journal.append("metrics", stream="losses", step=50, values={"a": 0.5})
    journal.close()
    (first, behind), (second, end) = read(path)
    assert first["name"] == "train task.dann"
    assert second["values"] == {"a": 0.5}
    assert end == path.stat().st_size
    assert [record for record, _ in read(path, behind)] == [second]


def test_an_unfinished_line_is_not_read_and_is_cut_off_by_the_next_writer(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    journal = Journal(path)
    journal.append("begin")
    journal.close()
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"t":1,"do":"met')
    assert [record["do"] for record, _ in read(path)] == ["begin"]
    journal = Journal(path)
    journal.append("end")
    journal.close()
    assert [record["do"] for record, _ in read(path)] == ["begin", "end"]


def test_a_damaged_line_does_not_hide_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"t":1,"do":"begin"}\n\x00\xff\n[1]\n{"t":2,"do":"end"}\n')
    assert [record["do"] for record, _ in read(path)] == ["begin", "end"]


def test_a_second_writer_is_refused_while_the_first_lives(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    journal = Journal(path)
    assert locked(writer_lock(path))
    with pytest.raises(BlockingIOError):
        Journal(path)
    journal.close()
    assert not locked(writer_lock(path))
    Journal(path).close()


def test_last_steps_are_told_per_stream(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    assert last_steps(path) == {}
    journal = Journal(path)
    for step in (10, 20, 30):
        journal.append("metrics", stream="losses", step=step, values={"a": 1.0})
    journal.append("image", stream="samples", step=20, key="samples", path="x.png")
    journal.close()
    assert last_steps(path) == {"losses": 30, "samples": 20}
