"""Running command lines in an empty folder."""

from collections.abc import Callable
from pathlib import Path

import pytest

from xfer import cli

Result = tuple[int, str, str]
Run = Callable[..., Result]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command line in an empty folder: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str | Path) -> Result:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main([str(w) for w in words])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


@pytest.fixture
def refused() -> Callable[..., None]:
    """Check a result: exit code 2, one line on stderr with all the parts, nothing on stdout, no traceback."""

    def check(result: Result, *parts: str) -> None:
        code, out, err = result
        assert code == 2, (code, out, err)
        assert out == ""
        assert err.count("\n") == 1, err
        assert err.startswith("xfer: ")
        assert "Traceback" not in err
        for part in parts:
            assert part in err, (part, err)

    return check
