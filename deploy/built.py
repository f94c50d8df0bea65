"""What was built here: an image's name stays, whatever it was made from."""

from cluster import engine, kind
from cluster.docker import Docker
from deploy.place import Place


def identity(place: Place, image: str) -> str:
    """The engine's id of an image that `make load` brings into the cluster; empty for another's."""
    if place.context != f"kind-{kind.name()}":
        return ""
    found = engine.find()
    return Docker(found).identity(image) if found and Docker(found).has(image) else ""
