"""The door to the secrets: files, faults in them, and what an error may never carry."""

import base64
import contextlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from pydantic import SecretBytes, ValidationError

from sales_pipeline import credentials as door
from sales_pipeline.credential_problems import MIN_KEY_BYTES
from sales_pipeline.credentials import (
    PseudonymKey,
    load_credentials,
    load_database_login,
    load_object_store_login,
)
from sales_pipeline.errors import ConfigurationError, PipelineError, TemporaryError
from sales_pipeline.settings import Settings

CANARY = "canary-7f3a"
KEY = bytes(range(MIN_KEY_BYTES))
FILES = {
    "database": {"username": "etl", "password": f"{CANARY}-db"},
    "object-store": {"access_key": "AK", "secret_key": f"{CANARY}-s3"},
    "pseudonym": {"key": base64.b64encode(KEY).decode(), "key_version": 1},
}


@pytest.fixture
def folder(tmp_path):
    """A folder as the Vault agent leaves it."""
    for name, content in FILES.items():
        (tmp_path / name).write_text(json.dumps(content))
    return tmp_path


@pytest.fixture
def token_file(tmp_path):
    """The pod's token, which no error may show."""
    path = tmp_path / "token"
    path.write_text(CANARY)
    return path


def _load(folder: Path):
    return load_credentials(Settings(credentials_dir=folder))


def _fault(settings: Settings, kind: type[PipelineError] = ConfigurationError) -> PipelineError:
    """The error of a load that must fail, searched for the canary and for causes left in reach."""
    with pytest.raises(kind) as caught:
        load_credentials(settings)
    error = caught.value
    assert error.__context__ is None
    assert error.__cause__ is None
    assert CANARY not in f"{error} {error!r} {vars(error)}"
    return error


def _fault_in(folder: Path, name: str, content: object) -> PipelineError:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    (folder / name).write_bytes(raw)
    error = _fault(Settings(credentials_dir=folder))
    assert error.where == str(folder / name)
    return error


# --- files that are right -----------------------------------------------------------------------


def test_three_files_become_credentials(folder):
    """Each of the three files fills its own model, the key already decoded."""
    credentials = _load(folder)
    assert credentials.database.username == "etl"
    assert credentials.database.password.get_secret_value() == f"{CANARY}-db"
    assert credentials.object_store.access_key.get_secret_value() == "AK"
    assert credentials.object_store.secret_key.get_secret_value() == f"{CANARY}-s3"
    assert credentials.pseudonym.key.get_secret_value() == KEY
    assert credentials.pseudonym.key_version == 1


def _mount(folder: Path, name: str, fields: dict[str, object]) -> Path:
    """A Secret as kubelet mounts it: each field a link into a folder that a link makes current."""
    volume = folder / name
    volume.unlink(missing_ok=True)
    (volume / "..2026_11_24").mkdir(parents=True)
    (volume / "..data").symlink_to("..2026_11_24")
    for field, value in fields.items():
        (volume / "..2026_11_24" / field).write_text(f"{value}\n")
        (volume / field).symlink_to(Path("..data") / field)
    return volume


def test_a_mounted_secret_serves_as_well_as_a_document(folder):
    """A folder with a file per field tells the same, without the end of its lines."""
    from_documents = _load(folder)
    for name, fields in FILES.items():
        _mount(folder, name, fields)
    assert _load(folder) == from_documents


def test_a_command_that_needs_one_secret_reads_no_other(folder):
    """Whoever migrates has no login to the object store, whoever delivers has none to the base."""
    (folder / "pseudonym").unlink()
    assert load_object_store_login(Settings(credentials_dir=folder)).access_key
    (folder / "object-store").unlink()
    assert load_database_login(Settings(credentials_dir=folder)).username == "etl"


def test_a_mounted_secret_without_a_field_is_named(folder):
    """The folder and the field are told, no value is."""
    volume = _mount(folder, "database", {"password": CANARY})
    error = _fault(Settings(credentials_dir=folder))
    assert error.where == str(volume)
    assert "field username is missing" in str(error)


def test_a_field_that_is_no_text_is_named(folder):
    """Its file is told, its content is not."""
    volume = _mount(folder, "database", {"username": "etl"})
    (volume / "password").write_bytes(b"\xff" + CANARY.encode())
    error = _fault(Settings(credentials_dir=folder))
    assert error.where == str(volume / "password")
    assert error.code == "credentials.invalid"


def test_nothing_secret_is_shown(folder):
    """Neither repr nor str nor a dump of the models tells a secret."""
    loaded = _load(folder)
    parts = (loaded.database, loaded.object_store, loaded.pseudonym)
    shown = f"{loaded} {loaded!r} " + " ".join(f"{p} {p!r} {p.model_dump_json()}" for p in parts)
    assert "etl" in shown
    assert CANARY not in shown
    assert FILES["pseudonym"]["key"] not in shown
    assert repr(KEY)[2:-1] not in shown


