"""Errors: the nearest names, exit statuses, and what the command line makes of them."""

from __future__ import annotations

import errno

import pytest

from adaptgan import errors
from adaptgan.cli import main
from adaptgan.files import explain_os_error


def test_nearest_names_what_is_close() -> None:
    assert errors.nearest("simgann", ["simgan", "dann", "supervised"]) == "Did you mean 'simgan'?"
    assert errors.nearest("steps", ["step", "stop", "lr"]) == "Did you mean 'step' or 'stop'?"


def test_nearest_lists_all_when_nothing_is_close() -> None:
    assert errors.nearest("xyz", ["simgan", "dann"]) == "Known: dann, simgan."
    assert errors.nearest("xyz", []) == "Known: none."


def test_exit_statuses() -> None:
    assert errors.AdaptganError.exit_code == 1
    assert errors.ComponentError.exit_code == errors.ParamsError.exit_code == 2
    assert errors.Interrupted.exit_code == 75


@pytest.mark.parametrize(
    ("raised", "status", "said"),
    [
        (errors.DataError("no images in data/x"), 1, "adaptgan: no images in data/x"),
        (errors.ParamsError("task.dann: wrong"), 2, "adaptgan: task.dann: wrong"),
        (errors.Interrupted("stopped"), 75, "adaptgan: stopped"),
        (OSError(errno.ENOSPC, "No space left on device", "/data/x.tar"), 1, "The disk is full: writing /data/x.tar"),
        (PermissionError(errno.EACCES, "Permission denied", "/data"), 1, "/data: Permission denied"),
    ],
)
def test_an_expected_failure_is_one_message_and_a_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], raised: Exception, status: int, said: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr("adaptgan.cli.register", fail)
    monkeypatch.setattr(main.warnings, "showwarning", main.warnings.showwarning)
    monkeypatch.delenv("ADAPTGAN_DEBUG", raising=False)
    with pytest.raises(SystemExit) as stopped:
        main.run(["components"])
    assert stopped.value.code == status
    printed = capsys.readouterr()
    assert said in printed.err
    assert "Traceback" not in printed.err


def test_other_os_errors_are_not_explained_away() -> None:
    assert explain_os_error(OSError(errno.EIO, "Input/output error")) is None
