"""Charts as a test sees them: rendered by helm, taken apart, held against the rules of all charts.

Nothing here needs a cluster. A program such as helm is looked for at $MINIDATA_HELM, in the cache
that `make cluster` fills, and on the PATH; a machine without it fails these tests, for a chart that
was not rendered was not tested.
"""

import atexit
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import yaml

from tests.docs import pages

CHARTS = pages.ROOT / "charts"
NAMESPACE = "minidata"
UMBRELLA = "platform"
"""The chart that is made of all others."""
_CACHE = "~/.cache/minidata"
KUBE_VERSION = "1.34"
"""What `helm template` shall take the cluster for: its own guess depends on how it was built."""
_LIMIT_SECONDS = 60
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The safe one in C, ten times as fast, where there is a C library."""

Document = dict[str, Any]

# Typed here, for the module itself is not.
_section: Callable[[str, str], str] = pages.section
_rows: Callable[[str], list[list[str]]] = pages.rows


class HelmError(Exception):
    """What helm said when it refused."""


# --- programs -----------------------------------------------------------------------------------


def program(name: str) -> str:
    """The path of a program such as `helm`.

    Raises:
        LookupError: There is none.
    """
    variable = f"MINIDATA_{name.upper()}"
    given = os.environ.get(variable)
    cached = Path(os.environ.get("MINIDATA_CACHE", _CACHE)).expanduser() / "bin" / name
    for place in (given, str(cached), name):
        if place and (found := shutil.which(place)):
            return found
    raise LookupError(
        f"no {name} at ${variable} ({given or 'not set'}), at {cached} or on the PATH: "
        "`make cluster` fills the cache"
    )


def helm(*args: str, values: Mapping[str, Any] | None = None) -> str:
    """What helm prints.

    Args:
        args: Its arguments.
        values: Read by helm after the chart's own, where the command takes values.

    Raises:
        HelmError: It refused; the message is its own.
    """
    more = () if values is None else ("--values", "-")
    ended = subprocess.run(
        [program("helm"), *args, *more],
        input=json.dumps(values),
        capture_output=True,
        text=True,
        timeout=_LIMIT_SECONDS,
        check=False,
    )
    if ended.returncode:
        raise HelmError(ended.stderr + ended.stdout)
    return ended.stdout


@cache
def _charts_with_parts() -> Path:
    """A copy of all charts in which the umbrella has its parts as they are now.

    The packages of a working tree are what the parts were when somebody last built them.
    """
    folder = Path(mkdtemp(prefix="charts-"))
    atexit.register(shutil.rmtree, folder)
    built = shutil.ignore_patterns("*.tgz")
    shutil.copytree(CHARTS, folder, ignore=built, dirs_exist_ok=True)
    helm("dependency", "build", str(folder / UMBRELLA))
    return folder


def folder_of(chart: str) -> Path:
    """Where helm finds a chart, and with it whatever it is made of."""
    return (_charts_with_parts() if chart == UMBRELLA else CHARTS) / chart


def value_sets(chart: str) -> dict[str, Mapping[str, Any]]:
    """The values that a chart is tried with, by name: none, and those of its folder `ci`."""
    files = sorted((CHARTS / chart / "ci").glob("*-values.yaml"))
    named = {file.name.removesuffix("-values.yaml"): _read(file) for file in files}
    return {"default": {}, **named}


def _read(file: Path) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))
    return values


def render(
    chart: str, values: Mapping[str, Any] | None = None, *, release: str | None = None
) -> list[Document]:
    """The documents of a chart, hooks and tests included.

    Args:
        chart: The name of its folder.
        values: What the chart's own values are overlaid with.
        release: The release's name, the chart's if left out.

    Raises:
        HelmError: The values don't fit the chart's schema, or the templates fail.
    """
    text = helm(
        "template",
        release or chart,
        str(folder_of(chart)),
        f"--namespace={NAMESPACE}",
        f"--kube-version={KUBE_VERSION}",
        values=values or {},
    )
    return [document for document in yaml.load_all(text, Loader=_LOADER) if document]


def lint(chart: str, values: Mapping[str, Any] | None = None) -> str:
    """What `helm lint` says.

    Raises:
        HelmError: It found an error or a warning.
    """
    strict = ("--strict", f"--kube-version={KUBE_VERSION}")
    return helm("lint", str(folder_of(chart)), *strict, values=values or {})


# --- documents ----------------------------------------------------------------------------------


def of_kind(documents: list[Document], kind: str) -> list[Document]:
    """All documents of a kind."""
    return [document for document in documents if document["kind"] == kind]


def named(documents: list[Document], kind: str, name: str) -> Document:
    """The one document of this kind and name."""
    (found,) = (d for d in of_kind(documents, kind) if d["metadata"]["name"] == name)
    return found


@dataclass(frozen=True)
class Pod:
    """A pod, or what a workload makes pods from."""

    owner: str
    """Such as `StatefulSet/minio`."""
    metadata: Document
    spec: Document

    @property
    def containers(self) -> list[Document]:
        """Its containers of every sort."""
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]

    @property
    def labels(self) -> dict[str, str]:
        """What selectors see."""
        return dict(self.metadata.get("labels", {}))


def steady(owner: str) -> str:
    """An owner without the digest that a Job has behind its name where it is no hook."""
    return re.sub("-[0-9a-f]{8}$", "", owner)


def pods(documents: list[Document]) -> Iterator[Pod]:
    """Every pod that the documents lead to, those of hooks and tests included."""
    for document in documents:
        owner = f"{document['kind']}/{document['metadata']['name']}"
        template = document
        if document["kind"] != "Pod":
            spec = document.get("spec", {})
            spec = spec.get("jobTemplate", {}).get("spec", spec)
            template = spec.get("template", {})
        if "containers" in template.get("spec", {}):
            yield Pod(owner, template.get("metadata", {}), template["spec"])


def pod_of(documents: list[Document], kind: str) -> Pod:
    """The one pod that something of this kind makes."""
    (pod,) = (pod for pod in pods(documents) if pod.owner.startswith(f"{kind}/"))
    return pod


def container_of(documents: list[Document], kind: str) -> Document:
    """The one container of the one pod that something of this kind makes."""
    (container,) = pod_of(documents, kind).containers
    return container


def environ_of(container: Document) -> dict[str, str]:
    """The environment variables of a container."""
    return {entry["name"]: entry["value"] for entry in container["env"]}


def policy_for(documents: list[Document], pod: Pod) -> Document:
    """The spec of the one NetworkPolicy that counts for a pod."""
    (found,) = (
        policy["spec"]
        for policy in of_kind(documents, "NetworkPolicy")
        if selects(policy["spec"]["podSelector"], pod.labels)
    )
    return found


def ports_of(rule: Document) -> set[int]:
    """The ports that a rule of a NetworkPolicy is about."""
    return {port["port"] for port in rule["ports"]}


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a selector of the API (matchLabels, matchExpressions with In) lets labels in."""
    equal = selector.get("matchLabels", {}).items() <= labels.items()
    among = (e for e in selector.get("matchExpressions", []))
    return equal and all(labels.get(e["key"]) in e["values"] for e in among)


