"""The script that asks Vault and the warehouse shows no secret to whoever lists processes."""

import pytest

from cluster.shell import ClusterError
from deploy.helper import query, reveal
from tests.deploy.conftest import PLACE

KUBECTL = """
case "$*" in
  *"create token"*) echo a-token ;;
  *"exec --stdin vault-0"*) cat >"$HERE/vault"; printf 'metabase\\na-password\\n' ;;
  *"exec --stdin postgres-0"*) cat >"$HERE/postgres"; echo ' 991 | 2459' ;;
  *"get secret"*"--output=name"*) cat "$HERE/kept" ;;
  *"get secret"*) printf 'metabase\\nof-a-secret' ;;
esac
"""


@pytest.fixture
def kubectl(programs):
    programs.script("kubectl", KUBECTL)
    (programs.folder / "kept").touch()
    return programs


def test_a_login_that_is_in_vault_goes_from_pod_to_pod(kubectl):
    assert query(PLACE, "SELECT 1") == " 991 | 2459\n"
    assert (kubectl.folder / "vault").read_text() == "a-token"
    assert (kubectl.folder / "postgres").read_text() == "metabase\na-password\n"
    called = "\n".join(kubectl.calls())
    assert "a-token" not in called
    assert "a-password" not in called


def test_a_login_that_is_in_a_secret_is_taken_from_there(kubectl):
    (kubectl.folder / "kept").write_text("secret/metabase-database\n")
    query(PLACE, "SELECT 1")
    assert (kubectl.folder / "postgres").read_text() == "metabase\nof-a-secret"
    assert not (kubectl.folder / "vault").exists()


def test_the_token_is_for_vault_alone_and_of_the_account_that_is_named(kubectl):
    assert reveal(PLACE, "metabase", "postgres/metabase", "username", "password") == [
        "metabase",
        "a-password",
    ]
    called = " ".join(kubectl.calls())
    assert "create token metabase --audience=vault" in called
    assert " sh metabase postgres/metabase username password" in called


def test_every_call_is_to_the_place_that_is_named(kubectl):
    query(PLACE, "SELECT 1")
    calls = kubectl.calls("kubectl ")
    assert len(calls) == 4
    for call in calls:
        assert call.startswith("kubectl --context kind-trial --namespace trial ")


def test_what_vault_refuses_is_an_error(kubectl):
    kubectl.script("kubectl", "echo 'permission denied' >&2; exit 2")
    with pytest.raises(ClusterError, match="permission denied"):
        reveal(PLACE, "metabase", "postgres/owner", "password")
