"""The machine's own nginx as a judge of configurations: it only tests them."""

from __future__ import annotations

import subprocess
from pathlib import Path

from zonehookd.illumos import nginx

STREAM = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def main(folder: Path, http: str = "") -> str:
    """An admin's nginx.conf that an ordinary user can test."""
    paths = "".join(f"    {name}_temp_path {folder}/{name};\n" for name in _TEMPORARY)
    return (
        f"load_module {STREAM};\npid {folder}/pid;\nerror_log {folder}/error.log;\nevents {{ }}\n"
        f"http {{\n    access_log off;\n{paths}{http}}}\n"
    )


def judged(folder: Path, config: str, top: str, http: str = "") -> str:
    """What stops nginx from taking our texts; "" for nothing."""
    (folder / "http.conf").write_text(config)
    text = nginx.put(main(folder, http), "nginx", top.replace("{path}", str(folder / "http.conf")))
    (folder / "nginx.conf").write_text(text)
    argv = ["nginx", "-t", "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else nginx.complaint(done.stderr)
