"""The folder: what is kept byte for byte, who may read it, what an interruption leaves behind."""

import fcntl
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from certs.errors import CertsError
from certs.folder import open_folder
from certs.health import Health, health
from certs.pair import Damaged, Pair, certificate_pem, parse_pair
from tests.certs.making import DAY, NAMES, NOW, contents, fresh, issued

ROOT = Path(__file__).resolve().parents[2]
FILES = {".gitignore", "ca.crt", "ca.pem", *(f"{name}.pem" for name in NAMES)}
EVERYTHING = ["ca", *NAMES]
WRITES = len(FILES)


def modes(path):
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.iterdir()}


def states(path):
    """What clients with this folder's bundle say of each service."""
    with open_folder(path) as folder:
        found = folder.look(NAMES)
    return {name: health(leaf, found.bundle, NOW) for name, leaf in found.leaves.items()}


# --- keeping and renewing -----------------------------------------------------------------------


def test_the_first_run_makes_everything_the_second_touches_nothing(tmp_path):
    assert issued(tmp_path) == dict.fromkeys(EVERYTHING, "missing")
    before = contents(tmp_path)
    inodes = {file.name: file.stat().st_ino for file in tmp_path.iterdir()}
    assert set(before) == FILES

    assert issued(tmp_path, NOW + 30 * DAY) == dict.fromkeys(EVERYTHING)
    assert contents(tmp_path) == before
    assert {file.name: file.stat().st_ino for file in tmp_path.iterdir()} == inodes


def test_renewing_leaves_the_ca_and_its_bundle_as_they_are(tmp_path):
    issued(tmp_path)
    before = contents(tmp_path)
    issued(tmp_path, renew=True)
    changed = {name for name, content in contents(tmp_path).items() if content != before[name]}
    assert changed == {f"{name}.pem" for name in NAMES}


def test_a_service_that_lost_its_file_gets_a_new_one_by_itself(tmp_path):
    issued(tmp_path)
    before = contents(tmp_path)
    (tmp_path / "vault.pem").unlink()
    assert issued(tmp_path) == dict.fromkeys(EVERYTHING) | {"vault": "missing"}
    after = contents(tmp_path)
    assert {name for name in FILES if after[name] != before[name]} == {"vault.pem"}


def test_each_ca_that_took_over_comes_first_and_each_expired_one_goes(tmp_path):
    issued(tmp_path)
    first = (tmp_path / "ca.crt").read_bytes()
    issued(tmp_path, NOW + 2000 * DAY, renew_authority=True)
    second = (tmp_path / "ca.crt").read_bytes()
    assert (
        second
        == certificate_pem([parse_pair((tmp_path / "ca.pem").read_bytes()).certificate]) + first
    )
    issued(tmp_path, NOW + 3651 * DAY)
    assert (tmp_path / "ca.crt").read_bytes() == second.removesuffix(first)


def test_a_bundle_that_was_deleted_is_made_again_from_the_ca(tmp_path):
    issued(tmp_path)
    before = contents(tmp_path)
    (tmp_path / "ca.crt").unlink()
    assert issued(tmp_path) == dict.fromkeys(EVERYTHING)
    assert contents(tmp_path) == before


def test_a_ca_of_ones_own_signs_from_now_on(tmp_path):
    issued(tmp_path)
    authority, _ = fresh()
    former = (tmp_path / "ca.crt").read_bytes()
    (tmp_path / "ca.pem").write_bytes(authority.to_pem())
    (tmp_path / "minio.pem").unlink()
    assert issued(tmp_path) == dict.fromkeys(EVERYTHING) | {"minio": "missing"}
    assert (tmp_path / "ca.crt").read_bytes() == certificate_pem([authority.certificate]) + former
    assert states(tmp_path) == dict.fromkeys(NAMES, Health.OK)


# --- who may read it ----------------------------------------------------------------------------


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_keys_are_for_the_owner_only_whatever_the_umask(tmp_path, umask):
    path = tmp_path / "out"
    before = os.umask(umask)
    try:
        issued(path)
    finally:
        os.umask(before)
    assert modes(path) == {
        name: 0o600 if name.endswith(".pem") else 0o644 for name in FILES
    }  # fmt: skip
    assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_a_key_that_others_could_read_is_closed_to_them_and_foreign_files_are_left_alone(tmp_path):
    issued(tmp_path)
    before = contents(tmp_path)
    foreign = [tmp_path / "other.pem", tmp_path / ".other.pem.new"]
    for file in (*foreign, tmp_path / "ca.pem"):
        file.touch()
        file.chmod(0o644)
    issued(tmp_path)
    assert {name: mode for name, mode in modes(tmp_path).items() if name in before} == {
        name: 0o600 if name.endswith(".pem") else 0o644 for name in FILES
    }
    assert [stat.S_IMODE(file.stat().st_mode) for file in foreign] == [0o644, 0o644]


def test_git_does_not_see_the_folder(tmp_path):
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    issued(tmp_path / "out")
    status = ["git", "-C", tmp_path, "status", "--porcelain", "--untracked-files=all"]
    assert subprocess.run(status, check=True, capture_output=True).stdout == b""


def test_a_gitignore_of_somebody_else_is_kept(tmp_path):
    (tmp_path / ".gitignore").write_text("*.pem\n")
    issued(tmp_path)
    assert (tmp_path / ".gitignore").read_text() == "*.pem\n"


# --- interruption -------------------------------------------------------------------------------


class Cut(BaseException):
    """Ends a run as Ctrl-C does."""


