"""Vault's image, by the contract that a chart and the agent injector rely on."""

import base64
import json

import pytest

from cluster import pins

pytestmark = pytest.mark.cluster

TOKEN = "known-to-this-test-alone"
ADDRESS = "http://127.0.0.1:8200"
CLIENT = {"VAULT_ADDR": ADDRESS, "VAULT_TOKEN": TOKEN}
POD = ("--user=100:1000", "--tmpfs=/home/vault:uid=100,gid=1000")
AGENT = {
    "exit_after_auth": True,
    "vault": {"address": ADDRESS},
    "auto_auth": {
        "method": [{"type": "token_file", "config": {"token_file_path": "/tmp/token"}}],
    },
    "template": [
        {
            "contents": '{{ with secret "secret/data/a" }}{{ .Data.data | toJSON }}{{ end }}',
            "destination": "/tmp/rendered",
            "error_on_missing_key": True,
        }
    ],
    "template_config": {"exit_on_retry_failure": True},
}
# A file first, as the injector has it: the configuration comes by way of the environment.
RENDER = """
echo "$VAULT_CONFIG" | base64 -d > /home/vault/config.json
printf %s "$VAULT_TOKEN" > /tmp/token
vault agent -config=/home/vault/config.json >&2
cat /tmp/rendered
"""


@pytest.fixture(params=[pins.VAULT_IMAGE, pins.OPENBAO_IMAGE])
def vault(image, request):
    return image(request.param)


def test_serves_and_its_agent_renders(vault):
    root = {"VAULT_DEV_ROOT_TOKEN_ID": TOKEN}
    with vault.serve("server", "-dev", "-dev-no-store-token", options=POD, env=root) as server:
        server.wait_for("vault", "status", f"-address={ADDRESS}")
        server.do("vault", "kv", "put", "secret/a", "name=value", env=CLIENT)
        config = {"VAULT_CONFIG": base64.b64encode(json.dumps(AGENT).encode()).decode()}
        rendered = server.do("sh", "-ec", RENDER, env=CLIENT | config)
        assert json.loads(rendered) == {"name": "value"}
        assert server.stop() == 0


def test_reads_its_configuration_where_a_chart_mounts_it(vault, make_volume):
    config = {"listener": {"tcp": {"address": "127.0.0.1:8200", "tls_disable": True}}}
    config |= {"storage": {"inmem": {}}, "disable_mlock": True, "api_addr": ADDRESS}
    mounted = make_volume((0, 1000), files={"vault.json": json.dumps(config).encode()})
    options = (*POD, f"--volume={mounted}:/vault/config:ro")
    with vault.serve("server", options=options) as server:
        server.wait_for("sh", "-c", f"vault status -address={ADDRESS}; test $? = 2")  # sealed
        assert server.stop() == 0


def test_takes_a_word_of_its_own_for_a_command(vault):
    for words in (["version"], ["vault", "version"], ["-version"]):
        assert " v2." in vault.run(*words, options=POD).out
    assert vault.run("id", "--user", options=POD).out == "100\n"
