"""How large the networks of a training are: `networks.csv` in its log folder."""

import csv

from adaptgan import hookimpl


@hookimpl(observes=True)
def adaptgan_before_train(run):
    """Count the weights of each network, and those that learn."""
    if run.rank:
        return  # every rank has the same networks, one writes
    run.log.mkdir(parents=True, exist_ok=True)
    with (run.log / "networks.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["network", "weights", "learning"])
        for name, network in run.method.named_children():
            weights = list(network.parameters())
            learning = sum(weight.numel() for weight in weights if weight.requires_grad)
            rows.writerow([name, sum(weight.numel() for weight in weights), learning])
