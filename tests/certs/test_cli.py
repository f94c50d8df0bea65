"""The commands, called as a shell would call them."""

import json
import re

import pytest

from certs import cli, kubectl
from certs.folder import open_folder
from certs.pair import names_of
from tests.certs.making import DAY, NAMES, NOW, contents, issued, now


@pytest.fixture
def run(tmp_path, capsys):
    """Run a command on a folder; returns its exit code and what it wrote to stdout and stderr."""

    def run_command(*words):
        code = cli.main([*words, f"--out={tmp_path / 'out'}"], NOW)
        return code, *capsys.readouterr()

    return run_command


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def names_in(out, service):
    with open_folder(out) as folder:
        return names_of(folder.look([service]).leaves[service].certificate)


def lines(text):
    """The lines of a table, their columns by one blank."""
    return [re.sub(r" {2,}", " ", line) for line in text.splitlines()]


def test_issue_tells_what_it_did_and_why(run):
    code, said, _ = run("issue", "--days=30")
    assert code == 0
    assert lines(said)[:2] == [
        "ca issued 3650 days left missing",
        "minio issued 30 days left missing",
    ]
    code, said, _ = run("issue")
    assert code == 0
    assert [line.split()[:2] for line in said.splitlines()] == [[n, "kept"] for n in ["ca", *NAMES]]


def test_issue_with_all_its_options(run, out):
    extra = ["--dns=metabase=bi.example.org", "--dns=metabase=bi.example.com"]
    run("issue", "--namespace=shop", *extra)
    assert names_in(out, "metabase")[-2:] == ("bi.example.org", "bi.example.com")
    assert "minio.shop.svc" in names_in(out, "minio")
    assert "bi.example.org" not in names_in(out, "minio")

    before = contents(out)
    _, said, _ = run("issue", "--namespace=shop", *extra, "--renew")
    assert lines(said)[1] == "minio issued 90 days left asked for"
    assert contents(out)["ca.pem"] == before["ca.pem"]


def test_a_new_ca_comes_with_the_advice_what_to_do_next(run):
    run("issue")
    code, said, _ = run("issue", "--renew-ca")
    assert code == 0
    assert lines(said)[0] == "ca issued 3650 days left asked for"
    assert "then let the new one sign: issue --renew, apply." in said.splitlines()[-1]


def test_a_ca_that_is_due_is_mentioned(run, out):
    issued(out, NOW - 2500 * DAY)
    _, said, _ = run("issue")
    assert "--renew-ca" in said.splitlines()[-1]


def test_show_lists_everything(run, out):
    run("issue")
    code, said, _ = run("show")
    assert code == 0
    head, ca, minio, *rest = lines(said)
    assert head == "CERTIFICATE STATE DAYS LEFT EXPIRES ISSUER NAMES"
    assert re.fullmatch(r"ca ok 3650 \d{4}-\d\d-\d\d minidata CA [0-9a-f]{8}", ca)
    assert re.fullmatch(r"minio ok 90 \d{4}-\d\d-\d\d minidata CA [0-9a-f]{8} minio .* ::1", minio)
    assert [line.split()[0] for line in rest] == NAMES[1:]


def test_show_marks_what_is_due_and_is_content_with_it(run, out):
    issued(out, NOW - 70 * DAY)
    code, said, _ = run("show")
    assert code == 0
    assert [line.split()[1] for line in said.splitlines()[1:]] == ["ok"] + ["due"] * len(NAMES)


def lose(out):
    (out / "vault.pem").unlink()


def spoil(out):
    (out / "vault.pem").write_text("garbage")


def spoil_the_ca(out):
    (out / "ca.pem").write_text("garbage")


def distrust(out):
    (out / "ca.crt").unlink()


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lose, "vault missing"),
        (spoil, "vault damaged it holds no certificate that can be read"),
        (spoil_the_ca, "ca damaged it holds no certificate that can be read"),
        (distrust, "ca missing"),
    ],
)
def test_show_ends_with_1_when_something_cannot_be_used(run, out, harm, told):
    issued(out, NOW)
    assert run("show")[0] == 0
    harm(out)
    code, said, _ = run("show")
    assert code == 1
    assert told in lines(said)


