"""svccfg and manifests on the data-only floor [services 3.5, 3.6]."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.dispatch import NOT_EMULATED, Completed
from lab.smf.svccfg_words import SyntaxTrouble, assignment, tokens
from lab.tests.zone_host import Host

DHCP = "svc:/network/service/dhcp:ipv4"
MANIFEST = """\
<?xml version='1.0'?>
<!DOCTYPE service_bundle SYSTEM '/usr/share/lib/xml/dtd/service_bundle.dtd.1'>
<service_bundle type='manifest' name='zonehookd'>
 <service name='site/hooks' type='service' version='1'>
  <create_default_instance enabled='{enabled}'/>
  <dependency name='fs' grouping='require_all' restart_on='none' type='service'>
   <service_fmri value='svc:/system/filesystem/local'/></dependency>
  <dependent name='hooks_zones' grouping='optional_all' restart_on='none'>
   <service_fmri value='svc:/system/zones:default'/></dependent>
  <method_context working_directory='/'>
   <method_credential user='root' group='root'/>
   <method_environment><envvar name='PYTHONUNBUFFERED' value='1'/></method_environment>
  </method_context>
  <exec_method type='method' name='start' exec='/opt/hooks --config %{{config/file}}' timeout_seconds='60'/>
  <exec_method type='method' name='stop' exec=':kill' timeout_seconds='60'/>
  <property_group name='startd' type='framework'>
   <propval name='ignore_error' type='astring' value='core,signal'/>
  </property_group>
  <property_group name='config' type='application'>
   <propval name='file' type='astring' value='{file}'/>
   <property name='many' type='count'>
    <count_list><value_node value='1'/><value_node value='2'/></count_list>
   </property>
  </property_group>
  <stability value='Evolving'/>
  <template><common_name><loctext xml:lang='C'>zone event daemon</loctext></common_name></template>
 </service>
