# The first stage of make: names are checked, prepare settles what a run is made of, and starts the graph. Then the
# targets that only read a run.

ifneq (,$(filter-out help,$(MAKECMDGOALS)))
# $(call quoted,TEXT): TEXT as one word of the shell.
quoted = '$(subst ','\'',$(1))'
# What make/names.py is told: targets with a help text, variables on the command line, known variables, their values.
TARGETS := $(shell sed -n 's/^\([a-z][a-z_-]*\):.*\#\# .*/\1/p' Makefile make/*.mk)
GIVEN := $(foreach v,$(.VARIABLES),$(if $(filter command,$(origin $(v))),$(v)))
KNOWN := $(USER) PYTHON VENV PY READY READY_STUDENT READY_ECOSYSTEM READY_PARQUET READY_SERVE READY_OPTIMIZERS \
  READY_SUSPECTS READY_PROGRAMS CMAKE_ARGS GRAPH
VALUES = $(foreach v,$(filter-out LAUNCH REMAKE QUIET DEV,$(USER)),$(call quoted,$(v)=$($(v))))
ifeq (,$(shell command -v $(PYTHON)))
$(error $(NO_PYTHON))
endif
CHECK_NAMES := $(PYTHON) make/names.py --goals $(call quoted,$(MAKECMDGOALS)) --given '$(GIVEN)' --known '$(KNOWN)' \
  --targets '$(TARGETS)' $(VALUES)
ifneq (well,$(shell $(CHECK_NAMES)))
$(error nothing was made)
endif
endif

# $(call named,CONFIG,--overlay): the option with the variable's value from the environment, where the user named it.
named = $(if $(filter $(1),$(NAMED)),$(2) "$$$(1)")
# prepare with what the user named.
MADE_WITH = $(call named,MODELS,--models) $(call named,STAGE_A,--tickets) $(call named,CONFIG,--overlay)
PREPARE = $(call TOOL,prepare) --mission $(MISSION) --run-dir $(R) $(MADE_WITH) \
  $(call named,PHOTOS,--photos) $(call named,FUSION,--fusion) --held-out "$$HELD_OUT" $(if $(strip $(REMAKE)),--remake)
# make's own one-letter flags: B (make everything) and n (only say what would be made) go on to prepare.
FLAGS := $(filter-out --%,$(firstword -$(MAKEFLAGS)))
ON_TO_PREPARE = $(if $(findstring B,$(FLAGS)),--everything) $(if $(findstring n,$(FLAGS)),--dry-run)
# Goals that need no more than the text path; all others need the student's packages.
TEXT_PATH := distill converge baseline suspects review fuse $(R)/% data/fused/%
ifneq (,$(WANTED))
.PHONY: $(WANTED)
# a share takes what is there as it is, for others make shares beside it: prepare writes nothing then
SHARE := $(filter-out prepare merge,$(SHARD))
$(firstword $(WANTED)): | $(READY) $(if $(filter-out $(TEXT_PATH),$(WANTED)),$(READY_STUDENT))
	@$(PREPARE) --goals '$(WANTED)' $(or $(strip $(ON_TO_PREPARE)),$(if $(SHARE),--dry-run)) -- $(MAKE) GRAPH=1 $(WANTED)
$(wordlist 2,$(words $(WANTED)),$(WANTED)): $(firstword $(WANTED)) ;
endif

# -- what reads a run and writes no more than its own page
.PHONY: board review-page review-apply relearn report show check verify plan guard folds placebo why diff
.PHONY: doctor track cards
report: | $(READY) ## 3.2 write report.html: the whole run on one page
	@$(call TOOL,report) --run-dir $(R) --output $(R)/report.html
review-page: | $(READY) ## 2.6 write review.html: decide the tickets in a browser (PHOTOS=folder)
	@$(call TOOL,review_page) --run-dir $(R) --output $(R)/review.html $(call named,PHOTOS,--photos)
board: | $(READY) ## 3.8 write board.html below RUNS: every run of every mission on one page
	@RUN_LOG= $(call TOOL,board) --runs '$(RUNS)' --output '$(RUNS)/board.html'
show: | $(READY) ## 3.1 print what was learnt: rules by round, rates by epoch, review counts
	@$(call TOOL,show) --run-dir $(R)
track: | $(READY) ## 3.9 replay the run's figures into TRACK: tensorboard (RUN/tensorboard/), mlflow or trackio
	@$(call TOOL,track) --run-dir $(R) --kind "$$TRACK"
cards: | $(READY_STUDENT) ## 4.8 write cards of corpus and student (README.md) from measured figures
	@$(call TOOL,cards) --run-dir $(R) $(call named,CHECKPOINT,--checkpoint)
check: | $(READY) ## 3.5 validate every file of the run
	@$(call TOOL,check) --run-dir $(R)
verify: | $(READY) ## 3.6 check a finished run against docs/design.md, without the code that made it
	@$(call TOOL,verify_run) --run-dir $(R) $(call named,STAGE_A,--stage-a) $${AUDIT:+--audit "$$AUDIT"}
why: | $(READY) ## 3.3 say why FILE would be made again, and what an edit of it would cost
	@$(call TOOL,why) --file "$$FILE" --run-dir $(R) $(MADE_WITH) $(call named,FUSION,--fusion) --make $(SUBMAKE)
diff: | $(READY) ## 3.4 compare how two runs of MISSION ended: rules, verdicts, rates, review (A=run1 B=run2)
	@run() { case "$$1" in */*) echo "$$1" ;; *) echo "$(RUNS)/$$1/$(MISSION)" ;; esac; }; \
	$(call TOOL,diff_runs) --a "$$(run "$$A")" --b "$$(run "$$B")"
