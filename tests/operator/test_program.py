"""The command line, as it is called."""

import os
import subprocess
import sys
from importlib import metadata

import pytest
import yaml

LEAST = {"namespace": "minidata", "pipeline": {"image": "example.test/pipeline:1"}}


def call(*args, **environment):
    """Run the program to its end, in a place that knows of no cluster."""
    argv = [sys.executable, "-m", "sales_operator", *map(str, args)]
    surroundings = {"PATH": os.environ["PATH"], **environment}
    return subprocess.run(
        argv, capture_output=True, text=True, timeout=60, check=False, env=surroundings
    )


@pytest.fixture
def written(tmp_path):
    """A settings file with what a test needs to be different."""

    def write(**change):
        file = tmp_path / "settings.yaml"
        file.write_text(yaml.safe_dump(LEAST | change), "utf-8")
        return file

    return write


def test_help_names_each_command():
    done = call("--help")
    assert done.returncode == 0
    assert "run " in done.stdout
    assert "check " in done.stdout


def test_help_of_a_command_names_its_options():
    done = call("run", "--help")
    assert "--settings" in done.stdout
    assert "/etc/sales-operator/settings.yaml" in done.stdout
    assert "--log-level" in done.stdout


def test_version_is_that_of_the_package():
    assert call("--version").stdout.strip() == metadata.version("sales-operator")


@pytest.mark.parametrize("args", [(), ("fly",), ("run", "--log-level=loud")])
def test_call_that_makes_no_sense_is_told_how_it_would(args):
    done = call(*args)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: sales-operator")


def test_settings_that_can_be_used_are_said_to_be(written):
    done = call("check", "--settings", written())
    assert (done.returncode, done.stdout) == (0, "the settings can be used\n")


@pytest.mark.parametrize("command", ["run", "check"])
def test_broken_settings_end_with_78_and_one_line(written, command):
    done = call(command, "--settings", written(workers="many"))
    assert done.returncode == 78
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("sales-operator: ")
    assert "settings.yaml: workers" in line


def test_settings_that_are_not_there_end_with_78_and_one_line(tmp_path):
    done = call("run", "--settings", tmp_path / "none.yaml")
    assert done.returncode == 78
    assert done.stderr.splitlines() == [
        f"sales-operator: {tmp_path}/none.yaml: No such file or directory"
    ]


def test_no_way_to_a_cluster_ends_with_69_and_says_so(written, tmp_path):
    done = call("run", "--settings", written(), HOME=str(tmp_path))
    assert done.returncode == 69
    *_, line = done.stderr.splitlines()
    assert '"event": "not started"' in line
    assert "no way to the API server" in line


def test_no_certificate_ends_with_78_and_one_line_that_says_where_it_should_be(written, tmp_path):
    kubeconfig = tmp_path / "kubeconfig"
    cluster = {"name": "c", "cluster": {"server": "https://127.0.0.1:9"}}
    context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
    entries = {"clusters": [cluster], "contexts": [context], "users": [{"name": "u", "user": {}}]}
    kubeconfig.write_text(yaml.safe_dump(entries | {"current-context": "c"}), "utf-8")
    missing = {"certificate": str(tmp_path / "tls.crt"), "key": str(tmp_path / "tls.key")}
    done = call("run", "--settings", written(receiver=missing), KUBECONFIG=str(kubeconfig))
    assert done.returncode == 78
    (line,) = done.stderr.splitlines()
    assert f"{tmp_path}/tls.crt" in line
