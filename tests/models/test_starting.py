"""What networks start from: settled once, before anything runs, with made-up ImageNet weights."""

import socket
from collections.abc import Mapping
from pathlib import Path

import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file
from torch import Tensor, nn

from xfer.errors import InputError
from xfer.models import ModelSpec, build, heads, spec, starting
from xfer.models.starting import Start, answers, begin, load_imagenet, pairs, settle
from xfer.models.weights import digest, write

TIMM = {"mobilenetv3": "mobilenetv3_large_100", "timm:test_resnet": "test_resnet", "timm:test_vit": "test_vit"}


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(starting, "try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "torch"))


class Server:
    """Counts who was asked and what was fetched."""

    def __init__(self, up: bool, error: str = "") -> None:
        self.up, self.error = up, error
        self.asked: list[str] = []
        self.fetched: list[str] = []

    def ask(self, url: str) -> bool:
        self.asked.append(url)
        return self.up

    def fetch(self, declared: ModelSpec, size: int) -> Mapping[str, Tensor]:
        self.fetched.append(declared.name)
        if self.error:
            raise InputError(f"model {declared.name!r}: {self.error}")
        return {}


def start(server: Server, pretrained: str, *names: str) -> dict[str, Start]:
    return settle(dict.fromkeys(names, 64), 6, pretrained=pretrained, ask=server.ask, fetch=server.fetch)


def test_with_a_server_that_answers_the_pretrained_ones_start_from_imagenet() -> None:
    server = Server(True)
    found = start(server, "auto", "songnet", "vgg16", "resnet50", "xception")
    assert {n: s.kind for n, s in found.items()} == {
        "songnet": "scratch", "vgg16": "imagenet", "resnet50": "imagenet", "xception": "imagenet",
    }  # fmt: skip
    assert found["vgg16"].source == "vgg16.tv_in1k"
    assert found["songnet"].reason == ""
    assert len(server.asked) == 2
    assert server.fetched == ["vgg16", "resnet50", "xception"]
    assert [str(s) for s in found.values()][:2] == ["from scratch", "from ImageNet weights vgg16.tv_in1k"]


def test_without_one_they_start_from_scratch_and_say_so() -> None:
    server = Server(False)
    found = start(server, "auto", "vgg16", "resnet50", "weinet")
    host = constants.ENDPOINT.partition("//")[2]
    assert str(found["resnet50"]) == (
        f"from scratch (ImageNet weights 'resnet50.tv_in1k' are not in the cache and {host} does not answer)"
    )
    assert server.asked == [constants.ENDPOINT]
    assert server.fetched == []


def test_a_download_that_fails_is_a_reason_too() -> None:
    found = start(Server(True, "ImageNet weights 'vgg16.tv_in1k' were not loaded: full disk"), "auto", "vgg16")
    assert found["vgg16"] == Start("scratch", "", "ImageNet weights 'vgg16.tv_in1k' were not loaded: full disk")


def test_no_asks_nobody() -> None:
    server = Server(True)
    found = start(server, "no", "vgg16", "songnet")
    assert found == {"vgg16": Start("scratch", "", "--pretrained no"), "songnet": Start("scratch")}
    assert server.asked == server.fetched == []


def test_yes_is_an_error_where_they_cannot_be_had() -> None:
    with pytest.raises(InputError) as error:
        start(Server(False), "yes", "songnet", "vgg16")
    host = constants.ENDPOINT.partition("//")[2]
    assert str(error.value) == (
        f"--pretrained yes: ImageNet weights 'vgg16.tv_in1k' are not in the cache and {host} does not answer; write "
        "--pretrained auto, or --weights vgg16=FILE.safetensors"
    )
    assert start(Server(False), "yes", "songnet") == {"songnet": Start("scratch")}


def test_cached_weights_need_no_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(starting, "try_to_load_from_cache", lambda *_: str(tmp_path))
    server = Server(False)
    assert start(server, "yes", "vgg16")["vgg16"].kind == "imagenet"
    assert server.asked == []
    (tmp_path / "torch" / "checkpoints").mkdir(parents=True)
    (tmp_path / "torch" / "checkpoints" / "xception-43020ad28.pth").touch()
    assert start(server, "yes", "xception")["xception"].kind == "imagenet"
    assert server.asked == []


def test_other_words_are_told() -> None:
    with pytest.raises(InputError, match="'--pretrained' must be one of auto, yes, no; got 'ye'"):
        start(Server(True), "ye", "vgg16")


def test_a_file_goes_before_imagenet_and_is_checked_beforehand(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    write(build("vgg16", 6, size=64, seed=4), path)
    server = Server(True)
    found = settle({"vgg16": 64}, 6, weights={"vgg16": path}, ask=server.ask, fetch=server.fetch)
    assert found == {"vgg16": Start("file", str(path))}
    assert server.asked == []
    model = build("vgg16", 6, size=64)
    assert begin(model, "vgg16", found["vgg16"], size=64, seed=0) == digest(build("vgg16", 6, size=64, seed=4))
    with pytest.raises(InputError, match="the weights are for another network"):
        settle({"vgg16": 64}, 7, weights={"vgg16": path})
    with pytest.raises(InputError) as error:
        settle({"songnet": 64, "weinet": 64}, 6, weights={"vgg16": path})
    assert str(error.value) == f"--weights vgg16={path}: the run has no network 'vgg16', but songnet, weinet"


def test_from_scratch_the_digest_is_the_seed_s() -> None:
    model = build("songnet", 6, size=64, seed=9)
    assert begin(model, "songnet", Start("scratch"), size=64, seed=9) == digest(build("songnet", 6, size=64, seed=9))


@pytest.mark.parametrize("name", TIMM)
def test_imagenet_weights_fill_all_but_the_head(name: str, tmp_path: Path) -> None:
    torch.manual_seed(11)
    source = timm.create_model(TIMM[name], num_classes=1000).state_dict()
    save_file(source, tmp_path / "imagenet.safetensors")
    size = 160 if name == "timm:test_vit" else 64
    model, scratch = build(name, 6, size=size, seed=2), build(name, 6, size=size, seed=2)
    load_imagenet(model, spec(name), size=size, file=tmp_path / "imagenet.safetensors")
    last = {id(p) for layer in heads(model) for p in layer.parameters()}
    for key, values in model.state_dict(keep_vars=True).items():
        assert values.equal(scratch.state_dict()[key] if id(values) in last else source[key])


def test_a_transformer_s_positions_follow_the_size(tmp_path: Path) -> None:
    source = timm.create_model("test_vit", num_classes=1000).state_dict()
    save_file(source, tmp_path / "imagenet.safetensors")
    model = build("timm:test_vit", 6, size=64)
    load_imagenet(model, spec("timm:test_vit"), size=64, file=tmp_path / "imagenet.safetensors")
    assert model.pos_embed.shape[1] < source["pos_embed"].shape[1]
    assert model.blocks[0].attn.qkv.weight.equal(source["blocks.0.attn.qkv.weight"])


def test_begin_loads_imagenet_weights_over_the_seed_s_head(monkeypatch: pytest.MonkeyPatch) -> None:
    source = timm.create_model("mobilenetv3_large_100", num_classes=2).state_dict()
    monkeypatch.setattr(starting, "obtain", lambda declared, size, file: source)
    model = build("mobilenetv3", 6, size=64, seed=1)
    begin(model, "mobilenetv3", Start("imagenet", "mobilenetv3_large_100.ra_in1k"), size=64, seed=3)
    expected = build("mobilenetv3", 6, size=64, seed=3)
    assert model.classifier.weight.equal(expected.classifier.weight)
    assert model.conv_stem.weight.equal(source["conv_stem.weight"])


@pytest.mark.parametrize("content", [b"", b"not weights"])
def test_a_broken_file_of_imagenet_weights_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "f.safetensors").write_bytes(content)
    with pytest.raises(InputError) as error:
        load_imagenet(build("timm:test_vit", 6), spec("timm:test_vit"), size=160, file=tmp_path / "f.safetensors")
    assert str(error.value).startswith("model 'timm:test_vit': ImageNet weights 'test_vit' were not loaded: ")
    assert "\n" not in str(error.value)


def test_weights_that_do_not_cover_the_network_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build("songnet", 6, size=64)
    monkeypatch.setattr(starting, "obtain", lambda declared, size, file: dict(list(model.state_dict().items())[1:]))
    with pytest.raises(InputError) as error:
        load_imagenet(model, spec("vgg16"), size=64)
    assert str(error.value) == (
        "model 'vgg16': ImageNet weights 'vgg16.tv_in1k' do not cover 1 of its tensors ('features.0.weight', ...)"
    )


def test_a_server_that_is_not_there_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        assert not answers(f"http://127.0.0.1:{port}")
    assert not answers("nonsense")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(starting, "urlopen", lambda *_, **__: pytest.fail("asked though told to stay offline"))
    assert not answers("http://127.0.0.1")


def test_name_file_pairs_are_read() -> None:
    assert pairs(["a=b=c", "timm:x=y"]) == {"a": Path("b=c"), "timm:x": Path("y")}
    for wrong in ("a", "=b", "a="):
        with pytest.raises(InputError) as error:
            pairs([wrong])
        assert str(error.value) == f"--weights {wrong}: write NAME=FILE.safetensors"
    with pytest.raises(InputError) as error:
        pairs(["a=b", "a=c"])
    assert str(error.value) == "--weights a=c: 'a' has weights already, b"


def test_the_body_of_a_network_is_all_but_its_head() -> None:
    model = nn.Sequential()
    model.get_classifier = lambda: model[1]  # type: ignore[assignment, return-value]
    model.extend([nn.Conv2d(3, 4, 1), nn.Linear(4, 2)])
    assert set(starting._body(model)) == {"0.weight", "0.bias"}
