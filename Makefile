# The door to the house: every target builds what it needs in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: install
install: $(BIN)/python
	$(BIN)/pip install --quiet .

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