# $(call on_tickets,TOOL,OPTIONS): run a tool that reads no run on the tickets and configuration that prepare settles.
on_tickets = RUN_LOG= $(PREPARE) --goals plan --dry-run -- bash -c '$(call TOOL,$(1)) --models "$$MODELS" \
  --mission $(MISSION) --tickets "$$STAGE_A" $${CONFIG:+--overlay "$$CONFIG"} $(2)'
plan: | $(READY) ## 2.2 predict GPU memory, tokens, time and disk of a run from 20 tickets, before it starts
	@$(call on_tickets,plan,)
doctor: | $(READY) ## 1.5 say whether GPU, driver, memory, disk and packages will do for MODELS, and which knob to turn
	@RUN_LOG= $(call TOOL,doctor) --models $(MODELS) --mission $(MISSION) $(call named,CONFIG,--overlay) --folder '$(RUNS)'
# Learning itself, measured in memory on a run's tickets: no file of a run is read or written.
measure = $(call on_tickets,$(1),$(2) --jobs "$$JOBS" --output "$(R).$(1).json")
folds: | $(READY) ## 5.1 learn on half of the groups, judge on the other, over five seeds: do rules hold (AUDIT=path)
	@$(call measure,folds,$${AUDIT:+--audit "$$AUDIT"})
guard: | $(READY) ## 5.3 count how often the guard fires on labelled tickets, rightly and wrongly (AUDIT=path)
	@$(call on_tickets,guard,$${AUDIT:+--audit "$$AUDIT"} --output "$(R).guard.json")
placebo: | $(READY) ## 5.2 learn from permuted labels: how many rules are accepted, how many survive
	@$(call measure,placebo,)

# -- in use: the student behind an endpoint. No run is held meanwhile: others may work on it.
.PHONY: serve
serve: | $(READY_SERVE) ## 4.9 serve the taught student to OpenAI clients until Ctrl-C (ENGINE, HOST, PORT)
	@RUN_LOG= $(call TOOL,serve) --run-dir $(R) --host "$$HOST" --port "$$PORT" $${CHECKPOINT:+--student "$$CHECKPOINT"} \
	  $(call named,FUSION,--fusion) --engine "$$ENGINE" --quant "$$QUANT"

# -- training rows of another team, brought into our form
.PHONY: import
import: | $(READY_STUDENT) ## 4.1 bring another team's training rows into data/<NAME>/ (DATA=file or folder NAME=name)
	@RUN_LOG= $(call TOOL,import_data) --data "$$DATA" --name "$$NAME" --output-dir "data/$$NAME" --models $(MODELS) \
	  --mission $(MISSION) $(call named,CONFIG,--overlay)

# -- a mix of what is there
.PHONY: new-fusion
new-fusion: | $(READY) ## 4.2 write configs/fusion/<NAME>.yaml: this run's corpus, others', rows in data/ (NAME=name)
	@$(call TOOL,new_fusion) --run-dir $(R) --name "$$NAME" --output "configs/fusion/$$NAME.yaml"

# -- rules of another team, or of another run, to start from
.PHONY: import-guidance
import-guidance: | $(READY) ## 2.9 take rules to start from (GUIDANCE=path) into data/<mission>/guidance.yaml, a CONFIG
	@RUN_LOG= $(call TOOL,import_guidance) --guidance "$$GUIDANCE" --models $(MODELS) --mission $(MISSION) \
	  --output data/$(MISSION)/guidance.yaml

# -- what people said, brought in; and learnt from
review-apply: | $(READY) ## 2.7 bring decisions in (DECISIONS=path), or say how the review stands; then make distill
	@$(APPLY)
APPLY = $(call TOOL,review_apply) --run-dir $(R) $(call named,DECISIONS,--decisions) $(call named,SECOND,--second) \
  $(call named,TABLE,--export)
.PHONY: adjudicate label-studio
adjudicate: | $(READY) ## 2.7 list what reviewers dispute; a third person's DECISIONS settle it
	@$(APPLY) --adjudicate
label-studio: | $(READY) ## 2.6 write the review list for Label Studio: tasks, form (PHOTOS=folder TASKS=all)
	@$(call TOOL,label_studio) --run-dir $(R) --output-dir $(R)/label_studio $(call named,PHOTOS,--photos) \
	  $(call named,PHOTOS_URL,--photos-url) $(call named,TASKS,--tasks)
# -- a run's records as tables. Without pyarrow (pip's word for it: the extra parquet) it is installed first.
.PHONY: parquet
parquet: | $(READY_PARQUET) ## 3.9 write the run's records as Parquet tables, for pandas, DuckDB, Spark
	@$(call TOOL,to_parquet) --run-dir $(R) --output-dir $(R)/parquet
# what this learning knows, and what people have said by now (nothing is an empty file)
LEARNT_WITH = $(R)/rounds/0000/review_decisions.jsonl
SAID_NOW = $(or $(wildcard $(R)/review_decisions.jsonl),/dev/null)
relearn: | $(READY) ## 2.8 learn again with what people decided since, then distill
	@if [ -e $(LEARNT_WITH) ]; then cmp -s $(SAID_NOW) $(LEARNT_WITH) || rm $(LEARNT_WITH); fi
	@$(SUBMAKE) distill
