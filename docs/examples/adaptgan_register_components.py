"""An exporter: `adaptgan export data/adapted out --to label_table` writes the labels for a spreadsheet."""

import csv

from adaptgan import ComponentSpec, hookimpl


class LabelTable:
    """One row per record: its key, its class, and the source record that it was made from."""

    def export(self, reader, folder):
        """Write `labels.csv` into an existing empty folder."""
        classes = reader.manifest.classes
        with (folder / "labels.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["key", "class", "source_key"])
            for record in reader.records():
                name = "" if record.label is None else classes[record.label]
                rows.writerow([record.key, name, record.provenance.get("source_key", "")])


@hookimpl
def adaptgan_register_components():
    """Name the class; `api` is the PLUGIN_API that this was written for."""
    return [ComponentSpec("exporter", "label_table", f"{__name__}:LabelTable", "labels as CSV", api=1)]
