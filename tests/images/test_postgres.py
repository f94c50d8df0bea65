"""PostgreSQL's image, by the contract that the chart relies on."""

import pytest

from cluster import pins
from tests.docs.pages import ROOT
from tests.images.certificate import localhost

pytestmark = pytest.mark.cluster

POSTGRES = (999, 999)
PGDATA = "/var/lib/postgresql/18/docker"
SERVER = (
    *("-c", "hba_file=/etc/postgresql/pg_hba.conf"),
    *("-c", "ssl=on", "-c", "ssl_cert_file=/tls/tls.crt", "-c", "ssl_key_file=/tls/tls.key"),
    *("-c", "ssl_min_protocol_version=TLSv1.2"),
)
PASSWORD = 'it\'s a "secret" $HOME \\'
SETTINGS = {
    "POSTGRES_PASSWORD_FILE": "/secret/password",
    "POSTGRES_USER": "root of all",
    "POSTGRES_DB": "sales",
    "POSTGRES_INITDB_ARGS": "--auth-local=scram-sha-256 --auth-host=scram-sha-256",
}
TOLD = "SELECT who, told.ssl, version FROM told, pg_stat_ssl WHERE pid = pg_backend_pid()"
OVER_TLS = "host=localhost dbname=sales sslmode=verify-full sslrootcert=/tls/ca.crt"
SCRIPTS = {
    "1-table.sql": b"CREATE TABLE told (who text, ssl text);",
    "2-fill.sh": b"""psql --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<< \\
      "INSERT INTO told SELECT current_user, current_setting('ssl')" """,
    "3-ignored.txt": b"no statement",
}


@pytest.fixture
def postgres(image):
    return image(pins.POSTGRES_IMAGE)


@pytest.fixture
def folders(make_volume):
    """The mounts of the chart's pod."""
    certificate, key, ca = localhost()
    # As Kubernetes mounts a Secret: root's, readable for the pod's group.
    tls = {"tls.crt": certificate, "tls.key": key, "ca.crt": ca}
    secret, hba = {"password": PASSWORD.encode()}, ROOT / "charts/postgres/files/pg_hba.conf"
    root = (0, POSTGRES[1])
    return (
        f"--volume={make_volume(POSTGRES)}:/var/lib/postgresql",
        f"--volume={make_volume(root, files=tls)}:/tls:ro",
        f"--volume={make_volume(root, files=secret)}:/secret:ro",
        f"--volume={make_volume(root, files={'pg_hba.conf': hba.read_bytes()})}:/etc/postgresql:ro",
        f"--volume={make_volume(root, files=SCRIPTS)}:/docker-entrypoint-initdb.d:ro",
        "--tmpfs=/var/run/postgresql:uid=999,gid=999",
        "--user=999:999",
    )


def ask(server, query, connection=OVER_TLS, password=PASSWORD):
    command = ("psql", "--no-psqlrc", "--tuples-only", "--no-align", f"--command={query}")
    login = {"PGUSER": SETTINGS["POSTGRES_USER"], "PGPASSWORD": password}
    return server.attempt(*command, connection, env=login)


def wait_until_up(server):
    server.wait_for("pg_isready", "--quiet", "--host=localhost")


def test_stands_where_the_chart_mounts(postgres):
    config = postgres.inspect()["Config"]
    assert config["StopSignal"] == "SIGINT"
    assert config["Volumes"] == {"/var/lib/postgresql": {}}
    assert f"PGDATA={PGDATA}" in config["Env"]
    assert postgres.run("id", "--user", "postgres").out == "999\n"
    assert postgres.run("id", "--group", "postgres").out == "999\n"


@pytest.mark.slow
def test_makes_a_database_serves_it_over_tls_only_and_finds_it_again(postgres, folders):
    with postgres.serve("postgres", *SERVER, options=folders, env=SETTINGS) as server:
        wait_until_up(server)
        told = ask(server, TOLD)
        assert told.out == "root of all|on|TLSv1.3\n", told.err
        plain = ask(server, "SELECT 1", "host=localhost dbname=sales sslmode=disable")
        assert "no encryption" in plain.err
        stranger = ask(server, "SELECT 1", password="guess")
        assert "password authentication failed" in stranger.err
        assert "3-ignored.txt" in server.logs()
        assert PASSWORD not in server.logs() + server.do("cat", "/proc/1/environ")
        assert server.stop() == 0
    with postgres.serve("postgres", *SERVER, options=folders) as server:
        wait_until_up(server)
        assert ask(server, "SELECT count(*) FROM told").out == "1\n"


def test_listens_everywhere_and_starts_as_root(postgres):
    data = ("--tmpfs=/var/lib/postgresql", "--tmpfs=/var/run/postgresql")
    rights = tuple(f"--cap-add={name}" for name in ("CHOWN", "SETUID", "SETGID", "FOWNER"))
    trusting = {"POSTGRES_HOST_AUTH_METHOD": "trust"}
    with postgres.serve(options=(*data, *rights), env=trusting) as server:
        wait_until_up(server)
        ask_locally = ("psql", "--username=postgres", "--tuples-only", "--no-align", "--command")
        assert server.do(*ask_locally, "SHOW listen_addresses") == "*\n"
        assert server.do("stat", "--format=%u %a", PGDATA) == "999 700\n"
        assert "Uid:\t999\t999\t999\t999" in server.do("cat", "/proc/1/status")


@pytest.mark.parametrize(
    ("options", "env", "complaint"),
    [
        ((), {}, "POSTGRES_PASSWORD"),
        ((), {"POSTGRES_PASSWORD": "a", "POSTGRES_PASSWORD_FILE": "/b"}, "both"),
        (
            ("--tmpfs=/var/lib/postgresql/data",),
            {"POSTGRES_PASSWORD": "a"},
            "/var/lib/postgresql/data",
        ),
    ],
    ids=["no password", "two passwords", "a volume where it was before 18"],
)
def test_refuses(postgres, options, env, complaint):
    data = ("--tmpfs=/var/lib/postgresql:uid=999", "--tmpfs=/var/run/postgresql", "--user=999:999")
    done = postgres.run(options=(*data, *options), env=env)
    assert (done.code, complaint in done.err) == (1, True), done.err


def test_has_no_private_key_of_its_own(postgres):
    marker = b"PRIVATE KEY-----\nM"
    assert [member.name for member, content in postgres.members() if marker in content] == []
