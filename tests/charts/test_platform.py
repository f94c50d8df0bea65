"""`charts/platform`: the parts fit together, whatever the release is called."""

import json
import re
from collections import Counter
from itertools import chain

import pytest
import yaml

from certs.services import SERVICES
from tests.charts import support
from tests.charts.operator_chart import metadata_of, settings_of
from tests.charts.platform_chart import SETS, installed
from tests.charts.support import (
    CHARTS,
    NAMESPACE,
    UMBRELLA,
    HelmError,
    named,
    of_kind,
    pods,
    render,
    selects,
    steady,
)
from tests.docs import pages

CHART = yaml.safe_load((CHARTS / UMBRELLA / "Chart.yaml").read_text("utf-8"))
PARTS = [part["name"] for part in CHART["dependencies"]]
README = f"charts/{UMBRELLA}/README.md"
COMING = {"metabase"}
"""Whom Vault lets in already, and the next step installs."""
HOOKS = {"Job/minio-bootstrap", "Job/postgres-bootstrap"}


@pytest.fixture(scope="module")
def default():
    return installed()


@pytest.fixture(scope="module", params=SETS)
def documents(request):
    return installed(SETS[request.param])


def made_by(documents, owner):
    """The one pod of an owner, such as `Job/minio-bootstrap`."""
    (found,) = (pod for pod in pods(documents) if pod.owner == owner)
    return found


# --- parts ----------------------------------------------------------------------------------------


def part_of(document):
    """The chart that an object comes from, or that made who makes it."""
    return document["metadata"]["labels"].get("helm.sh/chart", "").rpartition("-")[0]


@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_left_out_by_its_condition_and_takes_nothing_else_along(part, default):
    rendered = [d for d in default if part_of(d)]
    assert part in {part_of(d) for d in rendered}
    left = render(UMBRELLA, {"parts": {part: False}})
    assert left == [d for d in rendered if part_of(d) != part]


def test_parts_are_all_the_charts_there_are():
    others = {path.parent.name for path in CHARTS.glob("*/Chart.yaml")} - {UMBRELLA}
    assert {*PARTS} == others
    assert [part["condition"] for part in CHART["dependencies"]] == [f"parts.{p}" for p in PARTS]


def test_a_part_has_a_page_for_its_values():
    linked = {link for link in pages.links(pages.ROOT / README) if link.endswith("README.md")}
    assert {f"../{part}/README.md" for part in PARTS} <= linked


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ({"part": {}}, "part"),
        ({"parts": {"vualt": False}}, "vualt"),
        ({"parts": {"vault": "no"}}, "/parts/vault"),
        ({"networkPolicy": {"enabled": False}}, "/networkPolicy"),
    ],
)
def test_schema_refuses_what_would_be_passed_over(wrong, place):
    with pytest.raises(HelmError, match=r"schema") as refused:
        render(UMBRELLA, wrong)
    assert place in str(refused.value)


# --- names ----------------------------------------------------------------------------------------


def test_everything_is_in_one_namespace_and_named_once(documents):
    found = metadata_of(documents)
    cluster_scoped = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}
    cluster_scoped |= {"MutatingWebhookConfiguration"}
    assert {where for kind, where, _ in found if kind not in cluster_scoped} == {NAMESPACE}
    assert [name for name, times in Counter(found).items() if times > 1] == []


def test_the_name_of_the_release_does_not_matter(default):
    """It stands in labels, and in checksums over what carries them."""
    label = '"app.kubernetes.io/instance": "{}"'.format
    ours, theirs = (
        re.sub("[0-9a-f]{64}", "", json.dumps(found).replace(label(name), label("any")))
        for name, found in (
            (UMBRELLA, [d for d in default if part_of(d)]),
            ("another", render(UMBRELLA, release="another")),
        )
    )
    assert ours == theirs


