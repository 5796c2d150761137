# The graph of a run: tickets -> [rollout -> reflect -> apply]* -> collect -> review, distill. One rule a file. Make
# goes by time; what it cannot see (an input of any age put in the place of another, one that is gone) comes from
# prepare in STALE. A tool that is started for time's sake alone finds its inputs as they were and keeps what it has
# (verdicts/base/made.py). Commands stand in variables, so that `make -n` shows each on one line.
STALE ?=
MADE_ANEW ?=
ifneq (,$(strip $(STALE)))
$(STALE): FORCE
endif
.PHONY: FORCE
FORCE:
# A script is no reason to make a finished file again: pulling a new version must cost neither hours of rollouts nor
# edits by hand. Whoever changes a script, or a module that it imports, asks for it with DEV=1: prepare then sees it.
# prepare settles the files of the prompts in use: of Stage B, of reflection, of summaries.
PROMPTS_B ?=
PROMPTS_R ?=
PROMPTS_S ?=
$(R)/config/%.yaml: ;
$(R)/stage_a.jsonl: ;

# -- what people said of tickets. The corpus follows it at once; learning holds to what was said when it began: the
# reflection of round 1 takes it down, whatever makes that new, so that all rounds know the same. `make relearn` begins
# again.
DECIDED := $(wildcard $(R)/review_decisions.jsonl)
AUDITED := $(wildcard $(R)/audit_decisions.jsonl)
LEARNT := $(R)/rounds/0000/review_decisions.jsonl
$(LEARNT): ;

# -- rounds. Those that exist are named in loop.json's rule: make takes a file that no rule names for an intermediate
# one, whose loss it would not mind. .PRECIOUS keeps the files of new rounds, which nothing names yet.
ROLLOUT_FILES := trajectories.jsonl failure_malformed.jsonl selections.jsonl
REFLECT_FILES := need_review_queue.jsonl reflection.jsonl
ROUND_FILES := $(ROLLOUT_FILES) $(REFLECT_FILES) guidance.json
ROUNDS := $(filter-out %/0000,$(wildcard $(R)/rounds/[0-9]*))
# $(call of_rounds,NAMES): these files of every round.
of_rounds = $(foreach round,$(ROUNDS),$(addprefix $(round)/,$(1)))
.PRECIOUS: $(addprefix $(R)/rounds/%/,$(ROUND_FILES))
# Who watches a loop on a terminal sees a line a round; run.log has a line a step.
$(R)/rounds/%: export ROUND_LINES := 1
# $(call learnt_before,0002): what people said. Round 1 writes it down; later rounds depend on it.
learnt_before = $(if $(filter-out 0001,$(1)),$(LEARNT))
# $(call round_before,0002): the guidance of round 0001. The 1 before the digits keeps 0008 from being read as octal.
round_before = $(R)/rounds/$(shell printf '%04d' $$((1$(1) - 10001)))/guidance.json
$(R)/rounds/0000/guidance.json: $(R)/config/guidance.yaml
	@$(call TOOL,apply) --config $< --output $@ --start
ROLLOUT = $(call TOOL,rollout) --config $< --stage-a $(R)/stage_a.jsonl --guidance $(call round_before,$*) \
  --round $* --output-dir $(@D)
$(addprefix $(R)/rounds/%/,$(ROLLOUT_FILES)): $(R)/config/rollout.yaml $(R)/stage_a.jsonl $$(call round_before,$$*) \
  $(PROMPTS_B)
	@$(ROLLOUT)
REFLECT = $(call TOOL,reflect) --config $< --stage-a $(R)/stage_a.jsonl --guidance $(call round_before,$*) \
  --decisions $(LEARNT) --decided $(R)/review_decisions.jsonl --round $* --round-dir $(@D)
$(addprefix $(R)/rounds/%/,$(REFLECT_FILES)): $(R)/config/reflect.yaml $(R)/stage_a.jsonl \
  $(R)/rounds/%/trajectories.jsonl $(R)/rounds/%/selections.jsonl $$(call learnt_before,$$*) $(PROMPTS_R)
	@$(REFLECT)
$(R)/rounds/%/guidance.json: $(R)/config/guidance.yaml $(R)/rounds/%/reflection.jsonl $$(call round_before,$$*)
	@$(call TOOL,apply) --config $< --guidance $(call round_before,$*) --reflection $(@D)/reflection.jsonl --output $@

# -- the loop: rounds that exist are brought up to date by the rules above, then new ones follow until it ends
NEXT_ROUND = $(call TOOL,next_round) --config $< --stage-a $(R)/stage_a.jsonl --rounds $(R)/rounds --output $@
$(R)/loop.json: $(R)/config/loop.yaml $(R)/stage_a.jsonl $(R)/rounds/0000/guidance.json \
  $(call of_rounds,guidance.json) | $(call of_rounds,$(ROUND_FILES))
	@ask() { $(NEXT_ROUND); }; \
	next=$$(ask); while [ -n "$$next" ]; do $(SUBMAKE) STALE= $(R)/rounds/$$next/guidance.json; next=$$(ask); done

# -- the run's view of its rounds. GNU make 4.3 says under -n nothing of what depends on a file of a grouped rule alone
# (&:), so the rules from here on name what such files are made from as well. A tool that fails has written nothing, yet
# .DELETE_ON_ERROR would take the other files of its group for half-made ones: hence .PRECIOUS.
VIEW := $(addprefix $(R)/,trajectories.jsonl selections.jsonl failure_malformed.jsonl guidance.json metrics.jsonl)
VIEW_FROM := $(R)/config/collect.yaml $(R)/loop.json $(R)/stage_a.jsonl \
  $(call of_rounds,failure_malformed.jsonl need_review_queue.jsonl)