</service_bundle>
"""
HOOKS = "svc:/site/hooks:default"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def svccfg(host: Host, *words: str, fmri: str = DHCP) -> Completed:
    return host.run("svccfg", "-s", fmri, *words)


def current(host: Host, name: str, fmri: str = DHCP) -> str:
    return host.good("svcprop", "-c", "-p", name, fmri).rstrip("\n")


def manifest(host: Host, enabled: str = "true", file: str = "/etc/hooks.toml", path: str = "/tmp/hooks.xml") -> str:  # noqa: S108
    target = host.file(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(MANIFEST.format(enabled=enabled, file=file))
    return path


# properties -----------------------------------------------------------------------------------------------------------


def test_several_values(host: Host) -> None:
    assert svccfg(host, "setprop", "config/listen_ifnames", "=", "astring:", "(int0 int1)") == Completed(0, "", "")
    assert current(host, "config/listen_ifnames") == "int0 int1"
    svccfg(host, "addpropvalue", "config/listen_ifnames", "astring:", "int2")
    svccfg(host, "addpropvalue", "config/listen_ifnames", "gw0")
    svccfg(host, "delpropvalue", "config/listen_ifnames", "int[01]")
    assert current(host, "config/listen_ifnames") == "int2 gw0"
    svccfg(host, "setprop", "config/listen_ifnames", "=", "()")
    assert current(host, "config/listen_ifnames") == ""


def test_words_are_joined_again_so_quoting_must_survive_twice(host: Host) -> None:
    assert svccfg(host, "setprop", "config/text", "=", "astring:", "two words").err == "svccfg: Syntax error.\n"
    assert svccfg(host, "setprop", "config/text", "=", "astring:", '"two words"').status == 0
    assert current(host, "config/text") == "two\\ words"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["setprop", "nosuch/x", "=", "astring:", "y"], 'No such property group "nosuch".'),
        (["delpg", "nosuch"], 'No such property group "nosuch".'),
        (["setprop", "config/new", "=", "y"], "Type required for new properties."),
        (["setprop", "config/new", "=", "colour:", "y"], 'Unknown type "colour".'),
        (["setprop", "config/debug", "=", "perhaps"], 'Invalid "boolean" value "perhaps".'),
        (["setprop", "config/debug"], "Syntax error."),
        (["addpg", "config", "application"], 'Property group "config" already exists.'),
    ],
)
def test_refusals(host: Host, words: list[str], complaint: str) -> None:
    assert svccfg(host, *words) == Completed(1, "", f"svccfg: {complaint}\n")


def test_who_and_what(host: Host) -> None:
    unknown = svccfg(host, "listpg", fmri="svc:/nosuch")
    assert unknown == Completed(1, "", "svccfg: Pattern 'svc:/nosuch' doesn't match any instances or services\n")
    assert svccfg(host, "frobnicate").status == NOT_EMULATED
    assert svccfg(host, "setprop", "general/enabled", "=", "false", fmri="network/physical:default").status == (
        NOT_EMULATED
    )
    denied = host.at_terminal("", "svccfg", "-s", DHCP, "setprop", "config/debug", "=", "true", privileged=False)
    assert (denied.status, denied.err) == (1, "svccfg: Permission denied.\n")
    assert host.run("svccfg", "-Q").err.startswith("Usage:\tsvccfg [-v] [-s FMRI] [-f file]\n")
    assert host.run("svccfg", "-Q").status == 2


def test_groups(host: Host) -> None:
    svccfg(host, "addpg", "mine", "application")
    svccfg(host, "setprop", "mine/n", "=", "count:", "7")
    assert svccfg(host, "listprop", "mine/*").out == "mine/n  count  7\n"
    assert ["mine", "application"] in [line.split() for line in svccfg(host, "listpg").out.splitlines()]
    svccfg(host, "delprop", "mine/n")
    assert svccfg(host, "listprop", "mine/*").out == ""
    svccfg(host, "delpg", "mine")
    assert host.run("svcprop", "-c", "-q", "-p", "mine", DHCP).status == 1


def test_the_enabled_property_is_immediate(host: Host) -> None:
    svccfg(host, "setprop", "general/enabled", "=", "boolean:", "true")
    assert host.good("svcs", "-Ho", "state", DHCP) == "online\n"


def test_a_service_lends_its_properties_to_its_instances(host: Host) -> None:
    service = "svc:/network/service/dhcp"
    svccfg(host, "addpg", "site", "application", fmri=service)
    svccfg(host, "setprop", "site/a", "=", "astring:", "theirs", fmri=service)
    assert current(host, "site/a") == "theirs"
    refused = Completed(1, "", 'svccfg: No such property group "site".\n')
    assert svccfg(host, "setprop", "site/a", "=", "ours") == refused, "the instance has none of its own"
    svccfg(host, "addpg", "site", "application")
    svccfg(host, "setprop", "site/a", "=", "ours")
    assert current(host, "site/a") == "ours"
    assert current(host, "site/a", DHCP[:-1] + "6") == "theirs"
    assert host.run("svcprop", "-C", "-q", "-p", "site/a", DHCP[:-1] + "6").status == 1


def test_command_files_stop_at_the_first_error(host: Host) -> None:
    file = host.file("/tmp/commands")  # noqa: S108
    file.parent.mkdir(exist_ok=True)
    lines = [
        f"select {DHCP}",
        "# a note",
        "setprop config/debug = true",
        "delpg nosuch",
        "setprop config/debug = false",
    ]
    file.write_text("\n".join(lines))
    done = host.run("svccfg", "-f", "/tmp/commands")  # noqa: S108
    assert done == Completed(1, "", 'svccfg (/tmp/commands, line 4): No such property group "nosuch".\n')
    assert current(host, "config/debug") == "true"
    typed = host.run("svccfg", stdin=f"select {DHCP}\nsetprop config/debug = false\nend\nfrobnicate\n")
    assert typed == Completed(0, "", "")
    assert current(host, "config/debug") == "false"


def test_environment_of_a_method(host: Host) -> None:
    svccfg(host, "setenv", "LC_ALL", "C")
    svccfg(host, "setenv", "-m", "start", "TZ", "UTC")
    assert current(host, "start/environment") == "LC_ALL=C TZ=UTC"
    svccfg(host, "unsetenv", "LC_ALL")
    assert current(host, "start/environment") == "TZ=UTC"


def test_reading_a_line() -> None:
    assert tokens('setprop a/b = astring: ("x y" "=" z\\t "")') == [
        "setprop", "a/b", "=", "astring:", "(", "x y", "=", "z\\t", "", ")",
    ]  # fmt: skip
    assert tokens("# note") == []
    assert assignment(tokens('a/b = (":" "(")')) == ("a/b", None, [":", "("])
    for wrong in ('a/b = "open', "a/b =", "a/b = x y", "a/b x", "a/b = (x", "a/b = x=y"):
        with pytest.raises(SyntaxTrouble):
            assignment(tokens(wrong))


# manifests ------------------------------------------------------------------------------------------------------------


def test_validate_and_inventory(host: Host) -> None:
    path = manifest(host)
    assert host.run("svccfg", "validate", path) == Completed(0, "", "")
    assert host.good("svccfg", "inventory", path) == f"{HOOKS}\nsvc:/site/hooks\n"
    text = host.file(path).read_text()
    first, second = text.index("  <dependency"), text.index("  <method_context")
    swapped = text[:first] + text[second:].replace("  <stability", text[first:second] + "  <stability", 1)
    wrongs = [
        swapped,
        text.replace("type='count'", "type='colour'"),
        text.replace(" timeout_seconds='60'", "", 1),
        text.replace("grouping='require_all'", "grouping='some'"),
        text.replace("value='1'", "value='one'"),
    ]
    for wrong in wrongs:
        assert wrong != text
        host.file(path).write_text(wrong)
        assert host.run("svccfg", "validate", path) == Completed(1, "", "svccfg: Document is not valid.\n")
    assert host.run("svccfg", "import", path).status == 1
    assert host.run("svcs", "hooks").status == 1


def test_import_starts_what_is_enabled(host: Host) -> None:
    assert host.run("svccfg", "import", manifest(host)) == Completed(0, "", "")
    assert host.good("svcs", "-Ho", "state,desc", HOOKS).split(None, 1) == ["online", "zone event daemon\n"]
    log = host.file("/var/svc/log/site-hooks:default.log").read_text()
    assert 'Executing start method ("/opt/hooks --config /etc/hooks.toml"). ]\n' in log
    assert host.good("svcprop", "-p", "config/many", HOOKS) == "1 2\n"
    assert "svc:/system/zones:default" in host.good("svcs", "-D", "-Ho", "fmri", HOOKS).split()


def test_a_later_import_keeps_what_an_admin_has_changed(host: Host) -> None:
    host.good("svccfg", "import", manifest(host))
    host.good("svcadm", "disable", HOOKS)
    host.good("svccfg", "import", manifest(host, file="/etc/new.toml"))
    assert (current(host, "general/enabled", HOOKS), current(host, "config/file", HOOKS)) == ("false", "/etc/new.toml")
    svccfg(host, "setprop", "config/file", "=", "/etc/mine.toml", fmri="svc:/site/hooks")
    host.good("svccfg", "import", manifest(host, file="/etc/newer.toml"))
    assert current(host, "config/file", HOOKS) == "/etc/mine.toml"


def test_delete(host: Host) -> None:
    host.good("svccfg", "import", manifest(host))
    assert host.run("svccfg", "delete", "svc:/site/hooks").status == NOT_EMULATED  # it runs
    host.good("svcadm", "disable", "-s", HOOKS)
    assert host.run("svccfg", "delete", "svc:/site/hooks") == Completed(0, "", "")
    assert host.run("svcs", HOOKS).status == 1
    host.good("svccfg", "import", manifest(host))
    assert host.good("svcs", "-Ho", "state", HOOKS) == "online\n"


def test_the_manifest_folders(host: Host) -> None:
    """Looked at when manifest-import is restarted, and when a zone boots."""
    host.install("z")
    root = "/zones/z/root"
    path = manifest(host, path=f"{root}/var/svc/manifest/site/hooks.xml")
    host.good("zoneadm", "-z", "z", "boot")
    assert host.good("svcs", "-z", "z", "-Ho", "state", HOOKS) == "online\n"
    manifest(host, file="/etc/other.toml", path=path)
    host.good("svcadm", "-z", "z", "restart", "manifest-import")
    assert host.good("svcprop", "-z", "z", "-p", "config/file", HOOKS) == "/etc/other.toml\n"
    host.good("svcadm", "-z", "z", "disable", HOOKS)
    host.file(path).unlink()
    host.good("svcadm", "-z", "z", "restart", "manifest-import")
    assert host.run("svcs", "-z", "z", HOOKS).status == 1
    assert host.run("svcs", HOOKS).status == 1
