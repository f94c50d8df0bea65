"""The queries in the documents run as they are written, with a dashboard's rights."""

import pytest

from tests.docs import pages

pytestmark = pytest.mark.integration

QUERIES = pages.blocks("sql")


@pytest.fixture(scope="module")
def dashboard(services, tmp_path_factory):
    """A connection of the reader to a fresh schema."""
    import psycopg

    from sales_pipeline.demo.platform import install
    from tests.support.services import unique

    name = unique("docs")
    platform = install(services, tmp_path_factory.mktemp("docs"), name=name, bucket="none")
    options = f"-c search_path={platform.settings.db_schema}"
    try:
        with psycopg.connect(platform.reader_dsn, options=options, autocommit=True) as connection:
            yield connection
    finally:
        services.postgres.drop_database(name)


@pytest.mark.parametrize("block", QUERIES, ids=str)
def test_a_query_of_the_documents_runs(block, dashboard):
    assert dashboard.execute(block.text).description
