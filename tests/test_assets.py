"""Assets: found, verified, downloaded from a server that breaks in every way a server breaks. No outside network."""

import hashlib
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from xfer import assets
from xfer.assets import Asset
from xfer.errors import InputError

BODY = bytes(range(256)) * 1000


class Server(ThreadingHTTPServer):
    """Serves `body`; the attributes choose how it fails."""

    daemon_threads = True
    body = BODY
    ranges = True
    cut: int | None = None
    shift = 0
    status = 200
    refuses = False
    seen: list[str | None]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up early is no error."""


class Handler(BaseHTTPRequestHandler):
    """GET with Range."""

    server: Server

    def do_GET(self) -> None:
        server, start = self.server, 0
        server.seen.append(self.headers.get("Range"))
        if server.status != 200:
            self.send_error(server.status)
            return
        if server.refuses and self.headers.get("Range"):
            self.send_error(416)
            return
        if server.ranges and (asked := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))):
            start = int(asked[1])
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start + server.shift}-{len(server.body) - 1}/{len(server.body)}")
        else:
            self.send_response(200)
        body = server.body[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if server.cut is None else body[: server.cut])

    def log_message(self, format: str, *args: Any) -> None:
        """Silence."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as server:
        server.seen = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, no XFER_ASSETS, no proxy on the way to the test's server."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(assets, "user_cache_path", lambda *args, **kwargs: folder)
    monkeypatch.delenv("XFER_ASSETS", raising=False)
    monkeypatch.setenv("no_proxy", "*")
    return folder / "assets"


