"""Who opens the server, and what is said when nobody can."""

import base64
import contextlib
import itertools
import secrets
import socket
import socketserver
import threading

import pytest

from sales_vault.server import Server
from sales_vault.targets import gate
from sales_vault.wanted import read_plan
from tests.support.services import make_certificates
from tests.vault.plans import example, without_database
from tests.vault.support import KEYS, World

pytestmark = pytest.mark.integration


@pytest.fixture
def plan():
    return without_database(example())


@pytest.fixture
def other_authority(tmp_path):
    """A CA that signed nothing here."""
    folder = tmp_path / "other"
    folder.mkdir()
    return make_certificates(folder).authority


def _base64(raw):
    return base64.b64encode(raw).decode()


def _seal(world):
    with world.vault.client() as client:
        client.token = Server(client).generate_root(world.api.kept("keys").split())
        client.sys.seal()


class TestShamir:
    def test_sealed_server_is_unsealed_with_the_keys(self, world, plan):
        """A server that was restarted is opened, and needs nothing else."""
        assert world.run("setup", plan).code == 0
        _seal(world)
        again = world.run("setup", plan)
        assert (again.code, again.out) == (0, "nothing to change\n")
        assert '"event": "unsealed"' in again.err

    def test_keys_that_a_human_took_away(self, world, plan):
        """Closed without keys, a human is told what to do; opened by hand, all goes on."""
        assert world.run("setup", plan, SALES_VAULT_MODE="shamirJob").code == 0
        keys = world.api.kept("keys").split()
        _seal(world)
        del world.api.secrets[KEYS]
        closed = world.run("setup", plan, SALES_VAULT_MODE="shamirJob")
        assert closed.code == 78
        assert "vault operator unseal" in closed.last_words
        with world.vault.client() as client:
            for key in keys[:3]:
                Server(client).unseal(key)
        opened = world.run("setup", plan, SALES_VAULT_MODE="shamirJob")
        assert (opened.code, opened.out) == (0, "nothing to change\n")

    def test_keys_of_another_server(self, world, plan):
        assert world.run("setup", plan).code == 0
        _seal(world)
        strange = b"\n".join(secrets.token_hex(33).encode() for _ in range(3))
        world.api.secrets[KEYS]["keys"] = _base64(strange)
        ended = world.run("setup", plan)
        assert ended.code == 78
        assert "its keys do not open this server" in ended.last_words

    def test_keys_of_a_server_that_lost_its_data(self, world, plan):
        """Keys are never overwritten: the volume that they are for may come back."""
        world.api.secrets[KEYS] = {"keys": _base64(b"one two three")}
        ended = world.run("setup", plan)
        assert ended.code == 78
        assert "it has keys, but the server has no data" in ended.last_words
        assert world.api.kept("keys") == "one two three"


class TestSecretForTheKeys:
    @pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
    def test_right_that_is_missing_is_found_before_the_server_is_begun(self, world, plan, method):
        """Keys that could not be kept are never made."""
        world.api.refused = {method}
        ended = world.run("setup", plan)
        assert ended.code == 78
        assert f"Kubernetes refused {method} (403)" in ended.last_words
        with world.vault.client() as client:
            assert not Server(client).seal().initialised

    def test_api_server_in_trouble(self, world, plan):
        world.api.broken = True
        assert world.run("setup", plan).code == 75

    def test_keys_are_not_lost_for_an_api_server_that_fails_for_a_moment(self, world, plan):
        """They exist nowhere else: the run does not end before they are kept."""
        world.api.failures = 3
        assert world.run("setup", plan).code == 0
        assert len(world.api.kept("keys").split()) == 5

    def test_keys_that_could_not_be_kept_at_all(self, world, plan, monkeypatch):
        """What to do then is said; nothing is in the server yet."""
        monkeypatch.setattr("sales_vault.opening._KEEP_SECONDS", 0)
        world.api.failures = 1000
        ended = world.run("setup", plan)
        assert ended.code == 78
        assert "Delete the server's volume" in ended.last_words

    def test_pod_without_access(self, world, plan, tmp_path):
        ended = world.run("setup", plan, SALES_VAULT_ACCOUNT_DIR=str(tmp_path / "nowhere"))
        assert ended.code == 78
        assert "this pod has no access to Kubernetes' API" in ended.last_words

    def test_api_server_of_a_stranger(self, world, plan, other_authority):
        (world.folder / "account/ca.crt").write_bytes(other_authority.read_bytes())
        ended = world.run("setup", plan)
        assert ended.code == 78
        assert "certificate is not trusted" in ended.last_words


