# Photo tickets -> verdicts that can be trusted. `make help` lists the targets; README.md tells the story.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --warn-undefined-variables --no-builtin-rules --no-print-directory
.DELETE_ON_ERROR:
.SECONDEXPANSION:
.DEFAULT_GOAL := help

ifeq (,$(filter oneshell,$(.FEATURES)))
$(error make $(MAKE_VERSION) is too old: 4.3 or newer is needed)
endif

# What a user sets
MISSION ?= bbu_line## mission slug: configs/missions/<slug>.yaml
MODELS ?= miniature## model set: configs/models/<set>.yaml; a run keeps the one it was made with
RUN ?= $(MODELS)## name of the run folder below RUNS
RUNS ?= runs## folder of all runs
STAGE_A ?=## Stage-A tickets (JSONL); else the run's own, data/<mission>/stage_a.jsonl, or (miniature) drawn by code
PHOTOS ?=## photos: a folder of 审核通过 and 审核不通过, or a manifest; for make review-page where they lie
FUSION ?=## mix of the student's training data: configs/fusion/<name>.yaml; without one this run's corpus
DECISIONS ?=## decisions that make review-apply brings in: JSONL, CSV, or Label Studio's JSON
SECOND ?=## another reviewer's decisions, for make review-apply: what both agree on is brought in
TASKS ?=## which tickets make label-studio sends: waiting (nobody decided them yet), all, or disputed
PHOTOS_URL ?=## address that serves PHOTOS to make label-studio; without one Label Studio's own local files do
TABLE ?=## a CSV that make review-apply and make adjudicate write, to fill in
HELD_OUT ?= data/held_out## folder of <mission>.{stage_a,summary,dense}.jsonl, which the student never trains on
DATA ?=## training rows of another team, for make import: a JSONL file, or a folder of them
GUIDANCE ?=## guidance.json of another team or run, for make import-guidance
NAME ?=## name of what make import makes, data/<name>/, of the mix of make new-fusion, of a folder of make predict
TICKETS ?=## new tickets for make predict, without labels: summaries (JSONL), a folder of groups, or a manifest
CHECKPOINT ?=## the student of make predict and make serve; else checkpoints/<FUSION>/merged, or the model set's
POINT ?=## operating point that make predict and make gate decide by: a point.json of make calibrate
# shells and hosts set some of these for themselves: of the next four the command line alone counts
ENGINE = transformers## who answers in make serve and calibrate: transformers, or llama with make export's files (QUANT)
HOST = 127.0.0.1## where make serve listens: this machine alone
SHARD =## a share of make summarize, predict or baseline: prepare, then 2/7, slurm, … on each machine, then merge
PORT = 8000## where make serve listens; 0: any port that is free
QUANT ?= f16## how make export stores the student: f16, bf16, f32, q8_0, q6_k, q5_k_m, q4_k_m, … (docs/export.md)
LAUNCH ?=## how make sft starts, for several GPUs: '.venv/bin/accelerate launch --multi_gpu'
CONFIG ?=## one more YAML laid over the configuration; a run keeps the one it was made with
REMAKE ?=## 1: a run is made again with what is named now, where it was made with something else
QUIET ?=## 1: no progress and no summaries; errors are shown, run.log is written
FILE ?=## the file that make why speaks of
AUDIT ?=## for make folds: what people found of the tickets afterwards (JSONL: ticket_key, category)
TRACK ?= tensorboard## where make track replays figures to: tensorboard, mlflow or trackio
JOBS ?= 1## processes of make folds, placebo and worlds
A ?=## run that make diff compares: a name below RUNS, or a run folder
B ?=## run that it is compared with
DEV ?=## 1: a changed script, or a module that it imports, makes again what it made (a pull alone does not)
ROOM ?=## the folder of tests/ that make test runs; all without it

# Values that a user names stay as they are written, never read as make's language, and reach recipes through the
# environment alone: they may hold blanks, quotes, $ and #. make/names.py checks names that become parts of targets.
USER := MISSION MODELS RUN RUNS STAGE_A PHOTOS FUSION DECISIONS HELD_OUT DATA NAME GUIDANCE LAUNCH CONFIG REMAKE QUIET \
  FILE AUDIT JOBS A B DEV ROOM TICKETS CHECKPOINT POINT ENGINE HOST PORT QUANT
