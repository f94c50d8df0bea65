"""What `charts/vault` renders for the injector, and the Job that waits until it can be called."""

import base64
import json
import ssl
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import trustme

from tests.charts.local_pod import LocalPod
from tests.charts.support import NAMESPACE, named, of_kind, pod_of, render, selects
from tests.charts.vault_chart import EVERYTHING, environ_of, made_by

AUTO = {"injector": {"replicas": 1, "tls": {"auto": True}}}
HOST = f"vault-injector.{NAMESPACE}.svc"
WEBHOOK = f"vault-{NAMESPACE}-injector"


@pytest.fixture(scope="module")
def default():
    return render("vault")


@pytest.fixture(scope="module")
def everything():
    return render("vault", EVERYTHING)


@pytest.fixture(scope="module")
def auto():
    return render("vault", AUTO)


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def configuration_of(documents):
    (found,) = of_kind(documents, "MutatingWebhookConfiguration")
    return found


def webhook_of(documents):
    (found,) = configuration_of(documents)["webhooks"]
    return found


# --- the webhook ----------------------------------------------------------------------------------


def test_pod_that_wants_an_agent_does_not_start_without(default):
    webhook = webhook_of(default)
    assert (webhook["failurePolicy"], webhook["timeoutSeconds"]) == ("Fail", 10)
    assert webhook["sideEffects"] == "None"
    assert webhook["objectSelector"] == {"matchLabels": {"minidata.io/vault-agent": "true"}}
    (rule,) = webhook["rules"]
    assert (rule["operations"], rule["resources"]) == (["CREATE"], ["pods"])


def test_pods_of_other_namespaces_never_wait_for_it(default, everything):
    def asked(documents, namespace):
        labels = {"kubernetes.io/metadata.name": namespace}
        return selects(webhook_of(documents)["namespaceSelector"], labels)

    names = (NAMESPACE, "returns", "kube-system")
    assert [asked(default, name) for name in names] == [True, False, False]
    assert [asked(everything, name) for name in names] == [True, True, False]


def test_webhook_leads_to_the_injector(default):
    service = webhook_of(default)["clientConfig"]["service"]
    assert (service["namespace"], service["path"]) == (NAMESPACE, "/mutate")
    spec = named(default, "Service", service["name"])["spec"]
    (port,) = spec["ports"]
    injector = pod_of(default, "Deployment")
    assert selects({"matchLabels": spec["selector"]}, injector.labels)
    assert port["port"] == service["port"] == 443
    assert injector.containers[0]["ports"] == [{"name": port["targetPort"], "containerPort": 8080}]
    assert environ_of(injector)["AGENT_INJECT_LISTEN"] == ":8080"


def test_api_server_is_told_the_ca_by_values_or_by_cert_manager(default, everything, authority):
    pem = authority.cert_pem.bytes().decode()
    given = webhook_of(render("vault", {"injector": {"tls": {"caBundle": pem}}}))
    assert base64.b64decode(given["clientConfig"]["caBundle"]).decode() == pem
    annotations = configuration_of(everything)["metadata"]["annotations"]
    made = annotations["cert-manager.io/inject-ca-from"].removeprefix(f"{NAMESPACE}/")
    assert named(everything, "Certificate", made)["spec"]["secretName"] == "vault-injector-tls"
    for documents in (default, everything):
        assert "caBundle" not in webhook_of(documents)["clientConfig"]


# --- the injector ---------------------------------------------------------------------------------


def test_certificate_is_of_the_secret_unless_the_injector_makes_it(default, auto):
    environ = environ_of(pod_of(default, "Deployment"))
    assert environ["AGENT_INJECT_TLS_CERT_FILE"] == "/tls/tls.crt"
    assert environ["AGENT_INJECT_TLS_KEY_FILE"] == "/tls/tls.key"
    assert "AGENT_INJECT_TLS_AUTO" not in environ
    environ = environ_of(pod_of(auto, "Deployment"))
    assert environ["AGENT_INJECT_TLS_AUTO"] == configuration_of(auto)["metadata"]["name"]
    assert environ["AGENT_INJECT_TLS_AUTO_HOSTS"] == HOST
    assert "AGENT_INJECT_TLS_CERT_FILE" not in environ


def test_agents_are_given_address_authority_and_image_of_the_server(default):
    injector = pod_of(default, "Deployment")
    environ = environ_of(injector)
    server = pod_of(default, "StatefulSet")
    assert environ["AGENT_INJECT_VAULT_ADDR"] == f"https://vault.{NAMESPACE}.svc:8200"
    assert environ["AGENT_INJECT_VAULT_IMAGE"] == server.containers[0]["image"]
    (authority,) = (e for e in injector.containers[0]["env"] if e["name"].endswith("CACERT_BYTES"))
    key = {"configMapKeyRef": {"name": "minidata-ca", "key": "ca.crt"}}
    assert authority == {"name": "AGENT_INJECT_VAULT_CACERT_BYTES", "valueFrom": key}


