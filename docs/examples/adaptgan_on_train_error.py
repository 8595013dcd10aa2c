"""Where the NaN came from: which weights were not finite when a training ended, in `autopsy.txt`."""

from adaptgan import hookimpl


@hookimpl
def adaptgan_on_train_error(run, error):
    """Look at every weight as it is now; the last checkpoint has those of before."""
    if run.rank:
        return
    lines = [f"step {run.step}: {type(error).__name__}: {error}"]
    for name, weight in run.method.named_parameters():
        bad = int((~weight.detach().isfinite()).sum())
        if bad:
            lines.append(f"{name}: {bad} of {weight.numel()} are not finite")
    run.log.mkdir(parents=True, exist_ok=True)
    (run.log / "autopsy.txt").write_text("\n".join(lines) + "\n")