USER += SECOND TABLE TASKS PHOTOS_URL
USER += TRACK SHARD
# Those of them that are set on the command line or in the environment.
NAMED := $(foreach v,$(USER),$(if $(filter command environment,$(origin $(v))),$(v)))
$(foreach v,$(NAMED),$(eval override $(v) := $$(value $(v))))
export $(NAMED)
export HELD_OUT MISSION AUDIT JOBS DATA NAME GUIDANCE TICKETS CHECKPOINT POINT ENGINE HOST PORT QUANT
export TRACK SHARD
# The run's folder.
R := $(RUNS)/$(RUN)/$(MISSION)
export RUN_LOG := $(abspath $(R)/run.log)
export RUN_STARTED ?= $(shell date +%s)
# $(call TOOL,show) starts tools/show.py; $(call MINIATURE,measure.worlds) starts miniature/measure/worlds.py.
TOOL = $(PY) -m tools.$(1)
MINIATURE = $(PY) -m miniature.$(1)
# Make itself, started by a recipe that `make -n` must not run: a recipe that says $(MAKE) runs even then.
SUBMAKE := $(MAKE)
# The make that a person called: it owns the folders that its tools write into (verdicts/command/lock.py). They stop
# when it is gone.
ifeq (undefined,$(origin MAKE_ROOT))
export MAKE_ROOT := $(shell echo "$$PPID:$$(cut -d ' ' -f 22 /proc/$$PPID/stat 2>/dev/null):$$(uname -n)")
endif

include make/setup.mk

# Two stages. The first checks names and asks prepare what the run is made of; prepare then starts the second
# (GRAPH=1), in which every rule knows its files. What only reads a run, and what needs none, is done in the first.
GRAPH ?=
GRAPH_GOALS := distill converge baseline suspects review summarize fuse lint-corpus sft evaluate gate calibrate \
  calibrate-teacher export export-gate behaviour predict demo-photos
# Goals that need the second stage.
WANTED := $(filter $(GRAPH_GOALS) $(R)/% runs/demo/% data/fused/% checkpoints/%,$(MAKECMDGOALS))
ifeq (,$(GRAPH))
include make/first.mk
endif