def test_show_ends_with_1_when_something_is_expired(run, out):
    issued(out, NOW - 100 * DAY)
    code, said, _ = run("show")
    assert code == 1
    assert lines(said)[2].startswith("minio expired -10 ")


def test_show_names_the_former_ca(run):
    run("issue")
    run("issue", "--renew-ca")
    _, said, _ = run("show")
    assert [line.split(" ok ")[0] for line in lines(said)[1:4]] == ["ca", "ca, former", "minio"]


def test_apply_hands_over_the_manifests(run, monkeypatch):
    given = []
    monkeypatch.setattr(kubectl, "apply", lambda *args: given.append(args))
    run("issue", "--namespace=shop")
    assert run("apply", "--namespace=shop", "--context=kind-x")[0] == 0
    [(manifests, context)] = given
    assert context == "kind-x"
    assert [(m["kind"], m["metadata"]["name"]) for m in manifests] == [
        ("ConfigMap", "minidata-ca"),
        *(("Secret", f"{name}-tls") for name in NAMES),
    ]
    assert {m["metadata"]["namespace"] for m in manifests} == {"shop"}
    assert json.dumps(manifests)


def test_apply_sends_nothing_that_is_for_another_namespace(run, monkeypatch):
    monkeypatch.setattr(kubectl, "apply", lambda *_: pytest.fail("nothing shall be applied"))
    run("issue")
    code, said, complaint = run("apply", "--namespace=shop")
    assert (code, said) == (2, "")
    assert "for another namespace" in complaint


@pytest.mark.parametrize("command", ["show", "apply"])
def test_before_the_first_issue(run, out, command):
    code, said, complaint = run(command)
    assert (code, said) == (2, "")
    assert complaint == (
        f"certs: {out}: no such folder. Run `python -m certs issue` first.\n"
    )  # fmt: skip
    assert not out.exists()


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["issue", "--days=0"],
        ["issue", "--days=-1"],
        ["issue", "--days=3651"],
        ["issue", "--days=soon"],
        ["issue", "--namespace=a.b"],
        ["issue", "--dns=bi.example.org"],
        ["issue", "--dns=nobody=bi.example.org"],
        ["issue", "--dns=minio=*.example.org"],
        ["issue", "--dns=minio=10.0.0.1"],
        ["apply", "--namespace=UPPER"],
    ],
)
def test_words_that_make_no_sense_change_nothing(run, out, words):
    with pytest.raises(SystemExit) as ended:
        run(*words)
    assert ended.value.code == 2
    assert not out.exists()


@pytest.mark.parametrize("command", [[], ["issue"], ["show"], ["apply"]])
def test_help_needs_nothing(capsys, command):
    with pytest.raises(SystemExit) as ended:
        cli.main([*command, "--help"])
    assert ended.value.code == 0
    assert "usage: python -m certs" in capsys.readouterr().out


def test_no_output_holds_a_key(run, out):
    said = "".join(
        text
        for words in (["issue"], ["show"], ["issue", "--renew"], ["issue", "--renew-ca"])
        for text in run(*words)[1:]
    )
    secret = {
        line
        for name in ["ca", *NAMES]
        for line in contents(out)[f"{name}.pem"].decode().splitlines()
    }
    assert secret
    assert not secret & set(said.splitlines())


def test_by_default_it_is_now(out, capsys):
    before = now()
    assert cli.main(["issue", f"--out={out}"]) == 0
    with open_folder(out) as folder:
        leaf = folder.look(["minio"]).leaves["minio"]
    assert before + 90 * DAY <= leaf.certificate.not_valid_after_utc <= now() + 90 * DAY
    assert capsys.readouterr().err == ""