def test_models_are_frozen(folder):
    """What was loaded cannot be changed afterwards."""
    with pytest.raises(ValidationError, match="frozen"):
        _load(folder).database.username = "other"


def test_credentials_can_be_compared(folder):
    """Two loads of the same files are equal, so that a rotation can be noticed."""
    assert _load(folder) == _load(folder)


def test_rotated_file_is_seen_by_the_next_load(folder):
    """Files are read at each load, never remembered."""
    _load(folder)
    (folder / "database").write_text('{"username": "etl2", "password": "x"}')
    assert _load(folder).database.username == "etl2"


@pytest.mark.parametrize("version", ["1", 1])
def test_key_version_may_be_text(folder, version):
    """Vault's command line stores numbers as text; both are taken."""
    (folder / "pseudonym").write_text(json.dumps({**FILES["pseudonym"], "key_version": version}))
    assert _load(folder).pseudonym.key_version == 1


def test_key_may_be_wrapped(folder):
    """Line ends, as base64 tools put them into long keys, are not part of the key."""
    wrapped = base64.encodebytes(KEY * 3).decode()
    assert "\n" in wrapped.strip()
    (folder / "pseudonym").write_text(json.dumps({"key": wrapped, "key_version": 1}))
    assert _load(folder).pseudonym.key.get_secret_value() == KEY * 3


def test_fields_for_other_readers_are_passed_over(folder):
    """A secret may hold more than the pipeline needs."""
    (folder / "database").write_text(json.dumps({**FILES["database"], "note": "x"}))
    assert _load(folder).database.username == "etl"


def test_key_in_hand_needs_no_base64():
    """Code that holds a key already gives its bytes; the length still counts."""
    assert PseudonymKey(key=SecretBytes(KEY), key_version=2).key.get_secret_value() == KEY
    with pytest.raises(ValidationError, match="short key"):
        PseudonymKey(key=SecretBytes(KEY[1:]), key_version=2)


# --- files that are wrong -----------------------------------------------------------------------


def test_missing_folder_is_told(tmp_path):
    """A folder that nobody mounted is named, with both ways to mend it."""
    error = _fault(Settings(credentials_dir=tmp_path / "absent"))
    assert error.code == "credentials.missing"
    assert "folder" in error.what
    assert error.where == str(tmp_path / "absent" / "database")
    assert "SALES_VAULT_ADDR" in error.mend


@pytest.mark.parametrize("name", FILES)
def test_missing_file_is_named(folder, name):
    """Each of the three files is needed, and the absent one is named."""
    (folder / name).unlink()
    error = _fault(Settings(credentials_dir=folder))
    assert (error.code, error.where) == ("credentials.missing", str(folder / name))
    assert "folder" not in error.what


def test_unreadable_file_is_told_from_a_missing_one(folder):
    """Something that is there but cannot be read, here a folder, is not called missing."""
    (_mount(folder, "database", {"username": "etl"}) / "password").mkdir()
    assert _fault(Settings(credentials_dir=folder)).code == "credentials.unreadable"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_file_without_right_to_read_is_unreadable(folder):
    """A file of another user is not called missing either."""
    (folder / "database").chmod(0)
    assert _fault(Settings(credentials_dir=folder)).code == "credentials.unreadable"


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="empty"),
        pytest.param(f'{{"password": "{CANARY}"'.encode(), id="cut off"),
        pytest.param(f"password={CANARY}".encode(), id="environment file"),
        pytest.param(f'"{CANARY}\xff'.encode("latin-1"), id="not UTF-8"),
        pytest.param(b"[" * 100_000, id="too deep"),
    ],
)
def test_what_is_not_json_is_not_quoted(folder, raw):
    """Text of any other form ends in one line that names the file only."""
    error = _fault_in(folder, "database", raw)
    assert (error.code, error.what) == ("credentials.invalid", "the file is not JSON")


@pytest.mark.parametrize("content", [None, [CANARY], CANARY, 5])
def test_json_that_is_no_object_is_not_quoted(folder, content):
    """A JSON value of another kind is refused without being shown."""
    error = _fault_in(folder, "database", content)
    assert error.what == "the content is not a JSON object"


@pytest.mark.parametrize(
    ("name", "change", "what"),
    [
        ("database", {"username": None}, "field username is not text"),
        ("database", {"username": ""}, "field username is empty"),
        ("database", {"password": ""}, "field password is empty"),
        ("database", {"password": {"is": CANARY}}, "field password is not text"),
        ("object-store", {"access_key": ""}, "field access_key is empty"),
        ("object-store", {"secret_key": ""}, "field secret_key is empty"),
        ("object-store", {"secret_key": [CANARY]}, "field secret_key is not text"),
        ("pseudonym", {"key": f"{CANARY}!"}, "field key is not base64"),
        ("pseudonym", {"key": f"{CANARY}é"}, "field key is not base64"),
        ("pseudonym", {"key": 5}, "field key is not text"),
        ("pseudonym", {"key_version": 0}, "field key_version is less than 1"),
        ("pseudonym", {"key_version": None}, "field key_version is not a whole number"),
        ("pseudonym", {"key_version": CANARY}, "field key_version is not a whole number"),
        ("pseudonym", {"key_version": 1.5}, "field key_version is not a whole number"),
    ],
)
def test_unusable_field_is_named_not_quoted(folder, name, change, what):
    """A field's fault is told in the pipeline's own words."""
    error = _fault_in(folder, name, {**FILES[name], **change})
    assert (error.code, error.what) == ("credentials.invalid", what)


