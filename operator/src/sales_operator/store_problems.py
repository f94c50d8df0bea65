"""What can be wrong with the object store, in our words: a driver's may quote what it chokes on."""

from dataclasses import dataclass
from typing import Final

from sales_operator.observed import Problem

_UNAUTHORIZED, _FORBIDDEN = 401, 403


@dataclass(frozen=True)
class Fault:
    """What is wrong wherever it is, and how to mend it."""

    reason: str
    what: str
    mend: str
    is_lasting: bool = True

    def at(self, where: str) -> Problem:
        """The same, of one place."""
        return Problem(self.reason, f"{where}: {self.what}. {self.mend}", self.is_lasting)


CREDENTIALS_MISSING: Final = Fault(
    "CredentialsMissing",
    "the files access_key and secret_key are missing, empty or unreadable",
    "Have a Secret with both mounted in the folder that objectStore.credentials names. With Vault "
    "see to objectStore.vaultPath of the chart operator, then restart the operator.",
)
BAD_ENDPOINT: Final = Fault(
    "BadEndpoint",
    "the endpoint is not a URL",
    "Write objectStore.endpoint like https://minio.minidata.svc:9000.",
)
UNTRUSTED: Final = Fault(
    "Untrusted",
    "the server's certificate is not trusted, is out of date or names another host",
    "Point objectStore.caFile at the CA that signed it, or renew it.",
)
NO_AUTHORITY: Final = Fault(
    "Untrusted",
    "the file of the CA cannot be read, or holds no certificate",
    "Have the CA of the object store mounted where objectStore.caFile says.",
)
UNREACHABLE: Final = Fault(
    "Unreachable",
    "the object store does not answer, or fails",
    "What lies there is found once it is up. If it is up, check objectStore.endpoint.",
    is_lasting=False,
)
NO_SUCH_NAME: Final = Fault(
    "BucketMissing", "no bucket can have this name", "Correct source.bucket."
)
BUCKET_MISSING: Final = Fault(
    "BucketMissing", "the bucket does not exist", "Create it, or correct source.bucket."
)
ACCESS_DENIED: Final = Fault(
    "AccessDenied",
    "access is denied, or there is no such bucket",
    "Let the policy of the operator's user list this bucket and set its notifications.",
)
KEYS_REFUSED: Final = Fault(
    "KeysRefused",
    "the operator's keys are refused",
    "Put the keys of its user into the Secret behind objectStore.credentials. With Vault put them "
    "at objectStore.vaultPath of the chart operator, then restart the operator.",
)
CLOCKS_DIFFER: Final = Fault(
    "ClocksDiffer", "the clocks here and there differ too much", "Have both kept by NTP."
)
ELSEWHERE: Final = Fault(
    "WrongRegion", "the bucket is in another region", "Correct objectStore.region."
)
NOT_SUPPORTED: Final = Fault(
    "NotSupported",
    "this object store keeps no notification rules",
    "Set trigger.events to false: objects are found by the resync.",
)
TARGET_MISSING: Final = Fault(
    "TargetMissing",
    "the object store does not know the target of our notifications",
    "Set webhook.enabled and webhook.endpoint of the chart minio, or correct objectStore.target.",
)
RULES_OVERLAP: Final = Fault(
    "RulesOverlap",
    "somebody else's notification rule is for the same objects, and the store allows one only",
    "Remove that rule, or set trigger.events to false.",
)

_BY_CODE: Final = {
    "NoSuchBucket": BUCKET_MISSING,
    "InvalidBucketName": NO_SUCH_NAME,
    "AccessDenied": ACCESS_DENIED,
    "InvalidAccessKeyId": KEYS_REFUSED,
    "SignatureDoesNotMatch": KEYS_REFUSED,
    "RequestTimeTooSkewed": CLOCKS_DIFFER,
    "PermanentRedirect": ELSEWHERE,
    "AuthorizationHeaderMalformed": ELSEWHERE,
    "NotImplemented": NOT_SUPPORTED,
    "UnsupportedNotification": NOT_SUPPORTED,
    "MethodNotAllowed": NOT_SUPPORTED,
    # SeaweedFS takes the request for one that creates the bucket.
    "BucketAlreadyOwnedByYou": NOT_SUPPORTED,
    "BucketAlreadyExists": NOT_SUPPORTED,
}


def fault(code: str, status: int, text: str) -> Fault:
    """What an answer of the object store means.

    Args:
        code: Its error code, which may be empty.
        status: Of HTTP.
        text: What the store says about it; looked at, never passed on.
    """
    if code == "InvalidArgument":
        # The same code for whatever it dislikes in our rules, of which only these two can be wrong.
        return RULES_OVERLAP if "overlap" in text.lower() else TARGET_MISSING
    is_denial = status in {_UNAUTHORIZED, _FORBIDDEN}
    return _BY_CODE.get(code, ACCESS_DENIED if is_denial else UNREACHABLE)