def texts(value):
    """Every text in a document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        within = value.values() if isinstance(value, dict) else value
        yield from chain.from_iterable(map(texts, within))


def hosts_in(documents):
    """The hosts that documents speak of: in URLs, as names of Services, as somebody's *HOST."""
    every = [*chain.from_iterable(map(texts, documents))]
    urls = (host for text in every for host in re.findall(r"https://([\w.-]+\w)", text))
    services = (host for text in every for host in re.findall(r"\w[\w.-]*\.svc\b", text))
    environments = (
        (entry["name"], entry.get("value", ""))
        for pod in pods(documents)
        for container in pod.containers
        for entry in container.get("env", [])
    )
    named_so = (value for name, value in environments if name.endswith("HOST"))
    ours = {"localhost", "kubernetes.default.svc"}
    return {*urls, *services, *named_so} - ours


def service_in(host):
    """The Service behind a host of the cluster, also where that is one of its pods."""
    return host.removesuffix(".svc").removesuffix(f".{NAMESPACE}").rpartition(".")[2]


def test_parts_call_each_other_by_names_that_are_there(documents):
    found = hosts_in(documents)
    outside = {host for host in found if host.endswith(".example")}
    services = {service["metadata"]["name"] for service in of_kind(documents, "Service")}
    assert {service_in(host) for host in found - outside} <= services


def test_only_the_set_with_all_servers_elsewhere_speaks_of_others(documents, request):
    is_outside = {host.endswith(".example") for host in hosts_in(documents)}
    there = {part_of(d) for d in documents} & {*PARTS}
    assert (True in is_outside) == (there == {"operator"})


def test_certificates_name_whoever_is_called(default):
    certified = {name for service in SERVICES for name in service.names(NAMESPACE)}
    servers_among_themselves = {f"vault-internal.{NAMESPACE}.svc"}
    found = hosts_in(default) - servers_among_themselves
    assert {service_in(host) for host in found} == {"vault", "minio", "postgres", "operator"}
    assert found <= certified


def test_events_go_to_the_operator_in_whatever_namespace(default):
    (server,) = made_by(default, "StatefulSet/minio").spec["containers"]
    endpoints = {e["value"] for e in server["env"] if "WEBHOOK_ENDPOINT" in e["name"]}
    port = settings_of(default).receiver.port
    assert endpoints == {f"https://operator:{port}/events"}


# --- what must be there ---------------------------------------------------------------------------


def asked_for(documents):
    """What pods cannot do without and nobody here makes, and the keys of it."""
    there = {(d["kind"], d["metadata"]["name"]) for d in documents}
    there.add(("ConfigMap", "kube-root-ca.crt"))
    found = {}
    for source in chain.from_iterable(map(sources_of, pods(documents))):
        for kind, field in (("Secret", "secret"), ("ConfigMap", "configMap")):
            if (part := source.get(field)) and not part.get("optional"):
                name = part.get("secretName") or part["name"]
                keys = {item["key"] for item in part.get("items", [])}
                found[kind, name] = found.get((kind, name), set()) | keys
    return {what: keys for what, keys in found.items() if what not in there}


def sources_of(pod):
    """Whatever its volumes are made of."""
    for volume in pod.spec.get("volumes", []):
        yield from (volume, *volume.get("projected", {}).get("sources", []))


def test_the_page_lists_what_must_be_there_and_no_password_is_among_it(default):
    rows = pages.rows(pages.section(README, "Before the first install"))
    listed = {tuple(row[0].split()): set(row[1].split(", ")) for row in rows}
    assert asked_for(default) == listed


def test_injector_asks_for_a_certificate_more(default):
    more = asked_for(installed(SETS["injector"])).keys() - asked_for(default).keys()
    assert more == {("Secret", "vault-injector-tls")}
    assert "`vault-injector-tls`" in pages.section(README, "With the injector")


# --- Vault ----------------------------------------------------------------------------------------


def plan_of(documents):
    (found,) = (d for d in of_kind(documents, "ConfigMap") if "plan.yaml" in d["data"])
    return yaml.safe_load(found["data"]["plan.yaml"])


def accounts_of(plan):
    """Role -> whose token it takes."""
    return {name: set(role.get("serviceAccounts", [name])) for name, role in plan["roles"].items()}


