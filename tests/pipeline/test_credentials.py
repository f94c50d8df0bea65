"""The door to the secrets: files, faults in them, and what an error may never carry."""

import base64
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from pydantic import SecretBytes, ValidationError

from sales_pipeline import vault
from sales_pipeline.credential_problems import MIN_KEY_BYTES
from sales_pipeline.credentials import (
    Credentials,
    PseudonymKey,
    WebIdentity,
    load_object_store_login,
    open_credentials,
    open_database_login,
)
from sales_pipeline.errors import ConfigurationError, PipelineError
from sales_pipeline.settings import Settings, read_settings
from tests.support.credentials import CANARY, fault

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


def _load(folder: Path) -> Credentials:
    with open_credentials(Settings(credentials_dir=folder)) as credentials:
        return credentials


def _fault_in(folder: Path, name: str, content: object) -> PipelineError:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    (folder / name).write_bytes(raw)
    error = fault(Settings(credentials_dir=folder))
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
    with open_database_login(Settings(credentials_dir=folder)) as login:
        assert login.username == "etl"


def test_a_mounted_secret_without_a_field_is_named(folder):
    """The folder and the field are told, no value is."""
    volume = _mount(folder, "database", {"password": CANARY})
    error = fault(Settings(credentials_dir=folder))
    assert error.where == str(volume)
    assert "field username is missing" in str(error)


def test_a_field_that_is_no_text_is_named(folder):
    """Its file is told, its content is not."""
    volume = _mount(folder, "database", {"username": "etl"})
    (volume / "password").write_bytes(b"\xff" + CANARY.encode())
    error = fault(Settings(credentials_dir=folder))
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
    error = fault(Settings(credentials_dir=tmp_path / "absent"))
    assert error.code == "credentials.missing"
    assert "folder" in error.what
    assert error.where == str(tmp_path / "absent" / "database")
    assert "SALES_CREDENTIALS=direct" in error.mend


@pytest.mark.parametrize("name", FILES)
def test_missing_file_is_named(folder, name):
    """Each of the three files is needed, and the absent one is named."""
    (folder / name).unlink()
    error = fault(Settings(credentials_dir=folder))
    assert (error.code, error.where) == ("credentials.missing", str(folder / name))
    assert "folder" not in error.what


def test_unreadable_file_is_told_from_a_missing_one(folder):
    """Something that is there but cannot be read, here a folder, is not called missing."""
    (_mount(folder, "database", {"username": "etl"}) / "password").mkdir()
    assert fault(Settings(credentials_dir=folder)).code == "credentials.unreadable"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_file_without_right_to_read_is_unreadable(folder):
    """A file of another user is not called missing either."""
    (folder / "database").chmod(0)
    assert fault(Settings(credentials_dir=folder)).code == "credentials.unreadable"


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


# --- keys of earlier times ----------------------------------------------------------------------


def _text(first: int) -> str:
    """A key of its own, in base64."""
    return base64.b64encode(bytes(range(first, first + MIN_KEY_BYTES))).decode()


EARLIER = {"1": _text(1), "2": _text(2)}
ROTATED = {"key": _text(3), "key_version": 3}


@pytest.mark.parametrize("previous", [EARLIER, json.dumps(EARLIER)], ids=["map", "text"])
def test_earlier_keys_are_found_by_version(folder, previous):
    """As Vault keeps a map, or as text where a field can hold nothing else."""
    (folder / "pseudonym").write_text(json.dumps({**ROTATED, "previous_keys": previous}))
    pseudonym = _load(folder).pseudonym
    assert pseudonym.earlier() == {n: base64.b64decode(EARLIER[str(n)]) for n in (1, 2)}
    assert list(pseudonym.checks()) == [3, 1, 2]
    assert not any(
        text in f"{pseudonym!r} {pseudonym.model_dump_json()}" for text in EARLIER.values()
    )


def test_earlier_keys_may_be_mounted(folder):
    (folder / "pseudonym").unlink()
    _mount(folder, "pseudonym", {**ROTATED, "previous_keys": json.dumps(EARLIER)})
    assert _load(folder).pseudonym.earlier().keys() == {1, 2}


def test_without_earlier_keys_there_are_none(folder):
    assert _load(folder).pseudonym.earlier() == {}


