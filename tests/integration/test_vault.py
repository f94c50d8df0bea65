"""The road to Vault itself, walked against a real Vault API under TLS; logins in the KV engine too.

Only Kubernetes is played: a server that answers TokenReview as the API server does. OpenBao checks
claims, role, audience and policy by itself.
"""

import base64
from dataclasses import dataclass

import hvac
import pytest

from sales_pipeline import vault as door
from sales_pipeline.credentials import Credentials, open_credentials
from sales_pipeline.errors import ConfigurationError, LoginEndedError, TemporaryError
from sales_pipeline.settings import Settings
from tests.support.kubernetes import ACCOUNT, NAMESPACE, REVIEWER, Kubernetes, a_token, api_server
from tests.support.vault import Vault, running_vault

pytestmark = pytest.mark.integration

KEY = bytes(range(32))
CANARIES = ("pw-canary-1", "sk-canary-2")
SECRETS = {
    "database": {"username": "etl", "password": "pw-canary-1"},
    "object-store": {"access_key": "AK", "secret_key": "sk-canary-2"},
    "pseudonym": {
        "key": base64.b64encode(KEY).decode(),
        "key_version": "3",
        "previous_keys": {"2": base64.b64encode(KEY[::-1]).decode()},
    },
}
POLICY = 'path "kv/data/sales/*" { capabilities = ["read"] }'
ROLE = {
    "bound_service_account_names": [ACCOUNT],
    "bound_service_account_namespaces": [NAMESPACE],
    "policies": ["sales"],
    "audience": "vault",
    "ttl": "5m",
}


# --- Vault, real --------------------------------------------------------------------------------


def _configure(root: hvac.Client, vault: Vault, kubernetes: Kubernetes) -> None:
    root.sys.enable_auth_method("kubernetes")
    root.auth.kubernetes.configure(
        kubernetes_host=kubernetes.host,
        kubernetes_ca_cert=vault.ca_file.read_text(),
        token_reviewer_jwt=REVIEWER,
    )
    root.sys.create_or_update_policy("sales", POLICY)
    root.auth.kubernetes.create_role("sales-pipeline", **ROLE)
    root.sys.enable_secrets_engine("kv", path="kv", options={"version": "2"})
    for folder in ("sales", "unlisted"):
        for name, content in SECRETS.items():
            root.secrets.kv.v2.create_or_update_secret(
                f"{folder}/{name}", content, mount_point="kv"
            )


@dataclass(frozen=True)
class World:
    vault: Vault
    kubernetes: Kubernetes


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vault")
    with (
        running_vault(folder) as vault,
        api_server(folder / "vault-cert.pem", folder / "vault-key.pem") as kubernetes,
    ):
        with vault.root() as root:
            _configure(root, vault, kubernetes)
        yield World(vault, kubernetes)


@pytest.fixture
def other_vault(tmp_path):
    """A second server, for tests that break theirs or need a CA that signed nothing here."""
    folder = tmp_path / "other-vault"
    folder.mkdir()
    with running_vault(folder) as vault:
        yield vault


@pytest.fixture
def settings(world, tmp_path):
    """Settings of a pod with a good token; the folder of credential files does not exist."""
    token_file = tmp_path / "token"
    token_file.write_text(world.kubernetes.issue() + "\n")
    return Settings(
        credentials="direct",
        vault_database_path="",
        vault_addr=world.vault.address,
        vault_ca_file=world.vault.ca_file,
        vault_token_file=token_file,
        credentials_dir=tmp_path / "absent",
    )


def _load(settings: Settings) -> Credentials:
    with open_credentials(settings) as credentials:
        return credentials


def _accessors(vault: Vault) -> set[str]:
    with vault.root() as root:
        return set(root.auth.token.list_accessors()["data"]["keys"])


def _fails(settings: Settings, kind: type[Exception]) -> Exception:
    """The error that loading ends in, after a look that it carries neither cause nor secret."""
    with pytest.raises(kind) as caught:
        _load(settings)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
    token = settings.vault_token_file.read_text().strip()
    assert not [word for word in (*CANARIES, token) if word and word in str(caught.value)]
    return caught.value


# --- the way that should work -------------------------------------------------------------------


def test_good_token_gets_all_three(settings, world):
    """One login with a token that Kubernetes vouches for yields all three secrets."""
    before = len(world.kubernetes.reviewed)
    credentials = _load(settings)
    assert len(world.kubernetes.reviewed) == before + 1
    assert credentials.database.username == "etl"
    assert credentials.database.password.get_secret_value() == "pw-canary-1"
    assert credentials.object_store.access_key.get_secret_value() == "AK"
    assert credentials.object_store.secret_key.get_secret_value() == "sk-canary-2"
    assert credentials.pseudonym.key.get_secret_value() == KEY
    assert credentials.pseudonym.key_version == 3
    assert credentials.pseudonym.earlier() == {2: KEY[::-1]}


def test_token_is_revoked_after_loading(settings, world):
    """Vault knows no more tokens after a load than before it."""
    before = _accessors(world.vault)
    _load(settings)
    assert _accessors(world.vault) == before


def test_token_is_revoked_after_failed_loading(settings, world):
    """A load that ends in an error leaves no token behind either."""
    before = _accessors(world.vault)
    _fails(settings.model_copy(update={"vault_path": "nowhere"}), ConfigurationError)
    assert _accessors(world.vault) == before


def test_token_that_may_not_revoke_itself_fails_no_run(settings, world, caplog):
    """Where the policy forbids revoke-self the secrets are still returned, with a warning."""
    with world.vault.root() as root:
        root.write_data("auth/kubernetes/role/bare", data={**ROLE, "token_no_default_policy": True})
    credentials = _load(settings.model_copy(update={"vault_role": "bare"}))
    assert credentials.database.username == "etl"
    assert "not revoked" in caplog.text


