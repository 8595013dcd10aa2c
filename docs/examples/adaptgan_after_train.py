"""A training in a few lines that a person reads: `summary.md` in its log folder."""

from adaptgan import hookimpl


@hookimpl
def adaptgan_after_train(run):
    """Write what `run` knows at the end."""
    if run.rank:
        return
    trained = run.step - run.resumed_from
    lines = [f"# {run.name}", f"{run.steps} steps in {run.seconds:.0f} s; this process did {trained} of them."]
    last = run.history[-1]["losses"] if run.history else {}
    lines += [f"- loss {name}: {mean:.4g}" for name, mean in last.items()]
    lines += [f"- score {name}: {value:.4g}" for name, value in run.scores.items()]
    lines += [f"- alarm at step {alarm['step']}: {alarm['message']}" for alarm in run.alarms]
    (run.log / "summary.md").write_text("\n".join(lines) + "\n")
