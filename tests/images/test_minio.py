"""MinIO's image, by the contract that the chart relies on."""

import pytest

from cluster import pins
from tests.images.certificate import localhost

pytestmark = pytest.mark.cluster

USER = (1000, 1000)
SERVER = ("server", "/data", "--address", ":9000", "--certs-dir", "/certs")
URL = "https://localhost:9000"
LOGIN = ("tester", "correct horse battery staple")
KMS_KEY = "name:aGVyZSBhcmUgdGhpcnR5LXR3byBieXRlcyBvZiBrZXk="
CONFIG = f"""
MINIO_ROOT_USER={LOGIN[0]}
MINIO_ROOT_PASSWORD={LOGIN[1]}
MINIO_KMS_SECRET_KEY={KMS_KEY}
"""
USE = f"""
set -eu
mkdir -p /tmp/.mc/certs/CAs && cp /certs/CAs/ca.crt /tmp/.mc/certs/CAs/
printf '%s\\n' '{LOGIN[0]}' '{LOGIN[1]}' | mc alias set here {URL} >&2
mc mb here/sales >&2
mc encrypt set sse-s3 here/sales >&2
echo hello | mc pipe here/sales/raw/a.csv >&2
mc cat here/sales/raw/a.csv
mc stat --json --no-list here/sales/raw/a.csv | grep -o 'Server-Side-Encryption":"AES256'
"""


@pytest.fixture
def minio(image):
    return image(pins.MINIO_IMAGE)


@pytest.fixture
def options(make_volume):
    """The mounts of the chart's pod."""
    certificate, key, ca = localhost()
    certs = {"public.crt": certificate, "private.key": key, "CAs/ca.crt": ca}
    config = {"config.env": CONFIG.encode()}
    root = (0, USER[1])
    return (
        f"--volume={make_volume(USER)}:/data",
        f"--volume={make_volume(root, files=certs)}:/certs:ro",
        f"--volume={make_volume(root, files=config)}:/config:ro",
        "--env=MINIO_CONFIG_ENV_FILE=/config/config.env",
        "--user=1000:1000",
    )


def test_keeps_objects_encrypted_behind_tls(minio, options):
    with minio.serve(*SERVER, options=options) as server:
        healthy = ("curl", "--fail", "--silent", "--cacert", "/certs/CAs/ca.crt")
        server.wait_for(*healthy, f"{URL}/minio/health/cluster")
        assert server.do("sh", "-c", USE) == 'hello\nServer-Side-Encryption":"AES256\n'
        plain = server.do("curl", "--silent", URL.replace("https", "http"))
        assert "HTTP request to an HTTPS server" in plain
        assert LOGIN[1] not in server.logs() + server.do("cat", "/proc/1/environ")
        assert server.stop() == 0


@pytest.mark.parametrize("name", ["mc", "mcli"])
def test_has_the_client_by_both_names(minio, name):
    told = minio.run("--version", options=(f"--entrypoint={name}",)).out
    assert told.startswith(f"{name} version")


def test_keeps_the_settings_of_the_client_where_it_may_write(minio):
    assert {"HOME=/tmp", "MC_CONFIG_DIR=/tmp/.mc"} <= set(minio.inspect()["Config"]["Env"])
