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
MODELS ?= miniature## model set: configs/models/<set>.yaml
RUN ?= $(MODELS)## name of the run folder below RUNS
RUNS ?= runs## folder of all runs
STAGE_A ?=## Stage-A tickets (JSONL); else data/<mission>/stage_a.jsonl, else the embedded miniature's
PHOTOS ?=## photos: for make summarize a folder of 审核通过 and 审核不通过, or a manifest (else data/<mission>); for make review-page where they lie
FUSION ?= demo## mix of the student's training data: configs/fusion/<name>.yaml
DECISIONS ?=## decisions that make review-apply brings in (JSONL or CSV)
HELD_OUT ?= data/held_out## folder of <mission>.stage_a.jsonl, .summary.jsonl and .dense.jsonl that the student never sees in training
LAUNCH ?=## how make sft starts, for several GPUs: '.venv/bin/accelerate launch --multi_gpu'
CONFIG ?=## one more YAML laid over the configuration
QUIET ?=## 1: no progress and no summaries; errors are shown, run.log is written
FILE ?=## the file that make why speaks of
A ?=## run that make diff compares: a name below RUNS, or a run folder
B ?=## run that it is compared with
DEV ?=## 1: a changed script makes again what it made (a pull alone does not)

R := $(strip $(RUNS))/$(strip $(RUN))/$(strip $(MISSION))
export QUIET
export RUN_LOG := $(abspath $(R)/run.log)
TOOL = $(PY) -m tools.$(1)
SUBMAKE := $(MAKE)
# The make that a person called: it owns the folders that its tools write into (tools/core/lock.py), and without it they stop.
ifeq (undefined,$(origin MAKE_ROOT))
export MAKE_ROOT := $(shell echo "$$PPID:$$(cut -d ' ' -f 22 /proc/$$PPID/stat 2>/dev/null):$$(uname -n)")
endif

include make/setup.mk
PROMPTS_B := configs/prompts/stage_b.system.txt configs/prompts/stage_b.user.txt
PROMPT_S := configs/prompts/summary.user.txt
PROMPTS_R := configs/prompts/reflect.system.txt configs/prompts/reflect.user.txt

.PHONY: help
help: ## list targets and variables
	@echo 'make TARGET [MISSION=bbu_line] [MODELS=miniature] [STAGE_A=tickets.jsonl] …'; echo
	@awk -F ':.*## ' '/^[a-z][a-z_-]*:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo; awk -F ' [?]=.*## ?' '/^[A-Z_]+ [?]=.*##/ {sub(/[?]=.*##/,"?= ## "); split($$0,a," [?]= ## "); printf "  %-18s %s\n", a[1], a[2]}' $(MAKEFILE_LIST)

include make/run.mk
include make/student.mk
include make/demo.mk

# -- the two commands of the README, and what proves them
.PHONY: test bench worlds student-worlds schemas miniature-teacher miniature-student clean
test: | $(READY_ECOSYSTEM) ## pass the tests
	@env -u MAKE_ROOT $(PY) -m pytest -n 2 --dist loadfile
bench: | $(READY) ## tickets/s of our rollout against llama_cpp.Llama, one after another, in one run
	@$(call TOOL,bench)
worlds: | $(READY) ## measure the loop in five miniature worlds (held-out rates, hidden rules found, review)
	@$(call TOOL,miniature.worlds)
schemas: | $(READY) ## export the records as JSON Schemas, and docs/formats.md
	@$(call TOOL,schemas) --output-dir schemas --notes docs/formats.yaml --page docs/formats.md
student-worlds: | $(READY_STUDENT) ## measure the student in three worlds, taught as in the demo and with one thing changed at a time (hours on two cores)
	@$(call TOOL,miniature.student_worlds)
miniature-teacher: | $(READY_STUDENT) ## train the miniature teacher from scratch (a GPU, ten minutes) and export it
	@$(call TOOL,miniature.train_teacher) --output-dir checkpoints/miniature-teacher
	@$(call TOOL,miniature.export_gguf) --input-dir checkpoints/miniature-teacher --output data/miniature/teacher.gguf
miniature-student: | $(READY_STUDENT) ## train the miniature student from the teacher's weights (a GPU, sixteen minutes)
	@$(call TOOL,miniature.import_gguf) --input data/miniature/teacher.gguf --output-dir checkpoints/miniature-student
	@$(call TOOL,miniature.train_student) --language checkpoints/miniature-student/teacher.safetensors --tokenizer checkpoints/miniature-student/tokenizer.json --minutes 16 --output-dir checkpoints/miniature-student
clean: ## delete one run: make clean RUN=demo MISSION=bbu_line
	@$(if $(filter command line,$(origin RUN)),rm -rf -- '$(R)',echo 'make clean deletes one run: name it, RUN=demo (MISSION=bbu_line)' >&2; exit 2)
