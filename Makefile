# Every target is one command that also works without make, in the environment that `make` builds in .venv.
# make demo and make test need nothing but Python 3.11 or newer with venv.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Where other people's metrics are installed, for make crosscheck and make bench.
PEERS ?= .venv-crosscheck
# Where torch comes from: empty is pip's own default. PyTorch's CPU wheel index saves the gigabytes of CUDA.
TORCH_INDEX ?=
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
PEERS_PIP := $(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --constraint benchmarks/peers.txt

.DEFAULT_GOAL := help
.PHONY: help demo test lint experiments bench crosscheck soak docs clean

help:
	@echo "make demo          train a GAN on real handwritten digits, on the CPU, in about three minutes"
	@echo "make test          lint, types, import contract and tests"
	@echo "make lint          the checks without the tests"
	@echo "make experiments   every claim with its bar and its floor: hours"
	@echo "make bench         the engine beside a hand-written loop, the probes, the metrics beside other people's, memory"
	@echo "make crosscheck    our numbers beside other people's on the same matrices"
	@echo "make soak          a hundred kills, and the same bits after each"
	@echo "make docs          the pages that are made from the error table and from the results"
	@echo "make clean         remove the environments"

demo: $(VENV)/core
	$(BIN)/ganworks train

# Tests last: their closing line is the result.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

lint: $(VENV)/test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# Each claim keeps what it found, and goes on where it stopped; the last line lists which results are stale.
experiments: $(VENV)/test
	status=0; for claim in dirac floors likelihood ring grid turns ring_table classics conditional semisupervised infogan bigan explicit stacked linear_probes digits first_minute few_shot growing cascade unpaired_points two_answers inverted unpaired_emoji emoji_pairs stargan fashion_peers fashion truncation forecast odd_pictures reading million emoji typos settings_fuzz intervals confusion; do \
		OMP_NUM_THREADS=1 $(BIN)/python -m experiments.$$claim || status=1; done; \
	$(BIN)/python -m experiments.record && exit $$status

bench: $(VENV)/test $(PEERS)/peers
	$(BIN)/python -m benchmarks.overhead
	$(BIN)/python -m benchmarks.step_cost
	$(BIN)/python -m benchmarks.probes
	$(BIN)/python -m benchmarks.memory
	$(BIN)/python -m benchmarks.metrics --peers $(PEERS)

crosscheck: $(VENV)/test $(PEERS)/peers
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.crosscheck --peers $(PEERS)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.inception --peers $(PEERS)

soak: $(VENV)/test
	$(BIN)/python -m benchmarks.soak

docs: $(VENV)/test
	$(BIN)/python -m docs.make

clean:
	rm -rf $(VENV) $(PEERS)

# torch first and alone: what comes later must take this one, and cannot bring another.
$(VENV)/torch: constraints.txt
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "ganworks needs Python 3.11 or newer with venv; name one: make PYTHON=python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing torch (the first time takes some minutes)"
	$(PIP) torch $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX))
	@if $(BIN)/python -m pip list --disable-pip-version-check 2>/dev/null | grep -qE '^(nvidia|cuda)-'; then \
		echo "note: CUDA packages (nvidia-*) came along. Without an NVIDIA GPU they are of no use: make clean, then"; \
		echo "      make demo TORCH_INDEX=ADDRESS with the address of PyTorch's CPU wheel index"; fi
	@touch $@

$(VENV)/core: $(VENV)/torch pyproject.toml
	$(PIP) --editable .
	@touch $@

$(VENV)/test: $(VENV)/core
	$(PIP) --editable '.[emoji,features,tensorboard,test]'
	@touch $@

# torch first and alone here too; the last two ask for torchvision, and that for another torch.
$(PEERS)/peers: benchmarks/peers.txt
	test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	$(PEERS_PIP) torch $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX))
	$(PEERS_PIP) torchmetrics prdc POT scipy scikit-learn scikit-image mpmath tqdm
	$(PEERS_PIP) --no-deps torch-fidelity pytorch-fid
	@touch $@