# --- rules of every chart -----------------------------------------------------------------------


def unrestricted(pod: Pod) -> list[str]:
    """In what a pod falls short of Pod Security `restricted`, and of our own addition to it.

    The addition: a read-only root, no token of the API server, and stated resources.
    """
    whole = pod.spec.get("securityContext", {})
    wanted = {
        "runAsNonRoot": whole.get("runAsNonRoot") is True,
        "runAsUser": whole.get("runAsUser", 0) > 0,
        "seccompProfile": whole.get("seccompProfile") == {"type": "RuntimeDefault"},
        "automountServiceAccountToken": pod.spec.get("automountServiceAccountToken") is False,
        "serviceAccountName": pod.spec.get("serviceAccountName", "default") != "default",
        "host": not {"hostNetwork", "hostPID", "hostIPC"} & pod.spec.keys(),
        "volumes": not [v for v in pod.spec.get("volumes", []) if "hostPath" in v],
    }
    shortfalls = [f"{pod.owner}: {what}" for what, is_so in wanted.items() if not is_so]
    for container in pod.containers:
        shortfalls += [f"{pod.owner}/{container['name']}: {what}" for what in _loose(container)]
    return shortfalls


def _loose(container: Document) -> list[str]:
    context = container.get("securityContext", {})
    wanted = {
        "allowPrivilegeEscalation": context.get("allowPrivilegeEscalation") is False,
        "capabilities": context.get("capabilities") == {"drop": ["ALL"]},
        "readOnlyRootFilesystem": context.get("readOnlyRootFilesystem") is True,
        "privileged": not context.get("privileged"),
        "requests": {"cpu", "memory"} <= container.get("resources", {}).get("requests", {}).keys(),
        "memory limit": "memory" in container.get("resources", {}).get("limits", {}),
        "hostPort": not [p for p in container.get("ports", []) if "hostPort" in p],
    }
    return [what for what, is_so in wanted.items() if not is_so]


