"""Several data sets as one, in which the label tells the data set: what a translator of many domains learns from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from adaptgan.components import nested_list
from adaptgan.data.records import Record
from adaptgan.data.sources.base import Corrupt, Keys, Source
from adaptgan.errors import DataError


class Domains:
    """The images of several data sets, in turns while each lasts; a record's label is the data set it came from.

    Of a record only its image is kept, and its key behind the domain's name. Labels, annotations, provenance and pairs
    stay behind: these labels are open, and what some data set seals must not come out with them. To translate images
    with all that is known of them, ingest their data set by itself, too, and give that to `synthesize --from`.

    Sizes and modes may differ; the section's `size` and `mode` make them alike.

    Args:
        parts: the data sets, two or more. A split is taken from each.
        names: what each is called: the classes of the joined data set.
    """

    def __init__(self, parts: Sequence[Source] = nested_list("dataset"), names: Sequence[str] = ()) -> None:
        if len(parts) < 2 or len(names) != len(parts):
            raise DataError(
                f"domains: two or more `parts` are needed and a name for each; found {len(parts)} parts and "
                f"{len(names)} names."
            )
        if len(set(names)) < len(names):
            raise DataError(f"domains: `names` has one twice: {', '.join(names)}.")
        self.parts = list(parts)
        self.classes = tuple(names)
        self.total: int | None = None

    def records(self, split: str, seed: int) -> Iterator[Record | Corrupt]:
        """One of each data set in turn, then of those that have more.

        Raises:
            DataError: a data set cannot be read or has no such split.
        """
        flows = [part.records(split, seed) for part in self.parts]
        totals: list[int | None] = [getattr(part, "total", None) for part in self.parts]
        known = [total for total in totals if total is not None]
        self.total = sum(known) if len(known) == len(totals) else None
        return self._records(dict(enumerate(flows)))

    def _records(self, flows: dict[int, Iterator[Record | Corrupt]]) -> Iterator[Record | Corrupt]:
        keys = Keys()
        while flows:
            for number, flow in list(flows.items()):
                record = next(flow, None)
                if record is None:
                    del flows[number]
                elif isinstance(record, Corrupt):
                    yield Corrupt(f"{self.classes[number]}: {record.name}", record.reason)
                else:
                    key = keys.key(f"{self.classes[number]}_{record.key}")
                    yield Record(key, record.image, number)
