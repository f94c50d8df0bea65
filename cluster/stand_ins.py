"""Images that stand in for published ones where no image registry answers.

Their recipes lie under tests/images/, each with a word on what it stands in for.
"""

from collections.abc import Mapping
from pathlib import Path

from cluster import cache, debian, gobuild, pins
from cluster.docker import Build, Docker
from cluster.shell import ClusterError, run, step

REPOSITORY = Path(__file__).parent.parent
RECIPES = REPOSITORY / "tests" / "images"
BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
"""Where this machine keeps the certificate authorities that it trusts."""


def ensure_debian(docker: Docker) -> str:
    """The root of all others; returns its recipe."""
    script = RECIPES / "debian" / "build"
    recipe = cache.digest([pins.DEBIAN_IMAGE], [script])
    if docker.recipe(pins.DEBIAN_IMAGE) != recipe:
        tar = cache.root() / "roots" / f"debian-{recipe}.tar"
        if not tar.exists():
            _make_debian(script, tar)
        docker.import_root(pins.DEBIAN_IMAGE, tar, recipe, ['CMD ["bash"]'])
    return recipe


def _make_debian(script: Path, tar: Path) -> None:
    debian.install({"mmdebstrap": ("mmdebstrap",)})
    with step("Debian's root file system"), cache.publish(tar) as draft:
        run([script, draft], log=cache.log_file("debian-root"))


def ensure_python(docker: Docker) -> str:
    """The base of our own images, and the one that they are built in; returns the latter's recipe.

    Inside a container the package index is trusted only with this machine's authorities. They are
    in the build image alone, of which the final images take nothing but the installed packages.
    """
    bases = {"BASE_IMAGE": pins.DEBIAN_IMAGE}
    python = _recipe("python", pins.PYTHON_IMAGE, bases, ensure_debian(docker))
    ensure(docker, python)
    bases = {"BASE_IMAGE": pins.PYTHON_IMAGE}
    bundle = {"ca-certificates.crt": _bundle()}
    build = _recipe("python-build", pins.PYTHON_BUILD_IMAGE, bases, python.recipe, bundle)
    ensure(docker, build)
    return build.recipe


def ensure_third_party(docker: Docker) -> None:
    """MinIO, PostgreSQL, Vault and OpenBao, as the charts name them."""
    debian, python = ensure_debian(docker), ensure_python(docker)
    bases = {"BASE_IMAGE": pins.DEBIAN_IMAGE}
    programs = gobuild.ensure([pins.MINIO_SERVER, pins.MINIO_CLIENT])
    ensure(docker, _recipe("minio", pins.MINIO_IMAGE, bases, debian, programs))
    ensure(docker, _recipe("postgres", pins.POSTGRES_IMAGE, bases, debian))
    bases = bases | {"BUILD_IMAGE": pins.PYTHON_BUILD_IMAGE}
    for image in (pins.VAULT_IMAGE, pins.OPENBAO_IMAGE):
        ensure(docker, _recipe("vault", image, bases, python))


def ensure(docker: Docker, build: Build) -> None:
    """Build an image unless the engine holds one of the same recipe."""
    if docker.recipe(build.image) != build.recipe:
        with step(f"image {build.image}"):
            docker.build(build)


def _recipe(
    name: str,
    image: str,
    args: Mapping[str, str],
    below: str,
    context: Mapping[str, Path] | None = None,
) -> Build:
    folder = RECIPES / name
    files = {str(file.relative_to(folder)): file for file in folder.iterdir() if file.is_file()}
    return Build(image, folder / "Dockerfile", {**files, **(context or {})}, args, (below,))


def _bundle() -> Path:
    for place in BUNDLES:
        if Path(place).is_file():
            return Path(place)
    raise ClusterError(
        "this machine's certificate authorities were not found",
        where=", ".join(BUNDLES),
        mend="Install the package ca-certificates.",
    )
