"""What is to be done, decided without any server."""

import copy

import pytest
import yaml

from sales_vault.converging import state
from sales_vault.steps import Connect, MakeSecret, Refuse, Rotate, Write, paths, plan
from sales_vault.targets import ConnectionTarget, SecretTarget, Target, gate, rest
from sales_vault.wanted import read_plan
from tests.vault.plans import example

METADATA = "kv/metadata/postgres/vault-admin"
CONNECTION = "database/config/sales"


@pytest.fixture
def wanted(tmp_path):
    """All targets of the platform's plan."""
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump(example()))
    made = read_plan(path)
    return [*gate(made), *rest(made)]


@pytest.fixture
def found(wanted):
    """What a server says that is as it shall be, with more than was asked for."""
    documents = {}
    for target in wanted:
        match target:
            case Target():
                documents[target.path] = {**target.document, "accessor": "x"}
            case SecretTarget():
                documents[target.path] = {"current_version": 1, "custom_metadata": None}
            case ConnectionTarget(document=document):
                told = {key: document[key] for key in ("plugin_name", "allowed_roles")}
                details = {k: v for k, v in document.items() if k not in told}
                documents[target.path] = {**told, "connection_details": details}
    documents[METADATA] = {"current_version": 1, "custom_metadata": {"rotated": "true"}}
    return documents


def _named(wanted, path):
    (target,) = [target for target in wanted if target.path == path]
    return target


def test_nothing_differs(wanted, found):
    assert plan(wanted, found) == []


def test_nothing_is_there(wanted):
    """Each target is made, in the order of the plan; the login is rotated right after."""
    steps = plan(wanted, {})
    kinds = {Target: [Write], SecretTarget: [MakeSecret], ConnectionTarget: [Connect, Rotate]}
    assert [type(step) for step in steps] == [k for t in wanted for k in kinds[type(t)]]
    assert all(step.differs == () for step in steps if isinstance(step, Write))


def test_what_lets_in_comes_first_and_the_database_last(wanted):
    order = [target.path.split("/")[0] for target in wanted]
    assert order.index("kv") > max(n for n, name in enumerate(order) if name == "auth")
    assert order[-2:] == ["database", "database"]


@pytest.mark.parametrize(
    "path",
    ["sys/policies/acl/minio", "auth/kubernetes/role/minio", "database/roles/sales-pipeline"],
)
def test_changed_document_is_written(wanted, found, path):
    target = _named(wanted, path)
    name = next(iter(target.document))
    found[path] = {**found[path], name: "by hand"}
    assert plan(wanted, found) == [Write(target, (name,))]


@pytest.mark.parametrize("path", ["sys/mounts/kv", "sys/auth/kubernetes", "sys/audit/stdout"])
def test_what_cannot_be_changed_is_refused(wanted, found, path):
    found[path] = {**found[path], "type": "other"}
    assert plan(wanted, found) == [Refuse(_named(wanted, path), ("type",))]


@pytest.mark.parametrize("metadata", [{"current_version": 7}, {"custom_metadata": {"a": "b"}}])
def test_secret_that_is_there_is_left_alone(wanted, found, metadata):
    found["kv/metadata/minio/server"] = metadata
    assert plan(wanted, found) == []


def test_changed_connection_keeps_its_login(wanted, found):
    found[CONNECTION] = {**found[CONNECTION], "allowed_roles": ["other"]}
    assert plan(wanted, found) == [Write(_named(wanted, CONNECTION), ("allowed_roles",))]


def test_login_is_rotated_until_it_is_marked(wanted, found):
    """Whoever was killed in between rotates once more; marks of others stay."""
    found[METADATA] = {"custom_metadata": {"owner": "ops"}}
    (step,) = plan(wanted, found)
    assert isinstance(step, Rotate)
    assert step.path == "database/rotate-root/sales"
    assert step.custom_metadata == {"owner": "ops", "rotated": "true"}


def test_new_connection_rotates_in_spite_of_an_old_mark(wanted, found):
    """It begins with the secret's password, which others know."""
    del found[CONNECTION]
    assert [type(step) for step in plan(wanted, found)] == [Connect, Rotate]


def test_login_that_shall_stay_is_not_rotated(tmp_path):
    document = copy.deepcopy(example())
    document["database"]["connections"]["sales"]["rotateLogin"] = False
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump(document))
    assert not [s for s in plan(rest(read_plan(path)), {}) if isinstance(s, Rotate)]


def test_each_path_is_looked_at_before_deciding(wanted, found):
    looks = {path for target in wanted for path in paths(target)}
    assert looks == set(found)


def test_steps_are_told_without_content(wanted, found):
    found["sys/policies/acl/minio"] = {"policy": "by hand"}
    del found["kv/metadata/minio/server"]
    found[METADATA] = {}
    assert [(step.what, state(step)) for step in plan(wanted, found)] == [
        ("policy minio", "different in policy"),
        ("secret kv/minio/server", "missing"),
        ("login of database connection sales", "known to others"),
    ]
