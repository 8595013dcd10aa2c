from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from adaptgan_text_to_image import grammar

from adaptgan import DataInfo
from adaptgan.data.batch import Batch, Side
from adaptgan.errors import DataError, ParamsError
from adaptgan.plugins import components
from adaptgan.testing import check_method

INFO = DataInfo(3, 32, 32, ("0", "1", "2"))
CAPTIONS = [
    "a thick red zero on green",
    "one, thin and blue, over a white ground",
    "on black, a bold yellow two",
]
ENCODER = {"name": "gru_text_encoder", "word": 6, "width": 8}
GENERATOR = {"name": "text_generator", "text": 8, "noise": 4, "channels": 4}
DISCRIMINATOR = {"name": "text_discriminator", "text": 8, "channels": 4, "norm": "spectral"}
GAN_CLS = {"name": "gan_cls", "encoder": ENCODER, "generator": GENERATOR, "discriminator": DISCRIMINATOR}
STACKGAN = {
    "name": "stackgan",
    "encoder": ENCODER,
    "condition": 6,
    "generator": {**GENERATOR, "text": 6, "shrink": 2},
    "discriminator": {**DISCRIMINATOR, "shrink": 2},
    "refiner": {"name": "text_refiner", "text": 6, "channels": 4, "residual": 1},
    "refiner_discriminator": DISCRIMINATOR,
}


def build(config: dict[str, Any]) -> Any:
    torch.manual_seed(0)
    return components().build("method", config, "method", [INFO])


def batch(method: Any, captions: list[str] = CAPTIONS) -> Batch:
    torch.manual_seed(1)
    words = torch.stack([torch.from_numpy(method.encode_conditions({"caption": one})) for one in captions])
    images = torch.rand(len(captions), 3, 32, 32) * 2 - 1
    return Batch(Side(images, None, torch.arange(len(captions)), conditions_N=words), None, 0, 0.0)


@pytest.mark.parametrize("options", [{}, {"interpolation": 1.0}, {"adversarial": "hinge"}])
def test_gan_cls_conforms(options: dict[str, Any]) -> None:
    check_method({**GAN_CLS, **options}, info=INFO, conditions=[{"caption": one} for one in CAPTIONS])


def test_gan_cls_conforms_with_a_bag_of_words_and_modulation() -> None:
    config = {**GAN_CLS, "encoder": {"name": "bag_text_encoder", "width": 8}}
    config |= {"generator": {**GENERATOR, "modulation": "batch"}, "discriminator": {**DISCRIMINATOR, "norm": "batch"}}
    check_method(config, info=INFO, conditions=[{"caption": one} for one in CAPTIONS])


def test_stackgan_conforms() -> None:
    check_method(STACKGAN, info=INFO, conditions=[{"caption": one} for one in CAPTIONS])


def test_ds_loss_is_the_papers_of_its_three_pairs() -> None:
    method = build(GAN_CLS)
    seen = batch(method)
    losses = method.discriminator_loss(seen)
    text, made = method.text(seen), method.made(seen)
    wrong, _ = method.wrong(seen)
    with torch.no_grad():  # the power iteration has moved on since: compare in eval mode below
        method.discriminator.eval()
        scores = {
            "r": method.discriminator(seen.source.images_NCHW, text).sigmoid().double(),
            "w": method.discriminator(seen.source.images_NCHW, text[wrong]).sigmoid().double(),
            "f": method.discriminator(made, text).sigmoid().double(),
        }
    total = scores["r"].log() + ((1 - scores["w"]).log() + (1 - scores["f"]).log()) / 2
    assert sum(losses.values()).item() == pytest.approx(-total.mean().item(), abs=2e-3)  # type: ignore[union-attr]


def test_interpolated_texts_lie_between_and_have_a_term_of_their_own() -> None:
    method = build({**GAN_CLS, "interpolation": 0.5, "beta": 0.25})
    seen = batch(method)
    text, (wrong, _) = method.text(seen), method.wrong(seen)
    assert torch.allclose(method.between(seen), 0.25 * text + 0.75 * text[wrong], atol=1e-6)
    losses = method.generator_loss(seen)
    assert set(losses) == {"adversarial", "interpolation"}
    assert losses["interpolation"].item() == pytest.approx(0.5 * math.log(2), abs=0.05)  # an untrained D: ½
    assert set(build(GAN_CLS).generator_loss(batch(method))) == {"adversarial"}


def test_the_generator_learns_nothing_into_the_encoder() -> None:
    method = build(GAN_CLS)
    sum(method.generator_loss(batch(method)).values()).backward()
    assert all(parameter.grad is None for parameter in method.encoder.parameters())
    assert all(parameter.grad is not None for parameter in method.generator.parameters())


