"""nginx: the machine's own, with the paths and modules it is built with on illumos [services 6.1].

`-g` carries what Debian's build does not know by itself and the configuration does not say: where the pid is, who the
workers are, and OmniOS' stream module.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from lab import nginx_conf, packages, paper_programs, real_programs
from lab.call import Call
from lab.getopt import UNKNOWN, getopt
from lab.ipadm_conf import root_of
from lab.packages import Package
from lab.world import Dialect, NotEmulated

_OPTIONS = "?hvVtTqs:p:e:c:g:"
_WITHOUT_FILE = set("?hv")


def main(call: Call) -> int:
    options, operands = getopt(call.argv[1:], _OPTIONS)
    letters = [option.letter for option in options]
    package = packages.nginx(call.world.dialect)
    if UNKNOWN in letters or operands or _WITHOUT_FILE & set(letters):
        raise real_programs.become(call)  # it has its own words for that
    if "V" in letters:
        return _built(call, package)
    if not call.world.floor.real:
        paper_programs.deliver(call)
    value = {option.letter: option.value for option in options}
    prefix = value.get("p", package.prefix)
    config = str(PurePosixPath(prefix, value.get("c", package.config)))
    service = real_programs.unprivileged(call)
    given = value.get("g", "")
    words = ["-p", prefix, "-e", value.get("e", package.error_log), "-c", config]
    words += ["-g", " ".join([*_defaults(call, package, config, given, service), given])]
    for option in options:
        if option.letter not in "pecg":
            words += [f"-{option.letter}", *([option.value] if option.letter == "s" else [])]
    if not call.world.floor.real:
        return _on_paper(call, package, words)
    raise real_programs.become_daemon(call, words, "nginx" if service else "")


def _defaults(call: Call, package: Package, config: str, given: str, service: bool) -> list[str]:
    root = root_of(call.world, call.zone)
    folder = str(PurePosixPath(config).parent)
    said = set(nginx_conf.top(given, folder, root))
    file = root / config.lstrip("/")
    if file.is_file():
        said |= set(nginx_conf.top(file.read_text(errors="replace"), folder, root))
    made = [f"load_module {packages.STREAM};"] if call.world.dialect is Dialect.OMNIOS else []
    if "pid" not in said:
        made.append(f"pid {package.pid};")
    if "user" not in said and not service:
        made.append("user nginx nginx;")
    return made


def _on_paper(call: Call, package: Package, words: list[str]) -> int:
    """A test is a test; a signal reaches a service that counts as running, if the configuration is well."""
    if "-s" not in words and not {"-t", "-T"} & set(words):
        raise NotEmulated(f"{' '.join(call.argv)} without processes")
    if "-s" in words and paper_programs.runs(call, package.fmri):
        at = words.index("-s")
        if paper_programs.check(call, [*words[:at], *words[at + 2 :], "-t"]).returncode == 0:
            return 0
    return paper_programs.tell(call, paper_programs.check(call, words))


def _built(call: Call, package: Package) -> int:
    """``-V``; the arguments are what the sheet knows of the packages' builds."""
    place = f"{real_programs.FOLDER}/nginx"
    done = call.spawn([place if Path(place).exists() else "nginx", "-V"], {"PATH": "/usr/sbin:/usr/bin"})
    call.err("".join(f"{line}\n" for line in done.stderr.decode().splitlines() if not line.startswith("configure")))
    modules = ["--with-http_ssl_module", "--with-http_v2_module", "--with-http_stub_status_module"]
    stream = ["--with-stream"] if call.world.dialect is Dialect.OMNIOS else []
    call.err(f"configure arguments: {' '.join([f'--prefix={package.prefix}', *modules, *stream])}\n")
    return done.returncode