@pytest.mark.parametrize(
    ("name", "field"), [(name, field) for name, content in FILES.items() for field in content]
)
def test_missing_field_is_named(folder, name, field):
    """Each field of each file is needed, and the mending names the whole shape."""
    error = _fault_in(folder, name, {k: v for k, v in FILES[name].items() if k != field})
    assert error.what == f"field {field} is missing"
    assert all(key in error.mend for key in FILES[name])


@pytest.mark.parametrize("size", [0, 16, MIN_KEY_BYTES - 1])
def test_short_key_is_refused(folder, size):
    """A key below 32 bytes could be guessed; one is refused however long its base64 looks."""
    short = {"key": base64.b64encode(KEY[:size]).decode(), "key_version": 1}
    error = _fault_in(folder, "pseudonym", short)
    assert error.what == "field key has fewer than 32 bytes once decoded"
    assert "openssl rand -base64 32" in error.mend


def test_all_faults_are_told_at_once(folder):
    """Two faults in one file cost one attempt, not two."""
    error = _fault_in(folder, "database", {})
    assert error.what == "field username is missing; field password is missing"


# --- the settings of the road to Vault ----------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "",
        "vault:8200",
        "vault.example",
        "ftp://vault.example",
        "http://vault.example:8200",
        "http://127.0.0.1.example:8200",
        "https://",
        "https://vault.example:port",
        "https://[vault",
        "https://*",
        "https://vault..example",
        f"https://{'a' * 64}.example",
        f"https://root:{CANARY}@vault.example",
    ],
)
def test_unfit_address_is_refused(token_file, address):
    """No login in the address, no plain HTTP over a network; and the address is not quoted."""
    error = _fault(Settings(vault_addr=address, vault_token_file=token_file))
    assert (error.code, error.where) == ("vault.address", "SALES_VAULT_ADDR")


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_unfit_ca_file_is_refused(tmp_path, content):
    """A CA file that is absent or holds nothing never means less verification."""
    ca_file = tmp_path / "ca.pem"
    if content is not None:
        ca_file.write_text(content)
    error = _fault(Settings(vault_addr="https://vault.example", vault_ca_file=ca_file))
    assert (error.code, error.where) == ("vault.certificate", str(ca_file))


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_unfit_token_file_is_refused(tmp_path, content):
    """Without the pod's token there is nothing to log in with."""
    token_file = tmp_path / "token"
    if content is not None:
        token_file.write_bytes(content)
    error = _fault(Settings(vault_addr="https://vault.example", vault_token_file=token_file))
    assert (error.code, error.where) == ("vault.token", str(token_file))


# --- answers that a healthy Vault does not give (a healthy one: tests/integration/test_vault.py) -


@contextlib.contextmanager
def _answering(status: int, body: bytes, seen: list | None = None) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            if seen is not None:
                seen.append(dict(self.headers))
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("status", [412, 429, 500, 501, 502, 503, 504])
@pytest.mark.parametrize("body", [b"{}", json.dumps({"errors": [CANARY]}).encode(), b"<html>"])
def test_failing_vault_is_temporary(token_file, status, body):
    """A server that fails or is overloaded is worth another try, whatever it answers."""
    with _answering(status, body) as address:
        settings = Settings(vault_addr=address, vault_token_file=token_file)
        assert _fault(settings, TemporaryError).code == "vault.unavailable"


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"auth": null}', b"null"])
def test_stranger_at_the_address_is_told(token_file, body):
    """A 200 of another shape than Vault's means that the address is somebody else's."""
    with _answering(200, body) as address:
        settings = Settings(vault_addr=address, vault_token_file=token_file)
        error = _fault(settings)
    assert (error.code, error.what) == ("vault.address", "what answers there is not Vault")


def test_strangers_token_is_not_sent(token_file, monkeypatch):
    """A token in the environment never goes along with the pod's own login."""
    monkeypatch.setenv("VAULT_TOKEN", CANARY)
    seen = []
    with _answering(503, b"{}", seen) as address:
        _fault(Settings(vault_addr=address, vault_token_file=token_file), TemporaryError)
    assert [CANARY in headers.values() for headers in seen] == [False]


@pytest.mark.timeout(5)
def test_silent_vault_is_temporary(token_file, monkeypatch):
    """A server that takes the connection and never answers is not waited for without end."""
    monkeypatch.setattr(door, "_TIMEOUT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        settings = Settings(vault_addr=address, vault_token_file=token_file)
        assert _fault(settings, TemporaryError).code == "vault.unavailable"
