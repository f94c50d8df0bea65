"""The program as people and Jobs call it."""

import json
import logging
import os
import signal
import socket
import subprocess
import sys

import pytest

from sales_vault.__main__ import run_app
from sales_vault.converging import _made_up
from sales_vault.errors import ConfigurationError
from sales_vault.logs import JsonFormatter
from sales_vault.settings import Settings, read_settings
from sales_vault.wanted import Random, RandomField, ValueField
from tests.vault.plans import PAGE

ENVIRON = {
    "SALES_VAULT_ADDR": "https://vault.sales.svc:8200",
    "SALES_VAULT_MODE": "shamirJob",
    "SALES_VAULT_KEYS_SECRET": "vault-keys",
}


def _program(monkeypatch, *args, environ=ENVIRON):
    for name in [name for name in os.environ if name.startswith("SALES_")]:
        monkeypatch.delenv(name)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["sales-vault", *args])
    return run_app()


def test_help_and_page_tell_of_every_setting(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    assert _program(monkeypatch, "--help") == 0
    said, page = capsys.readouterr().out, PAGE.read_text("utf-8")
    ours = [name for name in Settings.model_fields if not name.startswith("kubernetes_")]
    assert not [name for name in ours if f"SALES_VAULT_{name.upper()}" not in said]
    assert not [name for name in ours if f"`SALES_VAULT_{name.upper()}`" not in page]


@pytest.mark.parametrize("command", ["setup", "check"])
def test_help_of_a_command(monkeypatch, capsys, command):
    assert _program(monkeypatch, command, "--help") == 0
    assert "--plan" in capsys.readouterr().out


def test_plan_that_is_not_there(monkeypatch, capsys, tmp_path):
    assert _program(monkeypatch, "setup", "--plan", str(tmp_path / "plan.yaml")) == 78
    assert "plan.yaml: No such file" in capsys.readouterr().err


def test_unknown_option(monkeypatch, capsys):
    assert _program(monkeypatch, "setup", "--nowhere") == 2


def test_crash_is_told_without_its_words(monkeypatch, capsys):
    """An error that nobody foresaw may quote anything."""

    def fails(*_):
        raise RuntimeError("pw-canary")

    monkeypatch.setattr("sales_vault.__main__.read_settings", fails)
    assert _program(monkeypatch, "setup", "--plan", "x") == 1
    said = capsys.readouterr().err
    assert "RuntimeError" in said
    assert "canary" not in said


def test_ends_at_once_when_told_to(tmp_path):
    """SIGTERM ends it, also where it is the first process of a container."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        plan = tmp_path / "plan.yaml"
        plan.write_text("roles: {vault-setup: {namespaces: [sales]}}")
        address = f"https://127.0.0.1:{silent.getsockname()[1]}"
        process = subprocess.Popen(
            [sys.executable, "-m", "sales_vault", "setup", "--plan", plan],
            env={**os.environ, **ENVIRON, "SALES_VAULT_ADDR": address},
        )
        connection, _ = silent.accept()  # by now it waits for an answer
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 128 + signal.SIGTERM
        connection.close()


class TestSettings:
    def test_of_a_pod(self):
        settings = read_settings({**ENVIRON, "KUBERNETES_SERVICE_HOST": "10.0.0.1"})
        assert settings.keys_secret == "vault-keys"
        assert settings.kubernetes_host == "10.0.0.1"
        assert str(settings.token_file).startswith("/var/run/secrets/")

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"SALES_VAULT_ADDR": ""}, "SALES_VAULT_ADDR"),
            ({"SALES_VAULT_ADDR": "http://vault:8200"}, "SALES_VAULT_ADDR"),
            ({"SALES_VAULT_ADDR": "https://user:pw-canary@vault"}, "SALES_VAULT_ADDR"),
            ({"SALES_VAULT_MODE": "other"}, "SALES_VAULT_MODE"),
            ({"SALES_VAULT_KEYS_SECRET": ""}, "SALES_VAULT_KEYS_SECRET"),
            ({"KUBERNETES_SERVICE_PORT": "x"}, "KUBERNETES_SERVICE_PORT"),
        ],
    )
    def test_unusable_one_is_named(self, change, named):
        with pytest.raises(ConfigurationError) as caught:
            read_settings({**ENVIRON, **change})
        assert caught.value.where == named
        assert "canary" not in str(caught.value)

    def test_server_that_initialises_itself_needs_no_secret(self):
        change = {"SALES_VAULT_MODE": "selfInit", "SALES_VAULT_KEYS_SECRET": ""}
        assert read_settings({**ENVIRON, **change}).keys_secret is None


class TestGeneratedFields:
    @pytest.mark.parametrize(
        ("encoding", "length"), [("base64", 44), ("base64url", 43), ("hex", 64)]
    )
    def test_random_text(self, encoding, length):
        field = RandomField(random=Random(bytes=32, encoding=encoding, prefix="sales:"))
        first, second = (_made_up({"key": field})["key"] for _ in range(2))
        assert first != second
        assert first.startswith("sales:")
        assert len(first.removeprefix("sales:")) == length

    def test_value(self):
        assert _made_up({"username": ValueField(value="root")}) == {"username": "root"}


def test_log_line_is_json():
    record = logging.makeLogRecord({"msg": "made", "levelname": "INFO", "path": "kv/data/a"})
    line = json.loads(JsonFormatter().format(record))
    assert (line["event"], line["path"], line["level"]) == ("made", "kv/data/a", "info")
