# Set-up: a virtual environment with pinned packages; llama.cpp is compiled once and kept in .wheels.
# Also works alone, without the rest of the project: make -f make/setup.mk setup
PYTHON ?= python3## Python (3.11 or newer) that makes the virtual environment
VENV ?= .venv## folder of the virtual environment

PY := $(VENV)/bin/python
# marks of a finished set-up
READY := $(VENV)/.ready
READY_STUDENT := $(VENV)/.ready-student
READY_ECOSYSTEM := $(VENV)/.ready-ecosystem
READY_PARQUET := $(VENV)/.ready-parquet
READY_SUSPECTS := $(VENV)/.ready-suspects
READY_SERVE := $(VENV)/.ready-serve
READY_OPTIMIZERS := $(VENV)/.ready-optimizers
READY_PROGRAMS := .wheels/llama-programs
NO_PYTHON = no $(PYTHON) here: install Python 3.11 or newer (Debian and Ubuntu: apt install python3 python3-venv)
# The command that sets up; it says so where there is no Python to run it.
SETUP = $(or $(shell command -v $(PYTHON)),$(error $(NO_PYTHON))) make/setup.py --venv $(VENV)

# The command that compiles llama.cpp's programs, where they are not there yet.
PROGRAMS = $(PYTHON) make/setup_programs.py --venv $(VENV)

.PHONY: setup setup-student setup-serve llama-programs
setup: ## 1.2 set up .venv for the text path and the tests; CMAKE_ARGS=-DGGML_CUDA=ON compiles for a GPU
	@$(SETUP)
setup-student: $(READY) ## 1.4 add what fine-tuning needs: torch, transformers, peft (gigabytes with torch for CUDA)
	@$(SETUP) --extra student
setup-serve: $(READY_STUDENT) ## 1.5 add what make serve needs: fastapi, uvicorn, openai
	@$(SETUP) --extra serve
llama-programs: $(READY) ## 1.6 compile llama-server and what else an export needs, once (minutes); kept in .wheels
	@$(PROGRAMS)

$(READY): constraints.txt pyproject.toml $(wildcard make/setup*.py make/llama.cmake make/llama_cuda.cmake)
	@$(SETUP)
$(READY_STUDENT): constraints.txt pyproject.toml | $(READY)
	@$(SETUP) --extra student
$(READY_PARQUET): constraints.txt pyproject.toml | $(READY)
	@$(SETUP) --extra parquet
$(READY_SUSPECTS): constraints.txt pyproject.toml | $(READY)
	@$(SETUP) --extra suspects
$(READY_ECOSYSTEM): constraints.txt pyproject.toml | $(READY_STUDENT)
	@$(SETUP) --extra ecosystem
$(READY_SERVE): constraints.txt pyproject.toml | $(READY_STUDENT)
	@$(SETUP) --extra serve
$(READY_OPTIMIZERS): constraints.txt pyproject.toml | $(READY)
	@$(SETUP) --extra optimizers
$(READY_PROGRAMS): constraints.txt make/llama.cmake make/llama_programs.cmake | $(READY)
	@$(PROGRAMS)
