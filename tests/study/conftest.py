"""Fixtures of the tests of engines: a small study, and what the local engine makes of it."""

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="module")
def small() -> Iterator[None]:
    """Shards and parts of few faces, and no report, with which no engine has to do."""
    from tests.study import clusters
    from xfer.study import Study

    with clusters.small(clusters.QUICK_PART), pytest.MonkeyPatch.context() as patch:
        patch.setattr(Study, "report", lambda study, faces: study.folder)
        yield


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is asked of every engine: drawn faces as files, whose landmarks are looked up."""
    from tests.study import clusters

    return {**clusters.study_of(tmp_path_factory.mktemp("faces"), clusters.QUICK_FACES), **clusters.QUICK}


@pytest.fixture(scope="module")
def local(small: None, asked: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The study that the local engine makes, in this process alone."""
    import xfer
    from tests.study import clusters

    study = xfer.compare(**asked, workers=1, out=tmp_path_factory.mktemp("local") / "study")
    return clusters.bytes_of(study.folder)
