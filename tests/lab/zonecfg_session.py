"""One run of `zonecfg`: the handle being edited, the errors noted, verification and commit [zones 4.1, 4.4]."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lab import brands
from lab.call import Call, Exit
from lab.world import Refused
from lab.zonecfg_grammar import VERBS
from lab.zonecfg_model import Spec, specs, verify_resources
from lab.zonefiles import ZonecfgError, ZoneConfig, index_entry, kernel_zone, load, save
from lab.zonexml import Resource, render

BAD_NAME = "Bogus zone name"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", re.ASCII)
REQUIRED_MISSING = "Required property missing"


def valid_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and name != "global"


@dataclass
class Scope:
    """An open resource. `old` is the one it replaces, None for a new one."""

    spec: Spec
    resource: Resource
    old: Resource | None = None


class Session:
    def __init__(self, call: Call, zone: str, file: str = "") -> None:
        """`file` is the name of -f, "" otherwise; with it the first noted error ends the run."""
        self.call = call
        self.world = call.world
        self.zone = zone
        self.file = file
        self.line = 0
        self.config: ZoneConfig | None = None
        self.saved_name: str | None = None  # as it is on disk; None: nothing there yet
        self.fresh = False  # create -F: the index line starts anew
        self.scope: Scope | None = None
        self.need_to_commit = False
        self.saw_error = False
        self.done = False
        self._reported_line = -1

    # messages ------------------------------------------------------------------------------------------------
    def say(self, message: str) -> None:
        """An error line, without noting the error."""
        if self.file and self._reported_line != self.line:
            self._reported_line = self.line
            self.call.err(f"On line {self.line} of {self.file}:\n")
        self.call.err(message + "\n")

    def error(self, message: str) -> None:
        self.say(message)
        self.saw_error = True

    def syntax_error(self, token: str) -> None:
        where = f" on line {self.line}" if self.file else ""
        self.call.err(f"syntax error{where} at '{token}'\n")
        self.call.err("".join(f"\t{verb}\n" for verb in VERBS))
        self.saw_error = True

    def usage(self, text: str) -> None:
        self.call.err(f"usage:\n\t{text}\n")
        self.saw_error = True

    # the handle ----------------------------------------------------------------------------------------------
    def initialize(self) -> ZoneConfig | None:
        """The configuration to work on, read on first use; None, and the error, when there is no such zone."""
        if self.config is None:
            try:
                if not self.zone.startswith("SUNW") and index_entry(self.world, self.zone) is None:
                    raise ZonecfgError("No such zone configured")
                self.config = load(self.world, self.zone)
            except ZonecfgError as trouble:
                self.error(f"{self.zone}: {trouble.text}")
                return None
            self.saved_name = self.zone
            self.check_brand(self.config)
        return self.config

    def check_brand(self, config: ZoneConfig) -> brands.Brand:
        """Leaves at once when the brand is unusable."""
        try:
            return brands.open_brand(self.world, config.brand)
        except brands.InvalidBrand:
            self.say(f'Zone {self.zone} uses non-existent brand "{config.brand}".  Unable to continue')
            raise Exit(1) from None

    def read_only(self, verb: str) -> bool:
        """True, and the error, when `verb` may not change this zone."""
        if self.zone.startswith("SUNW"):
            self.error(f"{self.zone}: zones beginning with SUNW are read-only.")
            return True
        if not self.call.privileged:
            self.error(f"{self.zone}: cannot {verb} in read-only mode.")
            return True
        return False

    @property
    def specs(self) -> dict[str, Spec]:
        return specs(self.world.dialect)

    def installed(self) -> bool:
        """Installed or above."""
        name = self.saved_name or self.zone
        entry = index_entry(self.world, name)
        return kernel_zone(self.world, name) is not None or (entry is not None and entry.state == "installed")

    # questions -----------------------------------------------------------------------------------------------
    def ask(self, question: str) -> bool | None:
        """None when there is no terminal to ask at."""
        if not self.call.stdin_tty or self.file:
            return None
        self.call.out(f"{question} (y/[n])? ")
        self.call.stdout.flush()
        return self.call.stdin.readline().strip().lower().startswith(b"y")

    def ignored(self, verb: str, head: str = "Input not from terminal and -F not specified:") -> Exit:
        """What to raise when a command needs -F."""
        self.say(head)
        self.call.err(f"{verb} command ignored, exiting.\n")
        return Exit(1)

    # verification and commit ---------------------------------------------------------------------------------
    def verify(self) -> str:
        """The libzonecfg text of what is wrong, "" when nothing is."""
        config = self.config
        assert config is not None
        result = ""
        if "zonepath" not in config.attributes:
            self.error("zonepath not specified")
            result = REQUIRED_MISSING
        if not config.zonepath:
            self.error("zonepath cannot be empty.")
            result = REQUIRED_MISSING
        brand = self.check_brand(config)
        problems = verify_resources(config, self.world.dialect)
        for problem in problems:
            self.error(problem)
        if problems:
            missing = any(problem.endswith("not specified") for problem in problems)
            result = REQUIRED_MISSING if missing else "Incompatible settings"
        return result or self._verify_brand(config, brand)

    def _verify_brand(self, config: ZoneConfig, brand: brands.Brand) -> str:
        text = brand.text("verify_cfg")
        if not text:
            return ""
        with tempfile.TemporaryDirectory() as folder:
            temporary = Path(folder) / "zonecfg_verify.000000"
            temporary.write_text(render(config))
            try:
                line = f"{brands.expand(text, config.name, config.zonepath)} {temporary}"
            except brands.TooLong:
                return "Brand-specific error"
            return "" if brands.run_through(self.call, line, self.call.environ) == 0 else "Brand-specific error"

    def verified(self) -> bool:
        """The verify command's and commit's common part, with its messages."""
        wrong = self.verify()
        if wrong:
            self.error(f"Zone {self.zone} failed to verify")
            self.error(f"{self.zone}: {wrong}")
        return not wrong

    def commit(self) -> bool:
        config = self.config
        assert config is not None
        if not self.verified():
            self.error("Configuration not saved.")
            return False
        try:
            self.call.operate()
        except Refused as refused:
            self.error(f"{self.zone}: {refused.status}")
            self.error("Configuration not saved.")
            return False
        renamed = self.saved_name if self.saved_name not in (None, config.name) else None
        save(self.world, config, renamed, self.fresh, self.call.half_way)
        self.saved_name = config.name
        self.fresh = False
        self.need_to_commit = False
        return True

    def finish(self) -> int:
        """What happens when the commands are over; the exit status."""
        if self.scope is not None:
            if self.file and self.saw_error:
                self.scope = None
            else:
                self.error("Resource incomplete.")
                return 1
        if self.need_to_commit and self.config is not None and not self.commit():
            return 1
        return 1 if self.saw_error else 0
