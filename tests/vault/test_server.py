"""The door to Vault, where a real server would have to be in an odd state."""

from types import SimpleNamespace

import hvac.exceptions
import pytest

from sales_vault.errors import ConfigurationError, TemporaryError
from sales_vault.server import InvalidError, RefusedError, Server
from sales_vault.settings import Settings

CANARY = "pw-canary"
UPGRADING = (
    "Upgrading from non-versioned to versioned data. This backend will be unavailable for a brief"
    " period and will resume service shortly."
)


class Client:
    """A driver whose requests end, one after another, as was said."""

    url = "https://vault.sales.svc:8200"
    token = ""

    def __init__(self, *ends):
        self.ends = list(ends)

    def write_data(self, *_, **__):
        end = self.ends.pop(0)
        if isinstance(end, Exception):
            raise end
        return end


def test_engine_that_was_just_mounted_is_waited_for():
    client = Client(hvac.exceptions.InvalidRequest(UPGRADING), SimpleNamespace(status_code=204))
    Server(client).write_when_ready("kv/data/a", {"data": {}})
    assert client.ends == []


def test_other_refusals_are_not_waited_for():
    with pytest.raises(InvalidError):
        Server(Client(hvac.exceptions.InvalidRequest(CANARY))).write_when_ready("kv/data/a", {})


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (hvac.exceptions.InvalidRequest, InvalidError),
        (hvac.exceptions.Forbidden, RefusedError),
        (hvac.exceptions.InvalidPath, RefusedError),
        (hvac.exceptions.VaultDown, TemporaryError),
        (hvac.exceptions.InternalServerError, TemporaryError),
        (ConnectionResetError, TemporaryError),
    ],
)
def test_error_is_ours_and_quotes_nothing(error, kind):
    with pytest.raises(kind) as caught:
        Server(Client(error(CANARY))).write("kv/data/a", {"data": {"password": CANARY}})
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
    assert CANARY not in f"{caught.value} {caught.value!r} {vars(caught.value)}"


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_ca_file_that_cannot_be_used(tmp_path, content):
    path = tmp_path / "ca.crt"
    if content:
        path.write_text(content)
    settings = Settings(addr=Client.url, mode="selfInit", ca_file=path)
    with (
        pytest.raises(ConfigurationError, match="SALES_VAULT_CA_FILE"),
        Server.connect(settings),
    ):
        pytest.fail("was connected")
