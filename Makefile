# make demo   the main job on recorded guests: real az, the installed wheel, the stand-in Azure
# make test   linters, fast tests, the real az on recorded guests, then the real guest under QEMU (root, Debian)
# make docs   the pages of the causes and of their coverage, made from the catalogue
# make test-faults   every fault of the laboratory made in the real guest, and diagnosed
# make test-repairs  every repair and refusal in the real guest; make repair-table   docs/repaired.md of what it saw
PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
SOURCES := $(shell find azext_vmagent -type f -not -name '*.pyc') setup.py README.md HISTORY.rst
export VMAGENT_LAB_EXTENSIONS := $(CURDIR)/build/extensions

.PHONY: venv wheel extension demo docs test lint test-fast test-machine test-az lab-test test-faults test-repairs repair-table bench bench-serial record clean

venv: $(VENV)/ready

$(VENV)/ready: requirements-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

wheel: build/wheel

build/wheel: $(VENV)/ready $(SOURCES)
	mkdir -p build && rm -rf build/lib build/bdist.* build/dist *.egg-info
	$(BIN)/python -m build --wheel --no-isolation --outdir build/dist . > build/build.log 2>&1 || { cat build/build.log; exit 1; }
	touch $@

extension: build/extension

# a real installation by az into a folder of ours; the user's own extensions are not touched
build/extension: build/wheel
	rm -rf $(VMAGENT_LAB_EXTENSIONS)
	AZURE_CONFIG_DIR=$(CURDIR)/build/az AZURE_EXTENSION_DIR=$(VMAGENT_LAB_EXTENSIONS) AZURE_CORE_COLLECT_TELEMETRY=no \
		$(BIN)/az extension add --yes --only-show-errors --source $$(ls build/dist/*.whl)
	touch $@

demo: build/extension
	$(BIN)/python -m lab.demo

# docs/causes and docs/coverage.md out of the catalogue of causes
docs: $(VENV)/ready
	$(BIN)/python -m tools.cause_pages

lint: $(VENV)/ready
	$(BIN)/ruff check azext_vmagent lab tests tools setup.py
	$(BIN)/ruff format --check azext_vmagent lab tests tools setup.py
	$(BIN)/mypy
	$(BIN)/pylint --rcfile=.pylintrc azext_vmagent
	$(BIN)/flake8 azext_vmagent

test-fast: $(VENV)/ready
	$(BIN)/python -m pytest -q -n 2 --dist loadscope -m "not az and not real_guest and not this_machine"

# the probe in shells, terminals and network namespaces of this machine
test-machine: $(VENV)/ready
	$(BIN)/python -m pytest -q -n 2 --dist load -m this_machine

# the real az against recorded guests
test-az: build/extension
	$(BIN)/python -m pytest -q -n 2 --dist loadgroup -m az

lab-test: build/extension
	$(BIN)/python -m lab.test

# every fault of the laboratory in the real guest, one by one
test-faults: build/extension
	$(BIN)/python -m lab.test every_fault

# the real guest put right by one command every way there is, killed at every step, rightly refused; about an hour
test-repairs: build/extension
	$(BIN)/python -m lab.test every_repair

# docs/repaired.md out of what the runs of test-repairs saw
repair-table: $(VENV)/ready
	$(BIN)/python -m tools.repair_table

test: lint test-fast test-machine test-az lab-test

bench: build/extension
	$(BIN)/python -m tests.bench

# the serial log reader: right, wrong and missed on labelled logs, and its times
bench-serial: $(VENV)/ready
	$(BIN)/python -m tests.bench_serial

# record the guests of the demo and the fast tests again from a real one (after the probe changed)
record: build/extension
	$(BIN)/python -m lab up --guest real
	$(BIN)/python -m lab record-all --probe azext_vmagent/guest/probe.sh; status=$$?; $(BIN)/python -m lab down; exit $$status

clean:
	rm -rf build .lab *.egg-info $(VENV)