def test_probes_ask_over_tls(default):
    (injector,) = pod_of(default, "Deployment").containers
    probes = [injector[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")]
    asked = {(probe["scheme"], probe["port"], probe["path"]) for probe in probes}
    assert asked == {("HTTPS", "https", "/health/ready")}


def test_one_injector_answers_whatever_is_drained_or_rolled(default):
    spec = named(default, "Deployment", "vault-injector")["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_injector_can_be_left_out():
    found = render("vault", {"injector": {"enabled": False}})
    assert not [d for d in found if "injector" in d["metadata"]["name"]]


# --- the Job that waits ---------------------------------------------------------------------------


def test_check_comes_after_the_setup(default):
    jobs = [named(default, "Job", f"vault-{name}") for name in ("setup", "injector-check")]
    hooks = [job["metadata"]["annotations"] for job in jobs]
    before, after = (int(hook.get("helm.sh/hook-weight", 0)) for hook in hooks)
    assert before < after


@contextmanager
def server(authority, answers, host="localhost"):
    """A server that answers each path like this, over TLS; gives its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, body = answers.get(self.path, (404, b""))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Say nothing."""

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(host).configure_cert(context)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        made.socket = context.wrap_socket(made.socket, server_side=True)
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        try:
            yield made.server_address[1]
        finally:
            made.shutdown()
            thread.join()


PATH = f"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/{WEBHOOK}"
READY = {"/health/ready": (204, b"")}


def pem_of(authority):
    return authority.cert_pem.bytes()


def webhook(bundle):
    """What the API server says of a webhook that knows this CA."""
    config = {"caBundle": base64.b64encode(bundle).decode()} if bundle else {}
    return {PATH: (200, json.dumps({"webhooks": [{"clientConfig": config}]}).encode())}


def check(documents, authority, folder, api, injector):
    """Run the Job's own command, files and environment; exit code and what it says."""
    files = {
        "vault-injector-check": named(documents, "ConfigMap", "vault-injector-check")["data"],
        "kube-root-ca.crt": {"ca.crt": pem_of(authority).decode()},
    }
    addresses = {
        "https://kubernetes.default.svc": f"https://localhost:{api}",
        f"{HOST}:443": f"localhost:{injector}",
    }
    job = made_by(documents, "Job/vault-injector-check")
    pod = LocalPod.make(job, folder, files, addresses)
    account = folder / "var/run/secrets/kubernetes.io/serviceaccount"
    (account / "token").write_text("the pod's own", "utf-8")
    python, *arguments = pod.argv
    assert python == "/opt/venv/bin/python"
    done = subprocess.run(
        [sys.executable, *arguments],
        # There is no use in waiting for what never gets better.
        env=pod.environ | {"WAIT_SECONDS": "0"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).strip()


def test_passes_where_the_api_server_could_call_it(default, authority, tmp_path):
    with (
        server(authority, webhook(pem_of(authority))) as api,
        server(authority, READY) as injector,
    ):
        code, said = check(default, authority, tmp_path, api, injector)
    assert (code, said) == (
        0,
        f"ok: the injector is ready, and webhook {WEBHOOK} knows its certificate's CA",
    )


@pytest.mark.parametrize(
    ("configuration", "injector", "words"),
    [
        (webhook(b""), READY, f"webhook {WEBHOOK} has no caBundle"),
        (webhook(b"nonsense"), READY, f"the caBundle of webhook {WEBHOOK} is no certificate"),
        (webhook(pem_of(trustme.CA())), READY, "localhost's certificate is refused"),
        ({PATH: (403, b"")}, READY, f"the API server answers 403 when asked for webhook {WEBHOOK}"),
        (None, {"/health/ready": (500, b"")}, "localhost answers 500"),
    ],
    ids=["no CA", "not a CA", "another CA", "no right to look", "not ready"],
)
def test_says_why_the_api_server_could_not(
    default, authority, tmp_path, configuration, injector, words
):
    answers = configuration or webhook(pem_of(authority))
    with server(authority, answers) as api, server(authority, injector) as port:
        code, said = check(default, authority, tmp_path, api, port)
    assert code == 1
    assert said.startswith(f"FAILED: {words}")


def test_certificate_of_another_host_is_refused(default, authority, tmp_path):
    with (
        server(authority, webhook(pem_of(authority))) as api,
        server(authority, READY, host="stranger") as injector,
    ):
        code, said = check(default, authority, tmp_path, api, injector)
    assert code == 1
    assert "certificate is refused" in said
