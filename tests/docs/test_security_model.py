"""The security model says what the charts do."""

import re

import yaml

from tests.docs import pages

PAGE = "docs/security.md"
READERS = "Who can read which secret"


def rows(heading):
    """The cells of a section's table."""
    lines = [line for line in pages.section(PAGE, heading).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def words(cell):
    return re.findall(r"`([^`]+)`", cell)


def vault():
    return yaml.safe_load((pages.ROOT / "charts/vault/values.yaml").read_text("utf-8"))


def test_every_reader_of_vault_is_named_with_all_that_it_may_read():
    told = {words(account)[0]: set(words(paths)) for account, paths, _ in rows(READERS)}
    assert told == {name: set(policy) for name, policy in vault()["policies"].items()}


def test_whoever_has_a_policy_may_only_read():
    """The page speaks of reading; a policy that lets somebody write would need more words."""
    granted = {
        tuple(rights) for policy in vault()["policies"].values() for rights in policy.values()
    }
    assert granted == {("read",)}


def test_every_role_is_a_reader():
    assert set(vault()["roles"]) == {words(account)[0] for account, *_ in rows(READERS)}


def test_lifecycle_that_the_page_names_is_a_value():
    values = yaml.safe_load((pages.ROOT / "charts/minio/values.yaml").read_text("utf-8"))
    (path,) = {
        word for row in rows("Where personal data is") for word in words(row[3]) if "." in word
    }
    for part in path.split("."):
        values = values[part]
    kept = {rule["prefix"]: rule.get("expireAfterDays") for rule in values.values()}
    assert (kept["processed/"], kept["quarantine/"]) == (0, 0)
