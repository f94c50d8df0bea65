"""What can be wrong with a secret, in our words: those of libraries may quote its value."""

from dataclasses import dataclass
from typing import Final

from sales_pipeline.errors import ConfigurationError, LoginEndedError, PipelineError

MIN_KEY_BYTES: Final = 32
"""As long as the hash it drives: a shorter key is easier to guess than SHA-256 to break."""

MAX_EARLIER_KEYS: Final = 5
"""Each of them is one more hash for every customer of a file."""


@dataclass(frozen=True)
class Problem:
    """What is wrong with a secret wherever it lies, how to mend it, and its stable code."""

    what: str
    mend: str
    code: str
    kind: type[PipelineError] = ConfigurationError

    def at(self, where: object) -> PipelineError:
        """The error that says so of one place."""
        return self.kind(self.what, where=str(where), mend=self.mend, code=self.code)


MOUNT: Final = (
    "Have the Vault agent render it or a Secret mounted, or set SALES_CREDENTIALS=direct."
)
NO_FOLDER: Final = Problem("its folder does not exist", MOUNT, "credentials.missing")
NO_FILE: Final = Problem("the file does not exist", MOUNT, "credentials.missing")
UNREADABLE: Final = Problem(
    "the file cannot be read",
    "Give the pipeline's user or group the right to read it.",
    "credentials.unreadable",
)
NOT_JSON: Final = Problem(
    "the file is not JSON", "Render it with `{{ .Data.data | toJSON }}`.", "credentials.invalid"
)
NOT_TEXT: Final = Problem(
    "the file is not text", "Store the field as UTF-8 text.", "credentials.invalid"
)
NO_TOKEN: Final = Problem(
    "the service account's token cannot be read",
    "Project one with audience `vault` there, or set SALES_VAULT_TOKEN_FILE.",
    "vault.token",
)
BAD_ADDRESS: Final = Problem(
    "the address cannot be used",
    "Give `https://host:port`, without a login; plain http is for loopback only.",
    "vault.address",
)
NOT_VAULT: Final = Problem(
    "what answers there is not Vault", "Correct SALES_VAULT_ADDR.", "vault.address"
)
NO_CA: Final = Problem(
    "the CA file cannot be read or holds no certificate",
    "Point SALES_VAULT_CA_FILE at the PEM of the CA that signed Vault's certificate.",
    "vault.certificate",
)
UNTRUSTED: Final = Problem(
    "the certificate is not trusted, is out of date or names another host",
    "Point SALES_VAULT_CA_FILE at its CA, or renew it.",
    "vault.certificate",
)
LOGIN_REFUSED: Final = Problem(
    "Vault refused the login",
    # Vault says the same when it cannot ask Kubernetes, so both are named.
    "Bind the role to this service account and audience `vault`; is Kubernetes' API up?",
    "vault.login",
)
FORBIDDEN: Final = Problem(
    "Vault does not let this role read the secret",
    "Allow `read` on this path in the role's policy.",
    "vault.forbidden",
)
ABSENT: Final = Problem(
    "Vault holds no such secret", "Write it with `vault kv put`.", "vault.missing"
)
NO_LOGINS: Final = Problem(
    "Vault makes no logins there",
    "Give the database engine that role, or correct SALES_VAULT_DATABASE_PATH.",
    "vault.missing",
)
TOKEN_ENDED: Final = Problem(
    "Vault knows the token of this run no more",
    "Nothing is lost: run again. If it stays so, give the role Vault's policy `default`.",
    "vault.token_ended",
    LoginEndedError,
)
LOGIN_ENDED: Final = Problem(
    "the login that Vault made for this run was revoked or ran out",
    "Nothing is lost: run again, and Vault makes a new one.",
    "database.login_ended",
    LoginEndedError,
)


def too_short(lives: int, deadline: int) -> Problem:
    """A login to the database that may end before the run does."""
    return Problem(
        f"the login lives {lives} s, but the run may take {deadline} s",
        # Both count: a login ends with the token that asked for it.
        "Raise `default_ttl` of Vault's database role and `token_ttl` of its auth role,"
        " or lower job.activeDeadlineSeconds.",
        "vault.lease",
    )


FAULTS: Final = {
    "missing": "is missing",
    "string_type": "is not text",
    "bytes_type": "is not text",
    "string_too_short": "is empty",
    "too_short": "is empty",
    "base64": "is not base64",
    "short_key": f"has fewer than {MIN_KEY_BYTES} bytes once decoded",
    "int_type": "is not a whole number",
    "int_parsing": "is not a whole number",
    "int_from_float": "is not a whole number",
    "greater_than_equal": "is less than 1",
    "versions": "is not a map, or a JSON object, of versions and keys",
    "not_earlier": "has a version that is not below key_version",
    "repeated": "has a version or a key twice",
    "too_long": f"has more than {MAX_EARLIER_KEYS} keys",
}
"""Our words for pydantic's: its own may quote the value."""