def test_a_check_tells_keys_apart_and_is_none():
    """It depends on the key alone, and is too short to be one."""
    checks = [PseudonymKey(key=SecretBytes(KEY), key_version=n).checks()[n] for n in (1, 2)]
    other = PseudonymKey(key=SecretBytes(KEY[::-1]), key_version=1).checks()[1]
    assert checks[0] == checks[1] != other
    assert len(checks[0]) == 16


@pytest.mark.parametrize(
    ("previous", "what"),
    [
        (CANARY, "field previous_keys is not a map, or a JSON object, of versions and keys"),
        ([CANARY], "field previous_keys is not a map, or a JSON object, of versions and keys"),
        (None, "field previous_keys is not a map, or a JSON object, of versions and keys"),
        (
            json.dumps([["1", EARLIER["1"]]]),
            "field previous_keys is not a map, or a JSON object, of versions and keys",
        ),
        ("[" * 100_000, "field previous_keys is not a map, or a JSON object, of versions and keys"),
        ({CANARY: "1"}, "a version in field previous_keys is not a whole number"),
        ({"0": EARLIER["1"]}, "a version in field previous_keys is less than 1"),
        ({"1": f"{CANARY}!"}, "a key in field previous_keys is not base64"),
        ({"1": [CANARY]}, "a key in field previous_keys is not text"),
        ({"1": "AAAA"}, "a key in field previous_keys has fewer than 32 bytes once decoded"),
        ({"3": EARLIER["1"]}, "field previous_keys has a version that is not below key_version"),
        ({"4": EARLIER["1"]}, "field previous_keys has a version that is not below key_version"),
        ({"1": ROTATED["key"]}, "field previous_keys has a version or a key twice"),
        ({"1": _text(1), "2": _text(1)}, "field previous_keys has a version or a key twice"),
        ({"1": _text(1), "01": _text(2)}, "field previous_keys has a version or a key twice"),
        (
            f'{{"1": "{_text(1)}", "1": "{_text(2)}"}}',
            "field previous_keys has a version or a key twice",
        ),
        ({str(n): _text(n) for n in range(1, 7)}, "field previous_keys has more than 5 keys"),
    ],
)
def test_unusable_earlier_keys_are_told_not_quoted(folder, previous, what):
    """Neither a version nor a key is shown: one may have been written in the other's place."""
    newest = {"key": _text(100), "key_version": 100} if what.endswith("5 keys") else ROTATED
    error = _fault_in(folder, "pseudonym", {**newest, "previous_keys": previous})
    assert what in error.what
    assert error.code == "credentials.invalid"
    assert not any(text in str(error) for text in EARLIER.values())


def test_all_faults_are_told_at_once(folder):
    """Two faults in one file cost one attempt, not two."""
    error = _fault_in(folder, "database", {})
    assert error.what == "field username is missing; field password is missing"


# --- how long a login lives ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lives", "deadline"),
    [
        pytest.param({}, 3600, id="for ever"),
        pytest.param({"lease_seconds": 3600, "token_seconds": 3600}, 3600, id="long enough"),
        pytest.param({"lease_seconds": 3600, "token_seconds": 0}, 3600, id="a token for ever"),
        pytest.param({"lease_seconds": 1, "token_seconds": 1}, None, id="nobody ends the run"),
    ],
)
def test_a_login_that_outlasts_the_run_is_taken(folder, lives, deadline):
    (folder / "database").write_text(json.dumps({**FILES["database"], **lives}))
    settings = Settings(credentials_dir=folder, deadline_seconds=deadline)
    with open_database_login(settings) as login:
        assert login.username == "etl"
        assert login.is_leased == ("lease_seconds" in lives)


@pytest.mark.parametrize(
    "lives", [{"lease_seconds": 60, "token_seconds": 3600}, {"lease_seconds": 60}]
)
def test_a_login_that_may_end_before_the_run_is_refused(folder, lives):
    (folder / "database").write_text(json.dumps({**FILES["database"], **lives}))
    error = fault(Settings(credentials_dir=folder, deadline_seconds=3600))
    assert (error.code, error.where) == ("vault.lease", str(folder / "database"))
    assert error.what == "the login lives 60 s, but the run may take 3600 s"
    assert "job.activeDeadlineSeconds" in error.mend


# --- an object store that knows runs by their service account -----------------------------------

ROLE = "arn:minio:iam:::role/of-the-pipeline"


