"""All images: built, or pulled, only if what they are made of has changed; then put into nodes."""

import os

from cluster import gobuild, pins, stand_ins
from cluster.docker import Build, Docker
from cluster.roads import Choice, Road
from cluster.shell import run, step

OURS = {
    pins.PIPELINE_IMAGE: "pipeline",
    pins.OPERATOR_IMAGE: "operator",
    pins.SETUP_IMAGE: "vault",
}
WORKSPACE = ("api", "operator", "pipeline", "vault")
KNOWS_THE_CONTRACT = {"operator", "pipeline"}
LABEL = "io.minidata.image"
"""Label in a node's image store: the engine's id of what was loaded under the name."""


def ensure(docker: Docker, choice: Choice) -> tuple[str, ...]:
    """The names of all images that the platform runs; each is there afterwards."""
    if choice.road is Road.ONLINE:
        pull(docker, choice, (pins.PYTHON_IMAGE, *pins.THIRD_PARTY_IMAGES))
        build_image = os.environ.get("MINIDATA_BUILD_IMAGE") or pins.PYTHON_IMAGE
        below = docker.recipe(build_image) or docker.identity(build_image)
    else:
        build_image, below = pins.PYTHON_BUILD_IMAGE, stand_ins.ensure_python(docker)
        stand_ins.ensure_third_party(docker)
    for image, package in OURS.items():
        stand_ins.ensure(docker, ours(image, package, build_image, below))
    return (*OURS, *pins.THIRD_PARTY_IMAGES)


def ours(image: str, package: str, build_image: str, below: str) -> Build:
    """One of our own images, from what its Dockerfile copies out of the repository."""
    root = stand_ins.REPOSITORY
    copied = ["pyproject.toml", "uv.lock", f"{package}/src"]
    copied += ["api/src"] if package in KNOWS_THE_CONTRACT else []
    copied += [f"{member}/pyproject.toml" for member in WORKSPACE]
    context = {name: root / name for name in copied}
    args = {"BASE_IMAGE": pins.PYTHON_IMAGE, "BUILD_IMAGE": build_image, "VERSION": pins.VERSION}
    return Build(image, root / package / "Dockerfile", context, args, (below,))


def pull(docker: Docker, choice: Choice, images: tuple[str, ...]) -> None:
    """Pull published images; one that we made to stand in for one does not count as there."""
    for image in images:
        if docker.has(image) and not docker.recipe(image):
            continue
        source = choice.source(image)
        with step(f"pull {source}"):
            docker.call("pull", source)
            docker.call("tag", source, image)


def load(docker: Docker, cluster: str, images: tuple[str, ...]) -> None:
    """Put images into every node of a cluster that does not hold them yet."""
    wanted = {full_name(image): docker.identity(image) for image in images}
    kind = str(gobuild.ensure_tools()["kind"])
    nodes = run([kind, "get", "nodes", "--name", cluster], env=docker.env).split()
    for node in nodes:
        there = _loaded(docker, node)
        missing = [name for name, identity in wanted.items() if there.get(name) != identity]
        if missing:
            with step(f"load {len(missing)} images into {node}"):
                _load(docker, node, {name: wanted[name] for name in missing})


def full_name(image: str) -> str:
    """The name of an image as containerd keeps it."""
    first = image.partition("/")[0]
    if "/" not in image:
        return f"docker.io/library/{image}"
    return image if "." in first or ":" in first or first == "localhost" else f"docker.io/{image}"


def _load(docker: Docker, node: str, images: dict[str, str]) -> None:
    ctr = ["exec", "--interactive", node, "ctr", "--namespace=k8s.io", "images"]
    docker.pipe("save", *images, into=[*ctr, "import", "--all-platforms", "--digests", "-"])
    for name, identity in images.items():
        docker.call(*ctr, "label", name, f"{LABEL}={identity}")


def _loaded(docker: Docker, node: str) -> dict[str, str]:
    """Name -> id of the images that were loaded into a node, as their labels tell."""
    listing = docker.call("exec", node, "ctr", "--namespace=k8s.io", "images", "list")
    found = {}
    for line in listing.splitlines()[1:]:
        _, _, identity = line.partition(f"{LABEL}=")
        if identity:
            found[line.split()[0]] = identity.split(",")[0].strip()
    return found
