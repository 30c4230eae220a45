# Two commands matter: `make demo` shows the main job, `make test` proves it. Both set up what they need.
.PHONY: demo test bench shell docs setup lock clean install uninstall gate package-ips package-svr4
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

# The documentation, into build/docs; what does not fit is an error.
docs: setup
	@$(PYTHON) -m sphinx -E -W --keep-going -q -b html docs build/docs

setup:
	@sh tests/setup.sh

# On illumos: zonehookd as an SMF service, see smf/README.md. DESTDIR, PREFIX, MANIFESTDIR, DEPS=no, PYTHON=/usr/bin/python3.
FOR_SMF = DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' MANIFESTDIR='$(MANIFESTDIR)' DEPS='$(DEPS)' \
    CC='$(if $(filter default,$(origin CC)),,$(CC))' \
    PYTHON='$(if $(filter command environment,$(firstword $(origin PYTHON))),$(PYTHON),python3)'

install uninstall:
	@$(FOR_SMF) sh smf/install.sh $@

# Into build/ips and build/svr4; REPOSITORY publishes the first.
package-ips package-svr4:
	@$(FOR_SMF) REPOSITORY='$(REPOSITORY)' sh smf/packaging/package.sh $(@:package-%=%)

# The program that a brand's hooks run; `install` makes its own.
gate:
	$(CC) -O2 -Wall -Wextra -Werror -o zonehookd/gate/gate zonehookd/gate/gate.c

# After a change of the dependencies in pyproject.toml; needs pip-tools.
lock:
	pip-compile --quiet --generate-hashes --strip-extras --extra dev --allow-unsafe --no-emit-index-url \
	    --no-emit-find-links --no-emit-trusted-host -o requirements.lock pyproject.toml
	pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url --no-emit-find-links \
	    --no-emit-trusted-host -c requirements.lock -o smf/packaging/requirements.txt pyproject.toml

clean:
	rm -rf .venv build zonehookd/gate/gate tests/lab/native/build .mypy_cache .ruff_cache .pytest_cache .hypothesis