def shows_vault_a_token(pod):
    tokens = (source.get("serviceAccountToken", {}) for source in sources_of(pod))
    return "vault" in {token.get("audience") for token in tokens}


@pytest.mark.parametrize("name", ["default", "injector"])
def test_vault_lets_in_whoever_comes_and_nobody_else(name):
    documents = installed(SETS[name])
    plan = plan_of(documents)
    assert {where for role in plan["roles"].values() for where in role["namespaces"]} == {NAMESPACE}
    coming = {p.spec["serviceAccountName"] for p in pods(documents) if shows_vault_a_token(p)}
    assert set().union(*accounts_of(plan).values()) == coming | COMING
    made = {account["metadata"]["name"] for account in of_kind(documents, "ServiceAccount")}
    assert coming <= made
    assert not COMING & made


def agents(documents):
    """Each pod with an agent of its own, and what that goes by."""
    for pod in pods(documents):
        for volume in pod.spec.get("volumes", []):
            if volume["name"] == "vault-agent":
                source = volume["projected"]["sources"][0]["configMap"]
                config = named(documents, "ConfigMap", source["name"])
                yield pod, config["data"][source["items"][0]["key"]]


def examples():
    """The values on the page, by the first of their keys."""
    blocks = (b.text for b in pages.blocks("yaml") if pages.name(b.page) == README)
    found = (yaml.safe_load(text) for text in blocks if "apiVersion:" not in text)
    return {next(iter(values["vault"])): values for values in found}


def reads_of(documents):
    """Pods with an agent of their own -> the secrets that it reads, each of which it may."""
    plan, found = plan_of(documents), {}
    for pod, config in agents(documents):
        (role,) = re.findall(r'role\s+= "(.+)"', config)
        assert pod.spec["serviceAccountName"] in accounts_of(plan)[role]
        found[pod.owner] = set(re.findall(r'secret "kv/data/(.+?)"', config))
        assert {f"kv/data/{path}" for path in found[pod.owner]} <= plan["policies"][role].keys()
    return found


def test_an_agent_has_its_role_and_may_read_what_vault_makes(default):
    found = reads_of(default)
    jobs = {f"{name}-{what}" for name in ("minio", "postgres") for what in ("bootstrap", "test")}
    assert {owner.partition("/")[2] for owner in found} == {"minio", "postgres", "operator"} | jobs
    assert all(found.values())
    assert set().union(*found.values()) <= plan_of(default)["kv"]["generate"].keys()


def test_example_of_the_page_lets_a_supplier_in():
    documents = installed(examples()["secrets"])
    (keys,) = (
        reads_of(documents)["Job/minio-bootstrap"] - reads_of(installed())["Job/minio-bootstrap"]
    )
    plan = plan_of(documents)
    assert {"access_key", "secret_key"} == plan["kv"]["generate"][keys].keys()
    assert f"kv/data/{keys}" in plan["policies"]["sales-supplier"]
    assert "sales-supplier" in plan["roles"]


def test_vault_makes_logins_by_the_one_that_the_warehouse_has_for_it(default):
    plan = plan_of(default)
    (connection,) = plan["database"]["connections"].values()
    scripts = named(default, "ConfigMap", "postgres-scripts")["data"]
    assert connection["login"] in "".join(scripts.values())
    mount, _, role = settings_of(default).pipeline.vault.database_path.partition("/creds/")
    assert mount == plan["database"]["mount"]
    assert role in plan["database"]["roles"]


# --- who waits for whom ---------------------------------------------------------------------------


def hooks(documents):
    """Owners of what Helm makes by itself and waits for, tests aside."""
    return {
        f"{document['kind']}/{document['metadata']['name']}"
        for document in documents
        if document["metadata"].get("annotations", {}).get("helm.sh/hook", "test") != "test"
    }


def test_no_hook_waits_for_another_hook(default):
    """They wait for Vault's secrets, and Vault's setup waits for the warehouse's: it is no hook."""
    assert hooks(default) == HOOKS
    assert "Job/vault-setup" in {steady(pod.owner) for pod in pods(default)}


