"""The plan in Vault's words."""

import pytest
import yaml

from sales_vault.targets import gate, policy_text, rest
from sales_vault.wanted import read_plan
from tests.vault.plans import example


@pytest.fixture
def documents(tmp_path):
    """What is wanted where, for a plan with everything that may be left out."""
    plan = example()
    (tmp_path / "ca.crt").write_text("CA\n")
    (tmp_path / "reviewer").write_text("token-canary\n")
    plan["kubernetes"] = {
        "caFile": str(tmp_path / "ca.crt"),
        "reviewerTokenFile": str(tmp_path / "reviewer"),
    }
    plan["roles"]["minio"] |= {"serviceAccounts": ["a", "b"], "policies": ["c"], "maxTtl": "1d"}
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump(plan))
    made = read_plan(path)
    return {target.path: target for target in [*gate(made), *rest(made)]}


def test_policy():
    assert policy_text({"a/b": ["read"], "c/*": ["create", "sudo"]}) == (
        'path "a/b" {\n  capabilities = ["read"]\n}\n'
        'path "c/*" {\n  capabilities = ["create", "sudo"]\n}'
    )


def test_role_is_named_like_its_account_and_policy(documents):
    assert documents["auth/kubernetes/role/sales-pipeline"].document == {
        "bound_service_account_names": ["sales-pipeline"],
        "bound_service_account_namespaces": ["sales"],
        "audience": "vault",
        "alias_name_source": "serviceaccount_name",
        "token_policies": ["sales-pipeline"],
        "token_ttl": 7200,
        "token_max_ttl": 7200,
    }


def test_role_with_names_of_its_own(documents):
    document = documents["auth/kubernetes/role/minio"].document
    assert document["bound_service_account_names"] == ["a", "b"]
    assert document["token_policies"] == ["c"]
    assert document["token_max_ttl"] == 86400


def test_reviewer_of_a_vault_outside(documents):
    """Its token goes along, yet is neither compared nor shown."""
    target = documents["auth/kubernetes/config"]
    assert target.document["kubernetes_ca_cert"] == "CA"
    assert target.unread == {"token_reviewer_jwt": "token-canary"}
    assert "canary" not in repr(target)


def test_connection_verifies_the_server(documents):
    target = documents["database/config/sales"]
    assert target.document == {
        "plugin_name": "postgresql-database-plugin",
        "allowed_roles": ["sales-pipeline"],
        "connection_url": "postgresql://{{username}}:{{password}}@postgres.sales.svc:5432/sales"
        "?sslmode=verify-full&sslrootcert=/vault/tls/ca.crt",
        "password_authentication": "scram-sha-256",
    }
    assert target.rotate_path == "database/rotate-root/sales"


def test_key_value_engine_keeps_versions(documents):
    assert documents["sys/mounts/kv"].document == {"type": "kv", "options": {"version": "2"}}
