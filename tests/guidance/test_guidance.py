"""One guided forward: what comes out, what the network is like afterwards, whatever happens."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from tests.guidance.conftest import CLASSES, SIZE, Toy
from xfer.errors import InputError
from xfer.guidance import ABSENT, CONTROLS, LOSSES, Guidance, Guide

Faces = Callable[..., Tensor]


def hooks(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in model.modules())


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("training", [True, False])
def test_logits_are_those_of_a_plain_forward(
    loss: str, training: bool, toy: Toy, images: Tensor, labels: Tensor, faces: Faces
) -> None:
    toy.train(training)
    guidance = Guidance(toy, Guide(loss=loss), CLASSES, SIZE)
    logits, terms = guidance(toy, images, labels, faces(5))
    torch.testing.assert_close(logits, toy(images))
    assert terms.dtype == torch.float32
    assert terms.isfinite().tolist() == [True, True, True, False, True]
    assert (terms[terms.isfinite()] > 0).all()
    assert all(module.training == training for module in toy.modules())
    assert hooks(toy) == 0


@pytest.mark.parametrize("loss", LOSSES)
def test_the_term_reaches_the_weights_and_faces_without_part_do_not(
    loss: str, toy: Toy, images: Tensor, labels: Tensor, faces: Faces
) -> None:
    toy.eval()
    landmarks = faces(5)
    landmarks[0] = torch.nan
    _, terms = Guidance(toy, Guide(loss=loss), CLASSES, SIZE)(toy, images, labels, landmarks)
    assert terms.isfinite().tolist() == [False, True, True, False, True]
    terms[terms.isfinite()].sum().backward()
    together = toy.first.weight.grad.clone()
    assert together.isfinite().all()
    assert together.abs().max() > 0
    toy.zero_grad()
    part = torch.tensor([1, 2, 4])
    _, alone = Guidance(toy, Guide(loss=loss), CLASSES, SIZE)(toy, images[part], labels[part], landmarks[part])
    alone.sum().backward()
    torch.testing.assert_close(toy.first.weight.grad, together, rtol=1e-3, atol=1e-5)


def test_faces_have_their_terms_whatever_the_others(toy: Toy, images: Tensor, labels: Tensor, faces: Faces) -> None:
    toy.eval()
    guidance = Guidance(toy, Guide(), CLASSES, SIZE)
    _, terms = guidance(toy, images, labels, faces(5))
    order = torch.tensor([4, 2, 0, 3, 1])
    _, turned = guidance(toy, images[order], labels[order], faces(5)[order])
    torch.testing.assert_close(turned, terms[order], equal_nan=True)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_batch_without_landmarks_has_no_term(loss: str, toy: Toy, images: Tensor, labels: Tensor) -> None:
    nowhere = torch.full((5, 68, 2), torch.nan)
    logits, terms = Guidance(toy, Guide(loss=loss), CLASSES, SIZE)(toy, images, labels, nowhere)
    assert terms.isnan().all()
    (cross_entropy(logits, labels) + torch.where(terms.isfinite(), terms, 0.0).sum()).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in toy.parameters())


def test_why_a_face_takes_no_part_is_told(toy: Toy, images: Tensor, faces: Faces) -> None:
    """One face for each reason, the first that holds, and two that take part."""
    toy.eval()
    landmarks = faces(7)
    landmarks[1, 3] = torch.nan
    landmarks[2] = torch.nan
    landmarks[3] += 4 * SIZE
    landmarks[4] = 2.0 + landmarks[4] / 1e4
    labels = torch.tensor([0, 0, 3, 2, 1, 3, 1])
    shown = torch.cat([images, images[:2]])
    guidance = Guidance(toy, Guide(layers=("first",)), CLASSES, SIZE)
    _, terms = guidance(toy, shown, labels, landmarks)
    names = ["", *ABSENT]
    told = [names[code] for code in guidance.absent.tolist()]
    assert told == ["", "no_landmarks", "no_landmarks", "outside", "no_map", "no_action_units", ""]
    assert terms.isfinite().tolist() == [name == "" for name in told]
    with torch.no_grad():
        toy.first.weight.zero_()
        toy.first.bias.zero_()
    guidance(toy, shown, labels, landmarks)
    assert [names[code] for code in guidance.absent.tolist()] == [name or "silent" for name in told]


def test_the_control_none_is_a_plain_forward(toy: Toy, images: Tensor, labels: Tensor, faces: Faces) -> None:
    guidance = Guidance(toy, Guide(control="none", masks="no such masks"), ("a", "b", "c", "d"), SIZE)
    assert guidance.layers == ()
    toy.eval()
    logits, terms = guidance(toy, images, labels, faces(5))
    assert torch.equal(logits, toy(images))
    assert terms.isnan().all()


@pytest.mark.parametrize("control", [name for name in CONTROLS if name != "none"])
def test_every_control_guides(control: str, toy: Toy, images: Tensor, labels: Tensor, faces: Faces) -> None:
    _, terms = Guidance(toy, Guide(control=control), CLASSES, SIZE)(toy, images, labels, faces(5))
    assert terms.isfinite().sum() == 4


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_terms_are_told_in_validation_too(
    loss: str, mode: Callable[[], torch.no_grad], toy: Toy, images: Tensor, labels: Tensor, faces: Faces
) -> None:
    toy.eval()
    guidance = Guidance(toy, Guide(loss=loss), CLASSES, SIZE)
    _, expected = guidance(toy, images, labels, faces(5))
    with mode():
        logits, terms = guidance(toy, images.clone(), labels.clone(), faces(5).clone())
    assert not logits.requires_grad
    assert not terms.requires_grad
    torch.testing.assert_close(terms.clone(), expected.detach(), equal_nan=True)
    assert not images.requires_grad


@pytest.mark.parametrize("loss", LOSSES)
def test_bf16_and_channels_last(loss: str, toy: Toy, images: Tensor, labels: Tensor, faces: Faces) -> None:
    toy.eval()
    guidance = Guidance(toy, Guide(loss=loss), CLASSES, SIZE)
    _, expected = guidance(toy, images, labels, faces(5))
    toy.to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        logits, terms = guidance(toy, images.to(memory_format=torch.channels_last), labels, faces(5))
    assert logits.dtype == torch.bfloat16
    assert terms.dtype == torch.float32
    torch.testing.assert_close(terms, expected, atol=0.1, rtol=0.1, equal_nan=True)
    terms[terms.isfinite()].mean().backward()
    assert toy.first.weight.grad.isfinite().all()


def test_several_layers_are_averaged(toy: Toy, images: Tensor, labels: Tensor, faces: Faces) -> None:
    toy.eval()

    def terms(*layers: str) -> Tensor:
        guidance = Guidance(toy, Guide(layers=layers), CLASSES, SIZE)
        assert [each.name for each in guidance.layers] == list(layers)
        return guidance(toy, images, labels, faces(5))[1]

    torch.testing.assert_close(terms("first", "late"), (terms("first") + terms("late")) / 2, equal_nan=True)


class BrokenError(RuntimeError):
    """Raised in the middle of a forward."""


@pytest.mark.parametrize("loss", LOSSES)
def test_hooks_are_gone_after_an_exception(
    loss: str, toy: Toy, images: Tensor, labels: Tensor, faces: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    guidance = Guidance(toy, Guide(loss=loss), CLASSES, SIZE)

    def broken(values: Tensor) -> Tensor:
        raise BrokenError

    monkeypatch.setattr(toy.head, "forward", broken)
    with pytest.raises(BrokenError):
        guidance(toy, images, labels, faces(5))
    assert hooks(toy) == 0
    assert all(p.grad is None for p in toy.parameters())
    assert not images.requires_grad
    assert torch.is_grad_enabled()


def test_images_of_another_size_are_refused(toy: Toy, labels: Tensor, faces: Faces) -> None:
    with pytest.raises(InputError) as error:
        Guidance(toy, Guide(), CLASSES, SIZE)(toy, torch.rand(5, 3, 40, 48), labels, faces(5))
    assert str(error.value) == "the guide is made for images of 32 px; got 40 x 48"


def test_a_few_steps_bring_the_attention_to_the_map(toy: Toy, images: Tensor, labels: Tensor, faces: Faces) -> None:
    for loss in LOSSES:
        model = Toy()
        model.load_state_dict(toy.state_dict())
        guidance = Guidance(model, Guide(loss=loss), CLASSES, SIZE)
        optimiser = torch.optim.Adam(model.parameters(), 0.02)
        found = []
        for _ in range(12):
            _, terms = guidance(model, images, labels, faces(5))
            found.append(terms[terms.isfinite()].mean())
            optimiser.zero_grad()
            found[-1].backward()
            optimiser.step()
        assert found[-1] < found[0], loss