def test_injector_is_waited_for_by_a_hook_that_needs_no_other():
    documents = installed(SETS["injector"])
    assert hooks(documents) == HOOKS | {"Job/vault-injector-check"}
    assert not shows_vault_a_token(made_by(documents, "Job/vault-injector-check"))


def test_setup_cannot_be_made_a_hook():
    with pytest.raises(HelmError, match="/vault/setup/hook"):
        render(UMBRELLA, {"vault": {"setup": {"hook": True}}})


def test_setup_has_time_for_all_that_hooks_may_take(default):
    deadlines = {
        steady(job["metadata"]["name"]): job["spec"]["activeDeadlineSeconds"]
        for job in of_kind(default, "Job")
        if part_of(job)
    }
    assert deadlines.pop("vault-setup") >= sum(deadlines.values())


# --- network and rights ---------------------------------------------------------------------------


def test_all_pods_are_denied_what_nobody_allows(documents):
    spec = named(documents, "NetworkPolicy", "default-deny")["spec"]
    assert spec == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_each_pod_has_a_policy_that_allows(documents):
    policies = [p["spec"] for p in of_kind(documents, "NetworkPolicy")]
    for pod in pods(documents):
        chosen = [p for p in policies if p["podSelector"] and selects(p["podSelector"], pod.labels)]
        assert len(chosen) == 1, pod.owner


def test_denial_can_be_left_out(default):
    found = render(UMBRELLA, {"networkPolicy": {"defaultDeny": False}})
    left = [d for d in default if part_of(d) and d["metadata"]["name"] != "default-deny"]
    assert found == left


def test_pods_are_restricted_those_of_runs_among_them(documents):
    found = [*pods(documents)]
    assert "CronJob/daily" in {pod.owner for pod in found}
    assert [shortfall for pod in found for shortfall in support.unrestricted(pod)] == []


# --- what is said more than once ------------------------------------------------------------------


def images_of(documents):
    """Container -> its images; what runs are made of stands in the operator's settings."""
    found = {}
    for pod in pods(documents):
        for container in pod.containers:
            found.setdefault(container["name"], set()).add(container["image"])
    return found


def test_agents_are_of_the_image_of_the_server(default):
    found = images_of(default)
    assert found["vault-agent"] == found["vault"]
    assert len(found["vault"]) == 1


def test_migrations_are_of_the_image_of_runs(default):
    found = images_of(default)
    assert found["migrate"] == found["pipeline"] == {settings_of(default).pipeline.image}


def test_all_speak_of_one_ca_and_one_database(default):
    assert {name for kind, name in asked_for(default) if kind == "ConfigMap"} == {"minidata-ca"}
    (connection,) = plan_of(default)["database"]["connections"].values()
    ours = settings_of(default).pipeline.environment
    migrate = next(c for p in pods(default) for c in p.containers if c["name"] == "migrate")
    theirs = support.environ_of(migrate)
    for name in ("SALES_DB_NAME", "SALES_DB_SCHEMA"):
        assert ours[name] == theirs[name]
    assert connection["database"] == ours["SALES_DB_NAME"]


def test_example_of_the_page_says_an_image_once_for_all():
    found = images_of(installed(examples()["distribution"]))
    assert found["vault-agent"] == found["vault"] == {"docker.io/openbao/openbao:2.7.2"}


def test_a_mirror_can_have_all_images():
    values = SETS["mirror"]
    injector = {"injector": values["vault"]["injector"] | {"enabled": True}}
    documents = installed(values | {"vault": values["vault"] | injector})
    images = set().union(*images_of(documents).values())
    assert {image.partition("/")[0] for image in images} == {"registry.example:5000"}
    assert "registry.example:5000/hashicorp/vault-k8s:1.7.6" in images
    pulling = [pod.spec.get("imagePullSecrets") for pod in pods(documents)]
    assert pulling == [[{"name": "registry"}]] * len(pulling)
