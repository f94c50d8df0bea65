"""The runtime that asks runc for no more than the machine has."""

import json
import os
import runpy
import stat
from pathlib import Path

import pytest

from cluster import oci_runtime
from cluster.oci_runtime import edited_file, missing_capabilities, without_capabilities

# CAP_SYS_RESOURCE is bit 24.
BOUNDED = "Name:\tcat\nCapEff:\t0000000000000000\nCapBnd:\t000001fffeffffff\nCapAmb:\t0\n"
LACKING = frozenset({"CAP_SYS_RESOURCE"})


def test_each_capability_has_the_number_that_the_kernel_gives_it():
    numbers = {name: oci_runtime.NAMES.index(name) for name in ("CAP_CHOWN", "CAP_SYS_ADMIN")}
    assert numbers == {"CAP_CHOWN": 0, "CAP_SYS_ADMIN": 21}
    assert oci_runtime.NAMES.index("CAP_CHECKPOINT_RESTORE") == len(oci_runtime.NAMES) - 1 == 40


@pytest.mark.parametrize(
    ("bounding", "last", "missing"),
    [
        ("000001fffeffffff", 40, {"CAP_SYS_RESOURCE"}),
        ("000001ffffffffff", 40, set()),
        ("0000003fffffffff", 40, {"CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE"}),
        ("0000003fffffffff", 37, set()),  # what the kernel does not know is not missing
        ("ffffffffffffffff", 63, set()),  # a later kernel
    ],
)
def test_the_bounding_set_tells_what_is_missing(bounding, last, missing):
    status = BOUNDED.replace("000001fffeffffff", bounding)
    assert missing_capabilities(status, last) == missing


def test_every_set_loses_the_missing_ones_and_nothing_else_changes():
    process = {
        "args": ["CAP_SYS_RESOURCE"],
        "capabilities": {
            "bounding": ["CAP_CHOWN", "CAP_SYS_RESOURCE", "CAP_KILL"],
            "effective": ["CAP_SYS_RESOURCE"],
            "ambient": None,
        },
        "user": {"uid": 0},
    }
    assert without_capabilities(process, LACKING) == {
        "args": ["CAP_SYS_RESOURCE"],
        "capabilities": {"bounding": ["CAP_CHOWN", "CAP_KILL"], "effective": [], "ambient": []},
        "user": {"uid": 0},
    }


def test_a_process_without_capabilities_stays_as_it_is():
    assert without_capabilities({"args": ["sh"]}, LACKING) == {"args": ["sh"]}


CONFIG = Path("/bundle/config.json")


@pytest.mark.parametrize(
    ("words", "edited"),
    [
        ("create --bundle /bundle --pid-file /pid ID", (CONFIG, False)),
        ("--root /run/runc --log /log.json --log-format json create --bundle /bundle ID", "same"),
        ("--root=/run/runc --systemd-cgroup --debug create --bundle=/bundle ID", "same"),
        ("--rootless auto --criu criu run -b /bundle ID", "same"),
        ("restore -bundle /bundle ID", "same"),
        ("run ID", (Path("config.json"), False)),
        ("exec --process /p.json --detach ID", (Path("/p.json"), True)),
        ("--log create exec --process=/p.json ID", (Path("/p.json"), True)),
        ("exec -p /p.json ID", (Path("/p.json"), True)),
        ("exec ID sh", None),
        ("start ID", None),
        ("delete --force create", None),
        ("update --bundle /bundle ID", None),
        ("events --process /p.json", None),
        ("--version", None),
        ("--root", None),
        ("", None),
    ],
)
def test_a_call_names_the_file_that_is_edited(words, edited):
    assert edited_file(words.split()) == ((CONFIG, False) if edited == "same" else edited)


@pytest.fixture
def became(monkeypatch):
    """What the process became, instead of becoming it; and a machine that lacks one capability."""
    calls = []
    monkeypatch.setattr(os, "execvp", lambda program, argv: calls.append((program, argv)))
    monkeypatch.setattr(oci_runtime, "missing_here", lambda: LACKING)
    return calls


def process(*capabilities):
    return {"args": ["sh"], "capabilities": {"bounding": list(capabilities)}}


def test_create_edits_the_bundle_and_becomes_runc_with_the_same_words(tmp_path, became):
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"root": {}, "process": process("CAP_SYS_RESOURCE", "CAP_KILL")}))
    config.chmod(0o600)
    words = ["--root", "/run", "create", "--bundle", str(tmp_path), "ID"]
    oci_runtime.main(words)
    assert json.loads(config.read_text()) == {"root": {}, "process": process("CAP_KILL")}
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert became == [("runc", ["runc", *words])]


def test_exec_edits_the_process_file(tmp_path, became):
    file = tmp_path / "process"
    file.write_text(json.dumps(process("CAP_SYS_RESOURCE")))
    oci_runtime.main(["exec", "--process", str(file), "ID"])
    assert json.loads(file.read_text()) == process()
    assert len(became) == 1


def test_a_bundle_that_asks_for_nothing_missing_is_not_written_again(tmp_path, became):
    config = tmp_path / "config.json"
    text = json.dumps({"process": process("CAP_KILL")}, indent=7)
    config.write_text(text)
    oci_runtime.main(["run", "--bundle", str(tmp_path), "ID"])
    assert config.read_text() == text
    assert len(became) == 1


def test_anything_else_passes_through(became):
    oci_runtime.main(["state", "ID"])
    assert became == [("runc", ["runc", "state", "ID"])]


def test_a_machine_that_lacks_nothing_has_no_bundle_touched(tmp_path, became, monkeypatch):
    monkeypatch.setattr(oci_runtime, "missing_here", frozenset)
    oci_runtime.main(["create", "--bundle", str(tmp_path / "missing"), "ID"])
    assert len(became) == 1


def test_what_is_missing_here_is_read_from_this_process():
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if "CapBnd" in x)
    lacking = oci_runtime.missing_here()
    assert ("CAP_SYS_RESOURCE" in lacking) == (not int(line.split()[1], 16) >> 24 & 1)


def test_it_runs_as_a_program_of_its_own(became, monkeypatch):
    monkeypatch.setattr("sys.argv", ["oci-runtime", "--version"])
    runpy.run_path(oci_runtime.__file__, run_name="__main__")
    assert became == [("runc", ["runc", "--version"])]
