# `make demo` is the place to start. Each target sets up what it needs (.venv, packages) by itself.
.PHONY: demo test check bench bench-client bench-coldstart bench-publish stress docs deb image testdrive-vm test-nova clean

demo:  ; @.ci/setup && .venv/bin/python -m demo
test:  ; @.ci/setup test && .venv/bin/python -m pytest $(ARGS)
check: ; @.ci/setup && .venv/bin/ruff format --check -q . && .venv/bin/ruff check . && .venv/bin/mypy && .venv/bin/lint-imports
bench: ; @.ci/setup && .venv/bin/python -m benchmarks $(ARGS)
bench-coldstart: ; @.ci/setup test && .venv/bin/python -m benchmarks.coldstart $(ARGS)
bench-client: ; @.ci/setup test && .venv/bin/python -m benchmarks.client $(ARGS)
bench-publish: ; @.ci/setup && .venv/bin/python -m benchmarks.publish $(ARGS)
stress: ; @.ci/setup test && SWREPO_STRESS=long .venv/bin/python -m pytest tests/stress $(ARGS)
docs:  ; @.ci/setup && .venv/bin/python -m swrepo.cli.reference docs && .venv/bin/python -m swrepo.cli.shared_files packaging/share
image: ; @.ci/setup && .venv/bin/python packaging/deb.py dist && .venv/bin/swrepo image build server client worker --package dist/swrepo_*.deb $(ARGS)
testdrive-vm: ; @.ci/setup && .venv/bin/python -m testdrive . $(ARGS)
test-nova: ; @.ci/setup nova && SWREPO_OPENSTACK=$(CURDIR)/.venv-nova .venv/bin/python -m pytest tests/cloud/test_whole_cloud.py $(ARGS)
deb:   ; @.ci/setup && .venv/bin/python packaging/deb.py dist
clean: ; @rm -rf .demo build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis && find src tests demo benchmarks -name __pycache__ -prune -exec rm -rf {} +