# what collect and aggregate_review have in common
FROM_ROUNDS = --config $< --loop $(R)/loop.json --rounds $(R)/rounds --stage-a $(R)/stage_a.jsonl
$(VIEW) &: $(VIEW_FROM)
	@$(call TOOL,collect) $(FROM_ROUNDS) --output-dir $(R)
REVIEW_FROM := $(R)/config/aggregate_review.yaml $(VIEW_FROM) $(R)/trajectories.jsonl $(R)/selections.jsonl
REVIEW := $(R)/need_review_queue.jsonl $(R)/need_review.json
AGGREGATE_REVIEW = $(call TOOL,aggregate_review) $(FROM_ROUNDS) --trajectories $(R)/trajectories.jsonl \
  --selections $(R)/selections.jsonl --output-dir $(R)
$(REVIEW) &: $(REVIEW_FROM)
	@$(AGGREGATE_REVIEW)

# -- the corpus; with distill.enabled: false the tool says so and writes nothing
CORPUS := $(R)/distill_chatml.jsonl $(foreach part,train val dropped audit,$(R)/distill.$(part).jsonl)
CORPUS_FROM := $(R)/config/distill.yaml $(REVIEW_FROM) $(R)/guidance.json $(R)/need_review.json \
  $(DECIDED) $(AUDITED) $(PROMPTS_B)
.PRECIOUS: $(VIEW) $(REVIEW) $(CORPUS)
DISTILL = $(call TOOL,distill) --config $< --loop $(R)/loop.json --stage-a $(R)/stage_a.jsonl \
  --selections $(R)/selections.jsonl --guidance $(R)/guidance.json --need-review $(R)/need_review.json \
  --decisions $(R)/review_decisions.jsonl --audited $(R)/audit_decisions.jsonl --output-dir $(R)
$(CORPUS) &: $(CORPUS_FROM)
	@$(DISTILL)

# -- goals that take SHARD: prepare makes what shares need, a share starts the tool alone, merge makes the results
SHARE := $(filter-out prepare merge,$(SHARD))
IS_WHOLE := $(if $(filter-out merge,$(SHARD)),,yes)
# $(call needs,INPUTS,RESULTS): what such a goal depends on; $(call as_share,COMMAND): its recipe.
needs = $(if $(IS_WHOLE),$(2),$(if $(SHARE),,$(1)))
as_share = $(if $(SHARE),@$(1))
OF_SHARES = $(if $(SHARD),--shard "$$SHARD")

# -- the labels under the checklist alone: all tickets once, nothing is learnt from it
BASELINE := $(R)/baseline
$(BASELINE)/guidance.json: $(R)/config/guidance.yaml
	@$(call TOOL,apply) --config $< --output $@ --start --checklist
BASELINE_FROM := $(R)/config/rollout.yaml $(R)/stage_a.jsonl $(BASELINE)/guidance.json $(PROMPTS_B)
BASELINE_ROLLOUT := $(addprefix $(BASELINE)/,$(ROLLOUT_FILES))
WHOLE_ROLLOUT = $(call TOOL,rollout) --config $(R)/config/rollout.yaml --stage-a $(R)/stage_a.jsonl \
  --guidance $(BASELINE)/guidance.json --round 1 --whole --output-dir $(BASELINE) $(OF_SHARES)
$(BASELINE_ROLLOUT) &: $(BASELINE_FROM)
	@$(WHOLE_ROLLOUT)
BASELINE_FILES := $(addprefix $(BASELINE)/,baseline.json summary.txt cases.txt false_releases.jsonl false_blocks.jsonl)
$(BASELINE_FILES) &: $(BASELINE_FROM) $(BASELINE_ROLLOUT)
	@$(call TOOL,baseline) --stage-a $(R)/stage_a.jsonl --rollout $(BASELINE) --output-dir $(BASELINE)
.PRECIOUS: $(BASELINE_ROLLOUT) $(BASELINE_FILES)

# -- labels that look wrong, before any model has judged them
SUSPECTS = $(call TOOL,suspects) --config $< --stage-a $(R)/stage_a.jsonl --output $@
$(R)/suspects.jsonl: $(R)/config/suspects.yaml $(R)/stage_a.jsonl | $(READY_SUSPECTS)
	@$(SUSPECTS)

# -- names for people
.PHONY: converge review distill baseline suspects
suspects: $(R)/suspects.jsonl ## 2.3 rank the tickets by how much speaks against their label, before a model judges any
BASELINE_NEEDS := $(call needs,$(BASELINE_FROM),$(BASELINE_FILES))
baseline: $(BASELINE_NEEDS) ## 2.3 judge all tickets by the checklist alone, learn nothing: how sound are the labels
	$(call as_share,$(WHOLE_ROLLOUT))
	$(if $(IS_WHOLE),@[ -n "$${QUIET:-}" ] || cat $(BASELINE)/summary.txt)
converge: $(VIEW) ## 2.9 learn guidance until a whole epoch changes nothing
review: $(REVIEW) ## 2.5 list the tickets that no candidate supports
	@[ -n "$${QUIET:-}" ] || $(call TOOL,list_review) --run-dir $(R)
distill: $(CORPUS) $(R)/need_review.json ## 2.4 converge, then write the chat corpus and its train/val split
