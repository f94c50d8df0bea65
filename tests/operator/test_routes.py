"""Which ingests an event is for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sales_operator.observed import IngestKey
from sales_operator.routes import Routes
from tests.operator.worlds import PATIENT


def document(name, bucket="sales", prefix="raw/", namespace="sales"):
    """An ingest as the API server has it."""
    source = {"bucket": bucket, "prefix": prefix}
    return {"metadata": {"namespace": namespace, "name": name}, "spec": {"source": source}}


def reached(ingests, bucket, key):
    return [str(ingest) for ingest in Routes(ingests).to(bucket, key)]


@pytest.mark.parametrize(
    ("key", "names"),
    [
        ("raw/x.csv", ["sales/all"]),
        ("raw/day/x.csv", ["sales/all", "sales/day"]),
        ("raw/day/1/2/x.csv", ["sales/all", "sales/day"]),
        ("raw/daylight/x.csv", ["sales/all"]),
        ("raw/", ["sales/all"]),
        ("raw", []),
        ("processed/raw/x.csv", []),
        ("", []),
    ],
)
def test_event_is_for_the_ingests_under_whose_prefix_its_object_lies(key, names):
    ingests = [document("all"), document("day", prefix="raw/day/")]
    assert reached(ingests, "sales", key) == names


def test_event_of_another_bucket_is_for_nobody():
    assert reached([document("all")], "others", "raw/x.csv") == []


def test_ingests_of_one_place_are_all_told():
    ingests = [document("a"), document("b", namespace="other")]
    assert reached(ingests, "sales", "raw/x.csv") == ["sales/a", "other/b"]


def test_prefix_that_is_left_out_is_the_default():
    bare = {"metadata": {"namespace": "sales", "name": "a"}, "spec": {"source": {"bucket": "b"}}}
    assert Routes([bare]).to("b", "raw/x.csv") == [IngestKey("sales", "a")]


def test_ingest_that_makes_no_sense_is_in_nobodys_way():
    broken = {"metadata": {"namespace": "sales", "name": "broken"}}
    assert reached([broken, document("all")], "sales", "raw/x.csv") == ["sales/all"]


_paths = st.lists(st.sampled_from(["raw", "a", "b", ""]), min_size=1, max_size=4).map("/".join)


@PATIENT
@given(st.lists(_paths, max_size=5, unique=True), _paths)
def test_routes_are_those_whose_prefix_the_key_starts_with(prefixes, key):
    ingests = [document(str(n), prefix=f"{prefix}/") for n, prefix in enumerate(prefixes)]
    wanted = {f"sales/{n}" for n, prefix in enumerate(prefixes) if key.startswith(f"{prefix}/")}
    told = reached(ingests, "sales", key)
    assert set(told) == wanted
    assert len(told) == len(wanted)
