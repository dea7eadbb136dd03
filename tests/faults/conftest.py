"""One cluster a run: starting it takes seconds. Each experiment finds it healthy.

Every experiment measures time, so none runs beside other tests.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from tests.support.cluster import Cluster, check_logs
from tests.support.database import database_server

__all__ = ["database_server"]


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Mark the experiments; the hook sees the tests of other folders as well."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.quiet)


@pytest.fixture(scope="session")
def running_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three replicas of content, whose logs hold no secret and no traceback."""
    with Cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster
    check_logs(cluster.folder, cluster.secrets)


@pytest.fixture
def cluster(running_cluster: Cluster) -> Iterator[Cluster]:
    """The shared cluster, healed after the experiment."""
    yield running_cluster
    running_cluster.heal()


@pytest.fixture(scope="session")
def token(running_cluster: Cluster) -> str:
    """The access token of somebody who is signed in."""
    return running_cluster.new_token()
