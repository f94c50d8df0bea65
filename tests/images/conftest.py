"""The images that `make images` left in the engine."""

import pytest

from tests.images.containers import Image, remove_leftovers, volume


@pytest.fixture(scope="session")
def docker():
    """The engine that the images are in, free of what earlier runs left."""
    from cluster import engine
    from cluster.docker import Docker

    made = Docker(engine.ensure())
    remove_leftovers(made)
    return made


@pytest.fixture(scope="session")
def image(docker):
    """Finds an image by its name."""

    def find(name):
        if not docker.has(name):
            pytest.fail(f"the engine has no image {name}: run `make images`", pytrace=False)
        return Image(docker, name)

    return find


@pytest.fixture
def make_volume(docker):
    """Makes volumes that are gone after the test; see `containers.volume`."""
    from contextlib import ExitStack

    with ExitStack() as made:
        yield lambda *args, **kwargs: made.enter_context(volume(docker, *args, **kwargs))