@pytest.fixture
def asset(server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Asset:
    """An asset on the test's server, the only one there is."""
    asset = Asset(
        name="thing",
        file="thing.bin",
        url=f"http://127.0.0.1:{server.server_port}/thing.bin",
        sha256=hashlib.sha256(BODY).hexdigest(),
        size=len(BODY),
        licence="CC0, nobody",
    )
    monkeypatch.setattr(assets, "ASSETS", {"thing": asset})
    return asset


def message(name: str = "thing") -> str:
    with pytest.raises(InputError) as caught:
        assets.get(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_face_landmarker_is_the_file_it_should_be(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XFER_ASSETS", str(shared / "models"))
    assert assets.find("face_landmarker") == shared / "models" / "face_landmarker.task"
    assert assets.verify()[0].sound


def test_every_asset_declares_itself_completely() -> None:
    for name, asset in assets.ASSETS.items():
        assert name == asset.name
        assert asset.url.startswith("https://")
        assert asset.url.endswith("/" + asset.file)
        assert re.fullmatch("[0-9a-f]{64}", asset.sha256)
        assert asset.size > 0
        assert asset.licence


def test_an_absent_asset_is_explained(cache: Path) -> None:
    with pytest.raises(InputError) as caught:
        assets.find("face_landmarker")
    assert str(caught.value) == (
        "face_landmarker (3.8 MB, Apache-2.0, Google) is not on this machine: run 'xfer assets get face_landmarker'; "
        "without a network, run it elsewhere and set XFER_ASSETS to a folder that holds face_landmarker.task"
    )
    assert not cache.exists()


def test_an_unknown_name_is_corrected() -> None:
    with pytest.raises(InputError, match=r"did you mean 'face_landmarker'\?"):
        assets.find("face_landmarkers")


def test_the_named_folder_comes_before_the_cache(
    asset: Asset, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.mkdir(parents=True)
    (cache / "thing.bin").write_bytes(BODY)
    assert assets.find("thing") == cache / "thing.bin"
    monkeypatch.setenv("XFER_ASSETS", str(tmp_path))
    assert assets.find("thing") == cache / "thing.bin"
    (tmp_path / "thing.bin").write_bytes(BODY)
    assert assets.find("thing") == tmp_path / "thing.bin"


def test_a_named_folder_that_is_none_is_refused(asset: Asset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XFER_ASSETS", "nowhere")
    with pytest.raises(InputError, match=r"^XFER_ASSETS=nowhere: no such folder; name one that holds the files"):
        assets.find("thing")


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (BODY[:-1], "holds 255,999 bytes instead of 256,000"),
        (BODY[:-1] + b"x", "has the SHA-256 "),
    ],
)
def test_a_damaged_file_is_refused(asset: Asset, cache: Path, body: bytes, fault: str) -> None:
    cache.mkdir(parents=True)
    (cache / "thing.bin").write_bytes(body)
    with pytest.raises(InputError, match=rf"thing\.bin: {fault}.*; delete it and run 'xfer assets get thing'$"):
        assets.find("thing")
    (finding,) = assets.verify()
    assert not finding.sound
    assert fault in finding.line
    assert assets.get("thing").read_bytes() == BODY


def test_a_download_is_whole_and_happens_once(asset: Asset, server: Server, cache: Path) -> None:
    told, steps = [], []

    def stage(what: str, n: int) -> Any:
        told.append((what, n))
        return lambda: steps.append(1)

    assert assets.get("thing", stage) == cache / "thing.bin"
    assert assets.find("thing").read_bytes() == BODY
    assert told == [("thing", 4)]
    assert len(steps) == 4
    assert assets.get("thing") == cache / "thing.bin"
    assert server.seen == [None]
    assert assets.table()[0]["path"] == str(cache / "thing.bin")


def test_a_cut_download_continues(asset: Asset, server: Server, cache: Path) -> None:
    server.cut = 100_000
    assert message() == f"{asset.url}: stopped after 100,000 of 256,000 bytes; 'xfer assets get thing' continues"
    assert not (cache / "thing.bin").exists()
    server.cut = None
    assert assets.get("thing").read_bytes() == BODY
    assert server.seen == [None, "bytes=100000-"]
    assert not (cache / "thing.bin.part").exists()


@pytest.mark.parametrize("way", ["no ranges", "another range", "too long", "refused"])
def test_a_server_that_cannot_continue_starts_anew(asset: Asset, server: Server, cache: Path, way: str) -> None:
    cache.mkdir(parents=True)
    (cache / "thing.bin.part").write_bytes(b"x" * 10)
    server.ranges = way != "no ranges"
    server.shift = 5 if way == "another range" else 0
    server.refuses = way == "refused"
    if way == "too long":
        (cache / "thing.bin.part").write_bytes(BODY + b"beyond")
    assert assets.get("thing").read_bytes() == BODY


def test_a_wrong_beginning_is_not_kept(asset: Asset, server: Server, cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "thing.bin.part").write_bytes(b"x" * 10)
    assert "what came has the SHA-256" in message()
    assert not list(cache.glob("thing.bin*[!k]"))
    assert assets.get("thing").read_bytes() == BODY


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (BODY[::-1], r"what came has the SHA-256 [0-9a-f]{12}\.\.\. instead of [0-9a-f]{12}\.\.\."),
        (BODY + b"more", "what came is longer than it should be"),
    ],
)
def test_another_file_is_not_kept(asset: Asset, server: Server, cache: Path, body: bytes, fault: str) -> None:
    server.body = body
    end = "; nothing was kept, set XFER_ASSETS to a folder that holds thing.bin from elsewhere"
    assert re.fullmatch(re.escape(asset.url) + f": {fault}{end}", message())
    assert [path.name for path in cache.iterdir()] in ([], ["thing.bin.part.lock"])


def test_an_error_of_the_server_is_told(asset: Asset, server: Server) -> None:
    server.status = 404
    assert message() == (
        f"{asset.url}: the server answers 404 Not Found; "
        "set XFER_ASSETS to a folder that holds thing.bin from elsewhere"
    )


def test_an_unreachable_address_is_told(asset: Asset, server: Server) -> None:
    server.shutdown()
    server.server_close()
    assert re.fullmatch(
        re.escape(asset.url)
        + r": cannot be reached \(.+\); set XFER_ASSETS to a folder that holds thing.bin from elsewhere",
        message(),
    )


def test_two_downloads_do_not_mix(asset: Asset, cache: Path) -> None:
    cache.mkdir(parents=True)
    with assets.FileLock(cache / "thing.bin.part.lock"):
        assert message().endswith("thing.bin.part: another download of thing is running; wait for it")
