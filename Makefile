# Two commands matter: `make demo` shows the main job, `make test` proves it. Both set up what they need.
.PHONY: demo test bench shell setup lock clean
PYTHON := .venv/bin/python

demo: setup
	@tests/lab/zonelab run -- sh tests/demo.sh

test: setup
	@$(PYTHON) -m pytest -n 2 --dist loadscope $(ARGS)

bench: setup
	@PYTHONPATH=.:tests $(PYTHON) -m bench $(ARGS)

# A shell on a throw-away illumos host with zonehookd at hand.
shell: setup
	@tests/lab/zonelab run -- env PATH="$(CURDIR)/.venv/bin:$$PATH" bash

setup:
	@sh tests/setup.sh

# After a change of the dependencies in pyproject.toml; needs pip-tools.
lock:
	pip-compile --quiet --generate-hashes --strip-extras --extra dev --allow-unsafe --no-emit-index-url \
	    --no-emit-find-links --no-emit-trusted-host -o requirements.lock pyproject.toml

clean:
	rm -rf .venv tests/lab/native/build .mypy_cache .ruff_cache .pytest_cache .hypothesis