def test_wrong_texts_teach_d_and_the_encoder_to_match() -> None:
    """Two captions, two plain colours: after a few steps D knows which belongs to which."""
    method = build({**GAN_CLS, "discriminator": {**DISCRIMINATOR, "conditional": "projection"}})
    captions = ["a thick red zero on green", "a thick green zero on red"] * 8
    learner = torch.optim.Adam([*method.discriminator.parameters(), *method.encoder.parameters()], 5e-3)
    for step in range(60):
        torch.manual_seed(step)
        seen = batch(method, captions)
        seen.source.images_NCHW = torch.full((16, 3, 32, 32), -0.5)
        seen.source.images_NCHW[0::2, 1] = 0.8
        seen.source.images_NCHW[1::2, 0] = 0.8
        torch.manual_seed(step)
        learner.zero_grad()
        sum(method.discriminator_loss(seen).values()).backward()
        learner.step()
    right = method.discriminator(seen.source.images_NCHW, method.encoder(seen.source.conditions))
    wrong = method.discriminator(seen.source.images_NCHW, method.encoder(seen.source.conditions.roll(1, 0)))
    assert (right > wrong).all()


def test_stages_of_stackgan_follow_each_other_and_the_first_stays_fixed() -> None:
    method = build({**STACKGAN, "first": 0.25})
    phases = {phase.name: phase.scheduled(100) for phase in method.phases()}
    assert (phases["discriminator"].start, phases["discriminator"].stop) == (0, 25)
    assert (phases["generator"].start, phases["generator"].stop) == (0, 25)
    assert (phases["refiner"].start, phases["refiner"].stop) == (25, None)
    learns = {name for phase in ("refiner", "refiner_discriminator") for name in phases[phase].trains}
    assert learns == {"refiner", "refiner_conditioning", "refiner_discriminator"}
    method.train()
    before = {key: value.clone() for key, value in method.averages["generator"].state_dict().items()}
    sum(method.refiner_loss(batch(method)).values()).backward()
    after = method.averages["generator"].state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items())  # its statistics too
    assert all(parameter.grad is None for parameter in method.generator.parameters())
    assert all(parameter.grad is not None for parameter in method.refiner.parameters())


def test_stackgans_divergence_is_the_mean_over_the_condition() -> None:
    method = build({**STACKGAN, "kl": 2.0})
    gaussian = torch.randn(5, 12)
    mean, log_variance = gaussian.double().chunk(2, 1)
    expected = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance)
    losses = method.made_loss(torch.zeros(5), gaussian)
    assert losses["kl"].item() == pytest.approx(2 * expected.mean().item(), rel=1e-5)
    assert losses["adversarial"].item() == pytest.approx(math.log(2), rel=1e-6)


@pytest.mark.parametrize("config", [GAN_CLS, STACKGAN])
def test_an_images_noise_is_its_own_seeds(config: dict[str, Any]) -> None:
    method = build(config).eval()
    for parameter in method.averages.parameters():  # an untrained generator whispers
        torch.nn.init.normal_(parameter, 0.0, 0.3)
    words = batch(method).source.conditions
    seeds = torch.tensor([5, 6, 7])
    made = method.translate(words, seeds)
    assert torch.allclose(made[1:], method.translate(words[1:], seeds[1:]), atol=1e-5)
    assert not torch.allclose(made, method.translate(words, seeds + 1), atol=1e-3)
    assert torch.equal(method.translate(words), method.translate(words))


def test_captions_that_cannot_be_read_are_told() -> None:
    method = build(GAN_CLS)
    with pytest.raises(DataError, match="Did you mean 'seven'"):
        method.encode_conditions({"caption": "a red sevne"})
    with pytest.raises(DataError, match="Ingest a data set that has captions"):
        method.encode_conditions({})
    assert method.encode_conditions({"caption": "a red seven"}).shape == (12,)
    assert method.vocabulary.words == grammar.words()


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({**GAN_CLS, "generator": {**GENERATOR, "text": 9}}, r"gan_cls\.generator\.text: it takes texts of width 9"),
        ({**GAN_CLS, "discriminator": {**DISCRIMINATOR, "text": 9}}, r"gan_cls\.discriminator\.text"),
        ({**STACKGAN, "condition": 7}, r"stackgan\.generator\.text.* and `condition` is 7 wide"),
        ({**STACKGAN, "discriminator": DISCRIMINATOR}, "the same number"),
        ({**STACKGAN, "refiner_discriminator": {**DISCRIMINATOR, "shrink": 2}}, "leave it at 1"),
    ],
)
def test_networks_that_do_not_fit_are_told(config: dict[str, Any], told: str) -> None:
    with pytest.raises(ParamsError, match=told):
        build(config)