.PHONY: help
help: ## 1.1 list targets and variables
	@echo 'make TARGET [MISSION=bbu_line] [MODELS=miniature] [STAGE_A=tickets.jsonl] …'
	@awk -f make/help.awk Makefile make/*.mk

ifneq (,$(GRAPH))
include make/run.mk
include make/student.mk
endif
include make/demo.mk

# -- the two commands of the README, and what proves them
.PHONY: test test-fast lint bench fake-weights bench-sft chaos worlds compare-optimizers student-worlds schemas clean
.PHONY: miniature-teacher miniature-student
# The tests, in two processes. They start makes of their own, which must not take this one for their owner.
PYTEST = env -u MAKE_ROOT $(PY) -m pytest -n 2 --dist loadfile
test: | $(READY_ECOSYSTEM) $(READY_SERVE) ## 6.1 run the tests, or those of one folder: make test ROOM=guidance
	@$(PYTEST) $${ROOM:+"tests/$$ROOM"}
# Label Studio is heavy (160 packages, 1 GB), so it has an environment of its own
STUDIO := .label-studio
.PHONY: test-label-studio
test-label-studio: | $(READY) ## 6.2 send a queue to a real Label Studio and back (installs it: 1 GB)
	@[ -x $(STUDIO)/bin/label-studio ] || { $(PYTHON) -m venv $(STUDIO); \
	  $(STUDIO)/bin/pip install --quiet label-studio==1.23.2; }
	@LABEL_STUDIO=$(STUDIO)/bin/label-studio $(PYTEST) tests/review/test_label_studio_server.py
test-fast: | $(READY_ECOSYSTEM) $(READY_SERVE) ## 6.2 run the quick tests (under a minute)
	@$(PYTEST) -m unit
# for types mypy reads the student's packages too
lint: | $(READY_STUDENT) ## 6.3 check style, layout and types (ruff, mypy); settings are in pyproject.toml
	@$(PY) -m ruff check
	@$(PY) -m ruff format --check
	@$(PY) -m mypy
bench: | $(READY) ## 5.6 tickets/s of our rollout, llama_cpp.Llama and (after make llama-programs) llama-server
	@$(call TOOL,bench) --models '$(MODELS)' $(if $(filter fake32b,$(MODELS)),$(FULL_SIZE)) \
	  $(if $(wildcard $(READY_PROGRAMS)/key),--llama-server)
# 900 shared and 500 own tokens a ticket; one after another is slow there, so it answers four of them. llama-server gets
# 16: four candidates of each fill its 64 slots once
FULL_SIZE := --tickets 192 --first 4 --served 16 --shared-tokens 880 --own-tokens 430 --repeats 1
fake-weights: | $(READY_STUDENT) ## 5.9 write models of full size with random weights, for bench (27 GB)
	@$(call MINIATURE,measure.fake_weights) --teacher models/fake32b.gguf --student models/fake4b
bench-sft: | $(READY_ECOSYSTEM) ## 5.8 tokens/s of sft's ways to teach the miniature student, beside TRL's trainer
	@$(call MINIATURE,speed.sft_speed)
SIZES := --tickets 10000 --tickets 100000 --tickets 1000000
chaos: | $(READY_STUDENT) ## 5.7 count what bad inputs, kills and size do to every tool (hours on two cores)
	@env -u MAKE_ROOT $(call TOOL,chaos_inputs) --count 20000
	@env -u MAKE_ROOT $(call TOOL,chaos_kills) --kills 200
	@env -u MAKE_ROOT $(call TOOL,chaos_size) $(SIZES) --folder "$${TMPDIR:-/tmp}/chaos-size"
worlds: | $(READY) ## 5.4 measure the loop in five miniature worlds (held-out rates, hidden rules found, review)
	@$(call MINIATURE,measure.worlds) $${CONFIG:+--overlay "$$CONFIG"} --jobs "$$JOBS"
compare-optimizers: | $(READY_OPTIMIZERS) ## 5.5 our loop beside GEPA and five others, on one budget (hours; goes on)
	@$(call MINIATURE,optimizers.compare)
schemas: | $(READY) ## 6.4 export the records as JSON Schemas, docs/formats.md, and the picture of the rooms
	@$(call TOOL,schemas) --output-dir schemas --notes docs/formats.yaml --page docs/formats.md
	@$(call TOOL,rooms) --output docs/rooms.svg
student-worlds: | $(READY_STUDENT) ## 5.5 measure the student in three worlds, one thing changed at a time (hours)
	@$(call MINIATURE,measure.students)
TEACHER := checkpoints/miniature-teacher
miniature-teacher: | $(READY_STUDENT) ## 6.5 train the miniature teacher from scratch (a GPU, ten minutes) and export it
	@$(call MINIATURE,teacher.train) --output-dir $(TEACHER)
	@$(call MINIATURE,teacher.export_gguf) --input-dir $(TEACHER) --output data/miniature/teacher.gguf
STUDENT := checkpoints/miniature-student
LANGUAGE := --language $(STUDENT)/teacher.safetensors --tokenizer $(STUDENT)/tokenizer.json
miniature-student: | $(READY_STUDENT) ## 6.6 train the miniature student from the teacher's (a GPU, sixteen minutes)
	@$(call MINIATURE,teacher.import_gguf) --input data/miniature/teacher.gguf --output-dir $(STUDENT)
	@$(call MINIATURE,student.train) $(LANGUAGE) --minutes 16 --output-dir $(STUDENT)
clean: | $(READY) ## 3.7 delete one run, and nothing that is none: make clean RUN=demo MISSION=bbu_line
	@RUN_LOG= $(call TOOL,clean) --runs '$(RUNS)' $(if $(filter RUN,$(NAMED)),--run-name '$(RUN)' --mission '$(MISSION)')