@pytest.fixture
def known(folder):
    """The settings of a run without keys, whose token is there."""
    (folder / "object-store").unlink()
    (folder / "identity").write_text(CANARY)
    told = {"s3_auth": "webIdentity", "s3_role": ROLE, "s3_token_file": folder / "identity"}
    return Settings.model_validate({"credentials_dir": folder, **told})


def test_a_web_identity_needs_no_keys(known):
    with open_credentials(known) as credentials:
        assert credentials.object_store == WebIdentity(ROLE, known.s3_token_file)
        assert credentials.pseudonym.key_version == 1
    assert load_object_store_login(known) == WebIdentity(ROLE, known.s3_token_file)
    assert CANARY not in repr(credentials)


def test_keys_that_are_there_are_not_what_it_falls_back_to(known, folder):
    (folder / "object-store").write_text(json.dumps(FILES["object-store"]))
    known.s3_token_file.unlink()
    assert fault(known).code == "identity.token"


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff", None])
def test_a_token_that_cannot_be_used_is_missed_where_it_should_be(known, content):
    known.s3_token_file.unlink()
    if content is not None:
        known.s3_token_file.write_bytes(content)
    error = fault(known)
    assert (error.code, error.where) == ("identity.token", str(known.s3_token_file))


def test_a_token_is_for_a_role_that_must_be_named(known):
    error = fault(known.model_copy(update={"s3_role": None}))
    assert (error.code, error.where) == ("identity.role", "SALES_S3_ROLE")


@pytest.mark.parametrize(("name", "value"), [("AUTH", "iam"), ("ROLE", "pipeline")])
def test_what_no_store_knows_is_refused_with_the_settings(name, value):
    with pytest.raises(ConfigurationError, match=f"SALES_S3_{name}"):
        read_settings({f"SALES_S3_{name}": value})


# --- files of an agent --------------------------------------------------------------------------


def test_a_token_that_the_agent_did_not_leave_is_missed(folder):
    """The login could not be given back: better told before the run than found out afterwards."""
    agent = Settings(
        credentials="agent", credentials_dir=folder, vault_addr="https://vault.example"
    )
    error = fault(agent)
    assert (error.code, error.where) == ("credentials.missing", str(folder / "token"))


def test_an_agents_token_cannot_be_given_back_to_nobody(folder):
    (folder / "token").write_text(CANARY)
    error = fault(Settings(credentials="agent", credentials_dir=folder))
    assert (error.code, error.where) == ("vault.address", "SALES_VAULT_ADDR")


@pytest.mark.parametrize("token", [CANARY, "two\nlines", "naïve ☃"])
def test_a_token_that_nobody_takes_back_fails_no_run(folder, caplog, monkeypatch, token):
    """Nobody listens there, and some tokens no request can carry."""
    monkeypatch.setattr(vault, "_REVOKE_SECONDS", 0)
    (folder / "token").write_text(token)
    nobody = {"credentials": "agent", "credentials_dir": folder, "vault_addr": "http://127.0.0.1:1"}
    with open_credentials(Settings.model_validate(nobody)) as credentials:
        assert credentials.database.username == "etl"
    assert "not revoked" in caplog.text
    assert CANARY not in caplog.text


def test_no_place_for_logins_is_one_that_can_be_said():
    """Elsewhere an empty variable is one that is not set."""
    assert read_settings({"SALES_VAULT_DATABASE_PATH": ""}).vault_database_path == ""
    assert read_settings({"SALES_VAULT_ROLE": ""}).vault_role == "sales-pipeline"


def test_a_token_is_given_back_once_vault_is_there_again(folder, caplog):
    """A login to the database ends with it, which must not wait for its time to live."""
    answers = [503, 503, 204]

    class Vault(BaseHTTPRequestHandler):
        def do_POST(self):
            self.send_response(answers.pop(0))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args):
            pass

    (folder / "token").write_text(CANARY)
    with HTTPServer(("127.0.0.1", 0), Vault) as server:
        threading.Thread(target=server.serve_forever).start()
        address = f"http://127.0.0.1:{server.server_port}"
        agent = {"credentials": "agent", "credentials_dir": folder, "vault_addr": address}
        try:
            with open_credentials(Settings.model_validate(agent)):
                pass
        finally:
            server.shutdown()
    assert answers == []
    assert "not revoked" not in caplog.text
