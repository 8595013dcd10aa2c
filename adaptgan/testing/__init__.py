"""For authors of plugins: checks that hold for every component, and fixtures.

In a plugin's tests:

    from adaptgan.testing import check_gate, check_method, check_network, check_objective, check_penalty, check_plugin

    def test_my_method():
        check_method("my_method")

Fixtures: `pytest_plugins = ["adaptgan.testing.plugin"]` in the tests' top conftest.py. A check that fails raises an
`AssertionError` that says what was expected of the component.
"""

from __future__ import annotations

from adaptgan.testing.checks import check_component, check_network, check_objective, check_plugin
from adaptgan.testing.data import tiny_batch, tiny_info
from adaptgan.testing.gates import check_gate
from adaptgan.testing.methods import check_method
from adaptgan.testing.penalties import check_penalty

__all__ = [
    "check_component",
    "check_gate",
    "check_method",
    "check_network",
    "check_objective",
    "check_penalty",
    "check_plugin",
    "tiny_batch",
    "tiny_info",
]