def test_rotated_secret_is_seen_by_the_next_load(settings, world):
    """Nothing is kept between two loads."""
    with world.vault.root() as root:
        kv = root.secrets.kv.v2
        for name, content in SECRETS.items():
            kv.create_or_update_secret(f"sales/turn/{name}", content, mount_point="kv")
        turned = settings.model_copy(update={"vault_path": "sales/turn"})
        first = _load(turned)
        new = {"username": "etl", "password": "pw-new"}
        kv.create_or_update_secret("sales/turn/database", new, mount_point="kv")
    assert first.database.password.get_secret_value() == "pw-canary-1"
    assert _load(turned).database.password.get_secret_value() == "pw-new"


# --- refusals: a human must act -----------------------------------------------------------------


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(lambda _: a_token(), id="forged"),
        pytest.param(lambda kubernetes: kubernetes.issue(account="default"), id="other account"),
        pytest.param(lambda kubernetes: kubernetes.issue(audience="api"), id="other audience"),
        pytest.param(lambda _: "not-a-token", id="no token at all"),
        pytest.param(lambda _: "", id="empty"),
    ],
)
def test_bad_token_is_refused(settings, world, token):
    """A token that Kubernetes or the role does not vouch for gets nothing."""
    settings.vault_token_file.write_text(token(world.kubernetes))
    assert _fails(settings, ConfigurationError).code == "vault.login"


def test_unknown_role_is_refused(settings):
    """A role that Vault does not have is named in the error."""
    error = _fails(settings.model_copy(update={"vault_role": "nobody"}), ConfigurationError)
    assert (error.code, error.where.endswith("role nobody")) == ("vault.login", True)


def test_unlisted_path_is_forbidden(settings):
    """A secret that exists but is not in the role's policy stays closed, and is named."""
    error = _fails(settings.model_copy(update={"vault_path": "unlisted"}), ConfigurationError)
    assert error.code == "vault.forbidden"
    assert error.where.endswith("kv/data/unlisted/database")


def test_missing_secret_is_named(settings):
    """A permitted path without a secret is told from a forbidden one."""
    error = _fails(settings.model_copy(update={"vault_path": "sales/void"}), ConfigurationError)
    assert error.code == "vault.missing"
    assert error.where.endswith("kv/data/sales/void/database")


def test_deleted_secret_is_missing(settings, world):
    """A secret whose last version was deleted counts as missing."""
    with world.vault.root() as root:
        kv = root.secrets.kv.v2
        kv.create_or_update_secret("sales/gone/database", {"username": "x"}, mount_point="kv")
        kv.delete_latest_version_of_secret("sales/gone/database", mount_point="kv")
    error = _fails(settings.model_copy(update={"vault_path": "sales/gone"}), ConfigurationError)
    assert error.code == "vault.missing"


def test_incomplete_secret_names_its_field(settings, world):
    """A secret without a field that is needed says which, and quotes nothing of it."""
    with world.vault.root() as root:
        root.secrets.kv.v2.create_or_update_secret(
            "sales/part/database", {"passwort": "pw-canary-1"}, mount_point="kv"
        )
    error = _fails(settings.model_copy(update={"vault_path": "sales/part"}), ConfigurationError)
    assert error.code == "credentials.invalid"
    assert error.what == "field username is missing; field password is missing"


# --- TLS ----------------------------------------------------------------------------------------


def test_unknown_ca_is_refused_before_anything_is_sent(settings, world, other_vault):
    """A server whose certificate another CA signed never sees the pod's token."""
    before = len(world.kubernetes.reviewed)
    stranger = settings.model_copy(update={"vault_ca_file": other_vault.ca_file})
    assert _fails(stranger, ConfigurationError).code == "vault.certificate"
    assert len(world.kubernetes.reviewed) == before


def test_private_ca_is_not_trusted_unasked(settings, monkeypatch):
    """Without a CA file only publicly known CAs are trusted: verification is never off."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    bare = settings.model_copy(update={"vault_ca_file": None})
    assert _fails(bare, ConfigurationError).code == "vault.certificate"


# --- troubles that pass -------------------------------------------------------------------------


def test_token_that_was_revoked_is_told_from_a_closed_path(settings, world, monkeypatch):
    """Vault says the same of both, but only one of them needs a human."""
    login, before = door._login, _accessors(world.vault)

    def revoked(*args):
        seconds = login(*args)
        (new,) = _accessors(world.vault) - before
        with world.vault.root() as root:
            root.auth.token.revoke_accessor(new)
        return seconds

    monkeypatch.setattr(door, "_login", revoked)
    error = _fails(settings, LoginEndedError)
    assert (error.code, error.where.endswith("kv/data/sales/database")) == (
        "vault.token_ended",
        True,
    )


def test_sealed_vault_is_temporary(settings, other_vault):
    """A sealed Vault is worth another try."""
    with other_vault.root() as root:
        root.sys.seal()
    sealed = {"vault_addr": other_vault.address, "vault_ca_file": other_vault.ca_file}
    error = _fails(settings.model_copy(update=sealed), TemporaryError)
    assert error.code == "vault.unavailable"


def test_stopped_vault_is_temporary(settings, other_vault):
    """A Vault that does not answer is worth another try."""
    other_vault.stop()
    stopped = settings.model_copy(update={"vault_addr": other_vault.address})
    assert _fails(stopped, TemporaryError).code == "vault.unavailable"
