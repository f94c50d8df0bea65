"""The command line: which place, which exit code, where errors go."""

import json

import pytest

from cluster.shell import ClusterError
from deploy import __main__ as program
from deploy.place import DEFAULT, Place
from tests.deploy.objects import RELEASE, certificate, well

TRIAL = ["--context", "kind-trial", "--namespace", "trial", "--release", "t"]


@pytest.fixture
def call(monkeypatch, own_cache):
    """Runs the command line with the doors shut; what was called with what."""
    calls = []
    monkeypatch.setattr(program, "gather", lambda _: well(certificates={}))
    monkeypatch.setattr(program, "up", lambda door, values: calls.append((door.place, values)))
    monkeypatch.setattr(
        program, "down", lambda door, *, keep_data: calls.append((door.place, keep_data))
    )
    monkeypatch.setattr(program, "prepare", lambda door: calls.append(door.place))
    return lambda *words: (program.main(words), calls)


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIDATA_CACHE", str(tmp_path))
    monkeypatch.delenv("MINIDATA_CLUSTER", raising=False)


def test_all_words_reach_what_is_called(call):
    place = Place("kind-trial", "trial", "t")
    code, calls = call("up", *TRIAL, "--values", "a.yaml", "--values", "b.yaml")
    assert code == 0
    assert (calls[0][0], [str(file) for file in calls[0][1]]) == (place, ["a.yaml", "b.yaml"])
    assert call("down", *TRIAL, "--keep-data")[1][-1] == (place, True)
    assert call("prepare", *TRIAL)[1][-1] == place


def test_by_default_it_is_the_local_cluster(call):
    assert call("down") == (0, [(DEFAULT, False)])


def test_another_cluster_has_another_context(call, monkeypatch):
    monkeypatch.setenv("MINIDATA_CLUSTER", "other")
    ((place, _),) = call("down")[1]
    assert place.context == "kind-other"


def test_status_of_what_is_well_is_0(call, capsys):
    assert call("status")[0] == 0
    assert capsys.readouterr().out.endswith("All is well.\n")


def test_status_of_what_is_not_is_1(call, capsys, monkeypatch):
    # Expired by any clock.
    old = well(release=RELEASE, certificates={"minio-tls": certificate(1, ago=3)})
    monkeypatch.setattr(program, "gather", lambda _: old)
    assert call("status", "--output", "json")[0] == 1
    assert json.loads(capsys.readouterr().out)["certificates"][0]["wrong"] == "it is expired"


def test_an_error_is_told_on_standard_error(call, capsys, monkeypatch):
    def fails(*_):
        raise ClusterError("no way to service/minio", mend="Look.")

    monkeypatch.setattr(program, "up", fails)
    assert call("up")[0] == 1
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "error: no way to service/minio\n  Look.\n")


@pytest.mark.parametrize("words", [[], ["sideways"], ["status", "--output", "xml"]])
def test_words_that_mean_nothing_are_refused(call, words):
    with pytest.raises(SystemExit) as ended:
        call(*words)
    assert ended.value.code == 2