class TestNoWayIn:
    def test_without_root_token_and_keys(self, world, plan):
        """Nothing at hand: a human is told which command makes a root token, and where it goes."""
        assert world.run("setup", plan).code == 0
        with world.root() as root:
            root.delete("auth/kubernetes/role/vault-setup")
        keys = world.api.secrets[KEYS].pop("keys")
        ended = world.run("setup", plan)
        assert ended.code == 78
        assert "vault operator generate-root" in ended.last_words
        with world.vault.client() as client:
            token = Server(client).generate_root(base64.b64decode(keys).decode().split())
        world.api.secrets[KEYS]["root-token"] = _base64(token.encode())
        assert world.run("setup", plan).out == "1 steps done\n"
        world.api.secrets[KEYS]["keys"] = keys
        assert world.api.kept("root-token") == ""
        assert world.roots() == []

    def test_keys_order_a_root_token(self, world, plan):
        """With the keys at hand the role is made again, and the token ended."""
        assert world.run("setup", plan).code == 0
        with world.root() as root:
            root.delete("auth/kubernetes/role/vault-setup")
        assert world.run("setup", plan).out == "1 steps done\n"
        assert world.roots() == []
        assert world.api.kept("root-token") == ""

    def test_role_that_is_not_let_in_yet(self, world, plan):
        """The root token is kept until the role works: the next run needs it."""
        world.mount("default")
        ended = world.run("setup", plan)
        assert ended.code == 75
        assert world.api.kept("root-token")
        assert world.run("setup", plan).code == 75
        world.mount()
        assert world.run("setup", plan).code == 0
        assert world.api.kept("root-token") == ""
        assert world.roots() == []

    def test_check_of_a_sealed_server(self, world, plan):
        """That may pass by itself."""
        assert world.run("setup", plan).code == 0
        _seal(world)
        assert world.run("check", plan).code == 75

    def test_check_of_a_server_without_the_role(self, world, plan):
        assert world.run("setup", plan).code == 0
        with world.root() as root:
            root.delete("auth/kubernetes/role/vault-setup")
        ended = world.run("check", plan)
        assert ended.code == 78
        assert "sales-vault setup" in ended.last_words


def test_server_that_forbids_to_order_root_tokens(tmp_path, plan):
    """As both servers do by default: then the keys alone are no way in."""
    with World.make(tmp_path, listener={"disable_unauthed_generate_root_endpoints": True}) as world:
        assert world.run("setup", plan).code == 0
        (world.folder / "token").write_text(world.kubernetes.issue("default"))
        ended = world.run("setup", plan)
        assert ended.code == 78
        assert "enable_unauthenticated_access" in ended.last_words


def test_openbao_that_takes_no_audit_device_by_request(tmp_path, plan):
    """It says where to declare it; all the rest of the gate is done, and no root token is left."""
    with World.make(tmp_path, configuration={"unsafe_allow_api_audit_creation": False}) as world:
        ended = world.run("setup", plan)
        assert ended.code == 78
        assert "declare it there under this name" in ended.last_words
        assert world.roots() == []


