"""The node image where none can be pulled: Debian, kind's own files, Kubernetes, its images."""

import json
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path

from cluster import cache, gobuild, pins, stand_ins
from cluster.docker import LABEL, Build, Docker
from cluster.shell import run, step

HERE = Path(__file__).parent / "node"
BASE = f"minidata/node-base:{pins.KUBERNETES}"
LOCAL_PATH_IMAGE = f"docker.io/rancher/local-path-provisioner:{pins.LOCAL_PATH}"
KUBE_ROUTER_IMAGE = f"docker.io/cloudnativelabs/kube-router:{pins.KUBE_ROUTER}"
PACKET_FILTERS = ("kube-proxy", "kube-router")
"""Programs that have others write into the kernel's packet filter, and need these beside them."""
CTR = ("ctr", "--namespace", "k8s.io")
IMPORT = "images import --label=io.cri-containerd.pinned=pinned --all-platforms --no-unpack -"
AWAIT = "timeout 30 sh -c 'until ctr version >/dev/null 2>&1; do sleep 0.1; done'"
STOP = (
    "pkill -x containerd && rm -rf /run/containerd"
    " && timeout 30 sh -c 'while pgrep -x containerd >/dev/null; do sleep 0.1; done'"
)
WORKSHOP = "minidata-node-workshop"
"""Name of the container in which the node's images are put into place."""


def ensure(docker: Docker) -> str:
    """The name of a node image that the engine holds; it is made now if its recipe has changed."""
    debian = stand_ins.ensure_debian(docker)
    programs = gobuild.ensure(pins.NODE_PROGRAMS)
    programs["pause"] = gobuild.ensure_folder("pause", HERE / "pause")
    recipe = _recipe(debian, programs)
    if docker.recipe(pins.NODE_IMAGE) != recipe:
        with step(f"node image {pins.NODE_IMAGE}"):
            images = _control_plane_images(docker, debian, programs)
            base = _base(debian, programs)
            docker.build(base)
            _preload(docker, [*images, pins.DEBIAN_IMAGE], recipe)
    return pins.NODE_IMAGE


def _recipe(debian: str, programs: Mapping[str, Path]) -> str:
    places = [str(path.relative_to(cache.root())) for path in programs.values()]
    files = [Path(__file__), *(file for file in HERE.rglob("*") if file.is_file())]
    return cache.digest([debian, pins.KIND, *sorted(places)], files)


def _base(debian: str, programs: Mapping[str, Path]) -> Build:
    """The image before its own images are in it."""
    names = ("kubeadm", "kubelet", "kubectl")
    kubectl = gobuild.ensure([pins.KUBECTL])
    here = {f"programs/{name}": {**programs, **kubectl}[name] for name in names}
    files = _files()
    return Build(
        BASE,
        HERE / "Dockerfile",
        {"files": files, **here},
        {"BASE_IMAGE": pins.DEBIAN_IMAGE},
        (debian, cache.digest([pins.KIND])),
    )


def _files() -> Path:
    """All that is laid over Debian: kind's files with the modes its Dockerfile gives them, ours."""
    target = cache.root() / "contexts" / "node-files"
    cache.remove(target)
    shutil.copytree(gobuild.module_folder(pins.HOST_TOOLS[0]) / "images" / "base" / "files", target)
    for file in target.rglob("*"):
        runs = file.is_dir() or {"bin"} & set(file.relative_to(target).parts)
        file.chmod(0o755 if runs else 0o644)
    manifests = target / "kind" / "manifests"
    manifests.mkdir()
    storage = (HERE / "default-storage.yaml").read_text()
    storage = storage.replace("LOCAL_PATH_IMAGE", LOCAL_PATH_IMAGE)
    storage = storage.replace("HELPER_IMAGE", f"docker.io/library/{pins.DEBIAN_IMAGE}")
    (manifests / "default-storage.yaml").write_text(storage)
    policies = (HERE / "network-policies.yaml").read_text()
    policies = policies.replace("KUBE_ROUTER_IMAGE", KUBE_ROUTER_IMAGE)
    (manifests / "default-cni.yaml").write_text(policies)
    (target / "kind" / "version").write_text(pins.KUBERNETES)
    return target


def _control_plane_images(docker: Docker, debian: str, programs: Mapping[str, Path]) -> list[str]:
    """The images that kubeadm will ask for, and our manifests': one static program each."""
    version = ("--kubernetes-version", pins.KUBERNETES)
    asked = run([programs["kubeadm"], "config", "images", "list", *version]).split()
    asked += [LOCAL_PATH_IMAGE, KUBE_ROUTER_IMAGE, "registry.k8s.io/pause:3.10"]
    for image in asked:
        program = image.rsplit("/", 1)[-1].split(":")[0]
        if program in PACKET_FILTERS:
            context = {program: programs[program]}
            args = {"BASE_IMAGE": pins.DEBIAN_IMAGE, "PROGRAM": program}
            dockerfile = HERE / "packet-filter.Dockerfile"
            docker.build(Build(image, dockerfile, context, args, (debian,)))
        else:
            _import_program(docker, image, programs[program])
    return sorted(set(asked))


def _import_program(docker: Docker, image: str, program: Path) -> None:
    place = f"usr/local/bin/{program.name}"
    changes = [f"ENTRYPOINT {json.dumps(['/' + place])}", "ENV PATH=/usr/local/bin"]
    root = cache.root() / "contexts" / f"{program.name}.tar"
    root.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(root, "w") as tar:
        tar.add(program, place, filter=_plain)
        folder = tarfile.TarInfo("tmp")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(folder)
    docker.import_root(image, root, program.parent.name, changes)
    root.unlink()


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = "root"
    info.mode = 0o755
    return info


def _preload(docker: Docker, images: list[str], recipe: str) -> None:
    """Put images into the store of the node's own containerd, and keep the result.

    Not unpacked: that would need an overlay on an overlay, and kubelet does it at first use.
    """
    docker.call("rm", "--force", WORKSHOP)
    sleep = ("--entrypoint", "sleep", BASE, "infinity")
    docker.call("run", "--detach", "--privileged", "--network=none", f"--name={WORKSHOP}", *sleep)
    try:
        docker.call("exec", "--detach", WORKSHOP, "containerd")
        docker.call("exec", WORKSHOP, "sh", "-c", AWAIT)
        docker.pipe("save", *images, into=["exec", "-i", WORKSHOP, *CTR, *IMPORT.split()])
        docker.call("exec", WORKSHOP, "sh", "-c", STOP)
        lines = [
            'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]',
            "CMD []",
            f"LABEL {LABEL}={recipe}",
        ]
        changes = [f"--change={line}" for line in lines]
        docker.call("commit", *changes, WORKSHOP, pins.NODE_IMAGE)
    finally:
        docker.call("rm", "--force", WORKSHOP)