def has_api_token(pod: Pod) -> bool:
    """Whether a volume holds a token of the API server, which no `automount` switch forbids.

    One made for another audience, such as Vault, is of no use there.
    """
    return any(
        "audience" not in source["serviceAccountToken"]
        for volume in pod.spec.get("volumes", [])
        for source in volume.get("projected", {}).get("sources", [])
        if "serviceAccountToken" in source
    )


def secrets_in_the_open(pod: Pod) -> list[str]:
    """Environment variables that are taken from a Secret: `kubectl exec env` would show them."""
    return [
        f"{pod.owner}/{container['name']}: {place}"
        for container in pod.containers
        for place in (*container.get("env", []), *container.get("envFrom", []))
        if "secretKeyRef" in place.get("valueFrom", {}) or "secretRef" in place
    ]


def secrets_of(pod: Pod) -> dict[str, set[str]]:
    """The Secrets that a pod mounts, and the keys it takes of each (none named: all)."""
    found: dict[str, set[str]] = {}
    for volume in pod.spec.get("volumes", []):
        for part in (volume, *volume.get("projected", {}).get("sources", [])):
            if secret := part.get("secret"):
                keys = {item["key"] for item in secret.get("items", [])}
                name = secret.get("secretName") or secret["name"]
                found[name] = found.get(name, set()) | keys
    return found


_LABELS = {
    "helm.sh/chart",
    *(f"app.kubernetes.io/{x}" for x in ("name", "instance", "version", "component")),
    *(f"app.kubernetes.io/{x}" for x in ("part-of", "managed-by")),
}
_STABLE = {f"app.kubernetes.io/{x}" for x in ("name", "instance", "component")}


def unlabelled(documents: list[Document]) -> list[str]:
    """The documents that lack a label of the common set, and which."""
    return [
        f"{document['kind']}/{document['metadata']['name']}: {label}"
        for document in documents
        for label in sorted(_LABELS - document["metadata"].get("labels", {}).keys())
    ]


def unstable(documents: list[Document]) -> list[str]:
    """What may never change in a release's life, yet holds labels that do, such as a version."""
    found = []
    for document in documents:
        spec = document.get("spec", {})
        selector = spec.get("selector", {})
        places = {"selector": selector.get("matchLabels", selector)}
        for claim in spec.get("volumeClaimTemplates", []):
            places["volumeClaimTemplates"] = claim["metadata"].get("labels", {})
        owner = f"{document['kind']}/{document['metadata']['name']}"
        found += [
            f"{owner}: {place}" for place, labels in places.items() if labels.keys() - _STABLE
        ]
    return found


# --- values and the README ----------------------------------------------------------------------

_COMMENT = re.compile(r"^\s*#")
_DESCRIPTION = re.compile(r"^\s*# -- \S")


def documented_values(chart: str) -> dict[str, Any]:
    """The values with a `# --` comment above, by dotted path, with their defaults."""
    text = (CHARTS / chart / "values.yaml").read_text("utf-8")
    lines = text.splitlines()
    return {
        path: yaml.safe_load(yaml.serialize(node))
        for path, line, node in _nodes(yaml.compose(text), ())
        if _is_described(lines, line)
    }


def undocumented_values(chart: str) -> list[str]:
    """The values that neither have a `# --` comment nor lie under one that has."""
    text = (CHARTS / chart / "values.yaml").read_text("utf-8")
    described = tuple(documented_values(chart))
    leaves = [
        path
        for path, _, node in _nodes(yaml.compose(text), ())
        if not isinstance(node, yaml.MappingNode) or not node.value
    ]
    return [leaf for leaf in leaves if not any(_is_within(leaf, d) for d in described)]


def readme_values(chart: str) -> dict[str, str]:
    """The table of the README's section "Values": what it says is the default of what."""
    part = _section(f"charts/{chart}/README.md", "Values")
    return {row[0]: row[1] for row in _rows(part)}


def written_default(value: Any) -> str:
    """How the README writes a default; what takes more than a few words is left to values.yaml."""
    text = json.dumps(value)
    is_short = not isinstance(value, dict | list) or not value or len(text) <= 40
    return text if is_short else "see values.yaml"


def _nodes(node: Any, path: tuple[str, ...]) -> Iterator[tuple[str, int, Any]]:
    for key, value in node.value:
        here = (*path, key.value)
        yield ".".join(here), key.start_mark.line, value
        if isinstance(value, yaml.MappingNode):
            yield from _nodes(value, here)


def _is_described(lines: list[str], line: int) -> bool:
    while line and _COMMENT.match(lines[line - 1]):
        line -= 1
        if _DESCRIPTION.match(lines[line]):
            return True
    return False


def _is_within(path: str, parent: str) -> bool:
    return path == parent or path.startswith(f"{parent}.")
