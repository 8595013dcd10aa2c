"""The training as a film: `film.gif` in the log folder, a frame for each image grid."""

from PIL import Image

from adaptgan import hookimpl


@hookimpl(observes=True)
def adaptgan_on_samples(run, step, images):
    """Keep a frame in the scratch folder, which a resumed run finds again; then write the film."""
    if run.rank:
        return
    rows = [batch[:8].mean(1).clamp(-1, 1) for batch in images.values()]  # each (N, H, W), in grey
    height, width = rows[0].shape[1:]
    frame = Image.new("L", (width * max(len(row) for row in rows), height * len(rows)))
    for y, row in enumerate(rows):
        for x, image in enumerate(row):
            pixels = ((image + 1) * 127.5).byte().numpy()
            frame.paste(Image.fromarray(pixels).resize((width, height)), (x * width, y * height))
    folder = run.folder / "film"
    folder.mkdir(parents=True, exist_ok=True)
    frame.save(folder / f"{step:09d}.png")
    first, *others = (Image.open(path) for path in sorted(folder.glob("*.png")) if int(path.stem) <= step)
    first.save(run.log / "film.gif", save_all=True, append_images=others, duration=200, loop=0)
