"""What all stages share: validated params and paths in, hooks around the work, what it cost."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adaptgan.files import scratch, write_json
from adaptgan.params import Pipeline, TrackingSection, load
from adaptgan.plugins import plugins


@dataclass
class Stage:
    """One stage of the pipeline while it runs.

    Attributes:
        name: the command: ingest, train, synthesize, evaluate, realism, fidelity, report, or a plugin's.
        section: the section of params.yaml it reads, such as `task.dann`.
        params: that section with every default filled in, as plain data.
        inputs: what it reads, by role: `source`, `target`, `model`, …
        outputs: what it writes, by role: `out`, `quarantine`, `log`, …
        seed: the seed of the whole pipeline.
        tracking: where to track it.
        seconds: wall-clock time, known after it succeeded.
        rank: only rank 0 fires hooks and records the cost.
        results: headline numbers and words for the tracker and the report.
    """

    name: str
    section: str
    params: dict[str, Any]
    inputs: dict[str, Path] = field(default_factory=dict)
    outputs: dict[str, Path] = field(default_factory=dict)
    seed: int = 0
    tracking: TrackingSection = field(default_factory=TrackingSection)
    seconds: float = 0.0
    rank: int = 0
    results: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of_command(
        cls,
        name: str,
        params: Path | None = None,
        options: Mapping[str, Any] | None = None,
        inputs: Mapping[str, Path | None] | None = None,
        outputs: Mapping[str, Path | None] | None = None,
    ) -> Stage:
        """A plugin's command as a stage, with the hooks of one, and tracked as the built-in ones are.

        Args:
            name: of the command.
            params: the params file of the pipeline that it is a stage of, whose `seed` and `tracking` hold; without
                one, nothing is tracked.
            options: the command's own, as plain data.
            inputs: what it reads, by role; roles that are None are left out.
            outputs: what it writes, by role; as above.

        Raises:
            ParamsError: the file is missing, or its `seed` or `tracking` is wrong.
        """
        pipeline = Pipeline(tracking=TrackingSection(enabled=False)) if params is None else load(params).pipeline
        reads, writes = (
            {role: path for role, path in (paths or {}).items() if path is not None} for paths in (inputs, outputs)
        )
        return cls(name, "", dict(options or {}), reads, writes, seed=pipeline.seed, tracking=pipeline.tracking)

    @property
    def title(self) -> str:
        """`train task.dann`, or just the name when it has no section of its own."""
        return self.name if self.section in ("", self.name) else f"{self.name} {self.section}"

    @contextmanager
    def running(self) -> Iterator[Stage]:
        """Fire the stage hooks around a block; a success is recorded in `stages/` of the scratch folder."""
        if self.rank:
            yield self
            return
        fire = plugins().fire
        fire("adaptgan_before_stage", stage=self)
        start = time.perf_counter()
        try:
            yield self
            self.seconds = time.perf_counter() - start
            write_json(
                scratch() / "stages" / f"{self.title.replace(' ', '-')}.json",
                {
                    "stage": self.title,
                    "seconds": round(self.seconds, 2),
                    "finished": time.time(),
                    "results": self.results,
                },
            )
            fire("adaptgan_after_stage", stage=self)
        except BaseException as error:
            fire("adaptgan_on_stage_error", stage=self, error=error)
            raise