class TestAutoUnseal:
    @pytest.fixture
    def seal(self, tmp_path):
        """A seal whose key is a file; a chart's would ask a KMS."""
        path = tmp_path / "seal.key"
        path.write_text(secrets.token_hex(32))
        return {"static": {"current_key_id": "one", "current_key": f"file://{path}"}}

    def test_keeps_recovery_keys(self, tmp_path, plan, seal):
        """The server opens itself; what is kept are the keys that order root tokens."""
        folder = tmp_path / "world"
        folder.mkdir()
        with World.make(folder, "autoUnseal", {"seal": seal}) as world:
            ended = world.run("setup", plan)
            assert ended.code == 0, ended.err
            assert len(world.api.kept("keys").split()) == 5
            assert world.roots() == []
            assert world.run("setup", plan).out == "nothing to change\n"

    def test_server_that_initialises_itself(self, tmp_path, plan, seal):
        """There is no Secret; the server's own configuration lets the setup role in."""
        folder = tmp_path / "world"
        folder.mkdir()

        def configuration(world):
            """What a chart would write: the gate of the plan, as requests to be made at once."""
            requests = [
                {
                    target.path.replace("/", "-"): {
                        "operation": "update",
                        "path": target.path,
                        "data": {**target.document, **target.unread},
                    }
                }
                for target in gate(read_plan(world.write(plan)))
            ]
            return {"seal": seal, "initialize": [{"gate": {"request": requests}}]}

        with World.make(folder, "selfInit", configuration) as world:
            ended = world.run("setup", plan)
            assert ended.code == 0, ended.err
            assert world.api.secrets == {}
            assert world.run("setup", plan).out == "nothing to change\n"

    def test_server_that_does_not_initialise_itself(self, world, plan):
        """It is not ours to do: the run says so once it has waited."""
        ended = world.run("setup", plan, SALES_VAULT_MODE="selfInit", SALES_VAULT_WAIT_SECONDS="0")
        assert ended.code == 75
        assert "does not unseal itself" in ended.last_words
        assert world.api.secrets == {}


def test_pod_without_token(world, plan):
    ended = world.run("setup", plan, SALES_VAULT_TOKEN_FILE="/nowhere/token")
    assert ended.code == 78
    assert "SALES_VAULT_TOKEN_FILE" in ended.last_words


def test_server_that_does_not_answer(world, plan):
    ended = world.run(
        "setup", plan, SALES_VAULT_ADDR="https://127.0.0.1:1", SALES_VAULT_WAIT_SECONDS="0"
    )
    assert ended.code == 75
    assert ended.last_words.startswith("sales-vault: https://127.0.0.1:1: Vault cannot be reached")


def test_server_that_is_not_vault(world, plan):
    stranger = f"https://127.0.0.1:{world.api.port}"
    ended = world.run("setup", plan, SALES_VAULT_ADDR=stranger, SALES_VAULT_WAIT_SECONDS="0")
    assert ended.code == 78
    assert "what answers is not Vault" in ended.last_words


def test_vault_that_comes_to_where_something_else_answered(world, plan):
    """As at a Service's address before the node knows of it, where a proxy takes what leaves."""
    vault = int(world.vault.address.rpartition(":")[2])
    with _leading_to([world.api.port, world.api.port], vault) as (port, connections):
        ended = world.run("setup", plan, SALES_VAULT_ADDR=f"https://127.0.0.1:{port}")
    assert ended.code == 0, ended.err
    assert next(connections) > 2


@contextlib.contextmanager
def _leading_to(first, then):
    """A port whose first connections lead to these ports, all later ones to another."""
    connections = itertools.count()

    class Relay(socketserver.BaseRequestHandler):
        def handle(self):
            nth = next(connections)
            port = first[nth] if nth < len(first) else then
            with socket.create_connection(("127.0.0.1", port)) as there:
                back = threading.Thread(target=self.carry, args=(there, self.request))
                back.start()
                self.carry(self.request, there)
                back.join()

        def carry(self, source, sink):
            with contextlib.suppress(OSError):
                while data := source.recv(65536):
                    sink.sendall(data)
            with contextlib.suppress(OSError):
                sink.shutdown(socket.SHUT_WR)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Relay) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield server.server_address[1], connections
        finally:
            server.shutdown()


def test_server_of_a_stranger_is_told_nothing(world, plan, other_authority):
    stranger = {"SALES_VAULT_CA_FILE": str(other_authority), "SALES_VAULT_WAIT_SECONDS": "0"}
    ended = world.run("setup", plan, **stranger)
    assert ended.code == 78
    assert "the certificate is not trusted" in ended.last_words
    assert world.api.secrets == {}
