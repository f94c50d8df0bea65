"""The images that others are built on, published or stand-ins."""

import pytest

from cluster import pins

pytestmark = pytest.mark.cluster


def test_python_is_found_by_both_names_and_makes_virtual_environments(image):
    python = image(pins.PYTHON_IMAGE)
    script = "python --version; python3 --version; python -m venv /venv; /venv/bin/pip --version"
    done = python.run("sh", "-ec", script, options=("--tmpfs=/venv:exec",))
    first, second, pip = done.out.splitlines()
    assert first == second
    assert first.startswith("Python 3.13.")
    assert pip.endswith("(python 3.13)")


def test_debian_can_install_packages_and_has_nothing_lying_about(docker, image):
    if not docker.has(pins.DEBIAN_IMAGE):
        pytest.skip("only stand-ins are built on it, and none was needed")
    debian = image(pins.DEBIAN_IMAGE)
    names = {member.name for member, _ in debian.members() if member.isfile()}
    assert {"usr/bin/apt-get", "usr/sbin/useradd"} <= names
    rubbish = ("var/lib/apt/lists/", "var/cache/apt/", "usr/share/man/", "usr/share/locale/")
    left = [name for name in names if name.startswith(rubbish) and not name.endswith("/lock")]
    assert left == []
    assert "trixie" in debian.run("cat", "/etc/os-release").out