def cut_at(monkeypatch, number):
    """Let the write of this number, counted from 0, break off before its file appears."""
    calls = iter(range(WRITES + 1))
    rename = Path.replace

    def replace(self, target):
        if next(calls) == number:
            raise Cut
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", replace)


def assert_nothing_half(path):
    """Each file is whole, each pair is a pair, each certificate is one that clients accept."""
    assert set(contents(path)) <= FILES
    with open_folder(path) as folder:
        found = folder.look(NAMES)
    assert not isinstance(found.authority, Damaged)
    assert set(states(path).values()) <= {Health.OK, Health.MISSING}


@pytest.mark.parametrize("number", range(WRITES))
def test_a_first_run_cut_off_at_any_write_is_completed_by_the_next(tmp_path, monkeypatch, number):
    with monkeypatch.context() as patch:
        cut_at(patch, number)
        with pytest.raises(Cut):
            issued(tmp_path)
    assert_nothing_half(tmp_path)
    before = contents(tmp_path)
    assert len(before) == number

    issued(tmp_path)
    after = contents(tmp_path)
    assert set(after) == FILES
    assert {name: after[name] for name in before} == before
    assert states(tmp_path) == dict.fromkeys(NAMES, Health.OK)


@pytest.mark.parametrize("number", range(WRITES - 1))
def test_a_change_of_ca_cut_off_at_any_write_loses_nobody(tmp_path, monkeypatch, number):
    """Clients of before, with the old bundle, still accept every server not yet renewed."""
    issued(tmp_path)
    old = contents(tmp_path)
    with monkeypatch.context() as patch:
        cut_at(patch, number)
        with pytest.raises(Cut):
            issued(tmp_path, renew=True, renew_authority=True)
    assert states(tmp_path) == dict.fromkeys(NAMES, Health.OK)
    assert contents(tmp_path)["ca.crt"].endswith(old["ca.crt"])
    untouched = [name for name in NAMES if contents(tmp_path)[f"{name}.pem"] == old[f"{name}.pem"]]
    assert untouched == NAMES[max(0, number - 2) :]

    issued(tmp_path)
    assert states(tmp_path) == dict.fromkeys(NAMES, Health.OK)
    assert contents(tmp_path)["ca.crt"].endswith(old["ca.crt"])


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.certs.making import issued
calls, rename = iter(range(99)), Path.replace
def replace(self, target):
    if next(calls) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(self, target)
Path.replace = replace
issued(Path(sys.argv[1]))
"""


def test_what_a_killed_run_leaves_behind_is_swept_up_by_the_next(tmp_path):
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    before = contents(tmp_path)
    assert set(before) - FILES == {".postgres.pem.new"}
    assert modes(tmp_path)[".postgres.pem.new"] == 0o600

    issued(tmp_path)
    after = contents(tmp_path)
    assert set(after) == FILES
    assert all(after[name] == before[name] for name in FILES & set(before))


def test_two_runs_at_once_take_turns(tmp_path):
    with open_folder(tmp_path, create=True):
        handle = os.open(tmp_path, os.O_RDONLY)
        try:
            with pytest.raises(BlockingIOError):
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        finally:
            os.close(handle)
    with open_folder(tmp_path), open_folder(tmp_path):
        pass  # readers don't wait for each other


# --- errors -------------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CertsError) as caught:
        issued(tmp_path / "file" / "out")
    assert caught.value.where == str(tmp_path / "file" / "out")
    assert "cannot be made (Not a directory)" in str(caught.value)
    assert "--out" in caught.value.mend


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    """Root may write everywhere, so the refusal is played."""
    issued(tmp_path)

    def refuse(self, target):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(CertsError) as caught:
        issued(tmp_path, renew=True)
    assert caught.value.where == str(tmp_path / "minio.pem")
    assert "cannot be written (Permission denied)" in str(caught.value)
    assert set(contents(tmp_path)) == FILES


def test_a_file_that_cannot_be_read(tmp_path):
    issued(tmp_path)
    (tmp_path / "ca.pem").unlink()
    (tmp_path / "ca.pem").mkdir()
    with pytest.raises(CertsError) as caught:
        issued(tmp_path)
    assert caught.value.where == str(tmp_path / "ca.pem")
    assert "cannot be read (Is a directory)" in str(caught.value)


def test_a_bundle_that_is_none(tmp_path):
    issued(tmp_path)
    (tmp_path / "ca.crt").write_text("garbage")
    with pytest.raises(CertsError) as caught:
        issued(tmp_path)
    assert caught.value.where == str(tmp_path / "ca.crt")
    assert "Delete it" in caught.value.mend


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(CertsError, match=r"no such folder\. Run `python -m certs issue` first"):
        states(tmp_path / "out")


@pytest.mark.parametrize("foreign", [True, False], ids=["foreign key", "cut off"])
def test_a_ca_that_is_damaged_is_never_replaced_unasked(tmp_path, foreign):
    issued(tmp_path)
    file = tmp_path / "ca.pem"
    mine = parse_pair(file.read_bytes())
    wrong = Pair(mine.certificate, fresh()[0].key).to_pem() if foreign else file.read_bytes()[:300]
    file.write_bytes(wrong)
    with pytest.raises(CertsError, match=r"ca\.pem: the CA cannot be used: it.*--renew-ca"):
        issued(tmp_path)
    assert file.read_bytes() == wrong
    assert issued(tmp_path, renew_authority=True)["ca"] == "asked for"
    assert states(tmp_path) == dict.fromkeys(NAMES, Health.OK)
