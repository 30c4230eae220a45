"""A manifest like the sheet's [services 3.6]: what of it counts, what makes it invalid, what its going takes along."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.dispatch import Completed
from lab.tests.bench import Machine
from lab.tests.test_smf_restarter import PRELUDE
from lab.tests.test_smf_svccfg import HOOKS, manifest
from lab.tests.zone_host import Host

CREDENTIAL = "<method_credential user='root' group='root'/>"
ENVIRONMENT = "<method_environment><envvar name='PYTHONUNBUFFERED' value='1'/></method_environment>"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (f"{CREDENTIAL}\n   {ENVIRONMENT}", f"{ENVIRONMENT}\n   {CREDENTIAL}"),
        (CREDENTIAL, f"{CREDENTIAL}{CREDENTIAL}"),
        (CREDENTIAL, f"<method_profile name='x'/>{CREDENTIAL}"),
        ("group='root'", "groups='root'"),
        ("<method_context working_directory='/'>", "<method_context working_directory='/' home='/'>"),
        ("<envvar ", "<variable "),
        ("  <exec_method", "  <stability value='Evolving'/>\n  <exec_method"),
        ("  <create_default_instance", "  <single_instance/>\n  <create_default_instance"),
        ("   <service_fmri value='svc:/system/zones:default'/>", ""),
    ],
)
def test_a_document_that_is_not_valid(host: Host, old: str, new: str) -> None:
    path = manifest(host)
    text = host.file(path).read_text()
    assert old in text
    host.file(path).write_text(text.replace(old, new, 1))
    for word in ("validate", "import"):
        assert host.run("svccfg", word, path) == Completed(1, "", "svccfg: Document is not valid.\n")


def test_privileges_are_kept_as_properties(host: Host) -> None:
    path = manifest(host)
    wanted = "user='root' group='root' supp_groups='sys' privileges='basic,net_privaddr' limit_privileges='all'"
    text = host.file(path).read_text()
    host.file(path).write_text(text.replace("user='root' group='root'", wanted))
    host.good("svccfg", "import", path)
    for name, value in (
        ("user", "root"),
        ("supp_groups", "sys"),
        ("privileges", "basic,net_privaddr"),
        ("limit_privileges", "all"),
    ):
        assert host.good("svcprop", "-p", f"start/{name}", HOOKS) == f"{value}\n"


def test_a_token_of_a_property_that_is_not_there_is_said_loudly(host: Host) -> None:
    path = manifest(host)
    text = host.file(path).read_text()
    host.file(path).write_text(text.replace("%{config/file}", "%{config/flie}"))
    host.good("svccfg", "import", path)
    assert host.good("svcs", "-Ho", "state", HOOKS) == "maintenance\n"
    log = host.file("/var/svc/log/site-hooks:default.log").read_text()
    assert "zonelab: not emulated: the token %{config/flie}: svc:/site/hooks:default has no such property" in log


def test_the_dependency_on_others_goes_with_the_service(host: Host) -> None:
    host.good("svccfg", "import", manifest(host))
    assert HOOKS in host.good("svcs", "-Ho", "fmri", "-d", "system/zones")
    assert host.good("svcs", "-Ho", "fmri", "-D", HOOKS) == "svc:/system/zones:default\n"
    assert "dependency   optional_all/none svc:/site/hooks (online)" in host.good("svcs", "-l", "system/zones")
    host.good("svcadm", "disable", "-s", HOOKS)
    host.good("svccfg", "delete", "svc:/site/hooks")
    assert host.good("svcs", "-Ho", "fmri", "-d", "system/zones") == "svc:/milestone/multi-user-server:default\n"
    assert "hooks" not in host.good("svcs", "-l", "system/zones")


@pytest.mark.namespaces
def test_a_service_of_ones_own_on_a_real_host(ours: Machine) -> None:
    """Tokens, members, a contract emptied by kill -9 in spite of ignore_error, a stop that waits, its log."""
    lines = ours.script(
        PRELUDE
        + r"""
        ignore="<propval name='duration' type='astring' value='contract'/>\
<propval name='ignore_error' type='astring' value='core,signal'/>"
        service a 'echo started %f %i %m %{startd/ignore_error}; sleep 99 &amp;' \
            :kill "" "$ignore"
        state a online; grep ^started /var/svc/log/site-a:default.log
        processes sleep 1; was=$(contract a); svcs -H -p site/a | tail -1 | awk '{print $NF}'
        kill -9 $(pgrep -c $was); gone a $was; state a online; starts a
        was=$(contract a); svcadm -v restart site/a; gone a $was; state a online; svcadm -v disable -s site/a
        svcs -L site/a
        sed -n 's/^\[ [A-Z][a-z][a-z] [ 1-3][0-9] [0-9:]\{8\} \(.*\) \]$/\1/p' /var/svc/log/site-a:default.log |
            grep -v '"start"\|start method'
        """
    ).splitlines()
    assert lines == [
        "online", "started svc:/site/a:default default start core,signal",
        "1", "sleep",
        "online", "2",
        "Action restart set for svc:/site/a:default.", "online", "svc:/site/a:default disabled.",
        "/var/svc/log/site-a:default.log",
        "Enabled.",
        "Stopping because all processes in service exited.",
        "Executing stop method (:kill).",
        "Stopping because service restarting.",
        "Executing stop method (:kill).",
        "Stopping because service disabled.",
        "Executing stop method (:kill).",
    ]  # fmt: skip


@pytest.mark.namespaces
def test_how_often_is_too_often_can_be_said(ours: Machine) -> None:
    """Both words are needed; then two starts within a mean of a minute are too many [services 3.7]."""
    lines = ours.script(
        PRELUDE
        + r"""
        count="<propval name='critical_failure_count' type='integer' value='2'/>"
        period="<propval name='critical_failure_period' type='integer' value='60'/>"
        service both 'sleep 0.1 &amp;' :kill "" "$count$period"; state both maintenance; starts both; reason both
        service one 'sleep 0.1 &amp;' :kill "" "$count"; state one maintenance; starts one
        """
    ).splitlines()
    assert lines == ["maintenance", "2", "Restarting too quickly.", "maintenance", "5"]
