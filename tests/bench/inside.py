"""``python -m bench.inside MODULE FUNCTION OPTIONS``: on the lab host; the samples are the last line printed."""

from __future__ import annotations

import importlib
import json
import sys


def main() -> None:
    module, function, options = sys.argv[1:4]
    samples = getattr(importlib.import_module(module), function)(**json.loads(options))
    print(json.dumps(samples))


if __name__ == "__main__":
    main()
