# The graph of a run: tickets -> [rollout -> reflect -> apply]* -> collect -> review, distill. One rule a file.

LOOPING ?=
# A script is no reason to make a finished file again: pulling a new version must cost neither hours of rollouts nor
# edits by hand. Whoever changes a script asks for it with DEV=1.
by = $(if $(strip $(DEV)),tools/$(1).py) | tools/$(1).py

# -- what the run is made of: tickets and section files, rewritten only when their content changes
SOURCE_NOTE := $(R)/config/tickets.json
EMBEDDED := $(R)/miniature/stage_a.jsonl
SUMMARIES := $(R)/summaries/stage_a.jsonl
TICKETS := $(firstword $(or $(strip $(STAGE_A)),$(shell sed -n 's/^ *"source": "\(.*\)",$$/\1/p' $(SOURCE_NOTE) 2>/dev/null),$(wildcard $(SUMMARIES) data/$(strip $(MISSION))/stage_a.jsonl),$(EMBEDDED)))
RUN_GOALS := distill converge review review-page relearn report

ifneq (,$(filter $(RUN_GOALS) $(R)/%,$(MAKECMDGOALS)))
ifeq (,$(filter prepared,$(LOOPING)))
include $(R)/config/prepared.mk
endif
endif
$(R)/config/prepared.mk: FORCE $(filter $(EMBEDDED),$(TICKETS)) | $(READY)
	@$(call TOOL,prepare) --models $(MODELS) --mission $(MISSION) --tickets '$(TICKETS)' --run-dir $(R) $(if $(strip $(CONFIG)),--overlay '$(strip $(CONFIG))')
$(EMBEDDED): $(call by,miniature/world) $(READY)
	@$(call TOOL,miniature.world) --mission $(MISSION) --seed 7 --tickets 400 --flip 0.05 --output $@ --truth $(@D)/truth.jsonl
	@$(if $(strip $(QUIET)),:,echo) "no STAGE_A and no data/$(strip $(MISSION))/stage_a.jsonl: taking the embedded miniature's tickets" >&2
$(R)/config/%.yaml: ;
$(R)/stage_a.jsonl: ;
.PHONY: FORCE
FORCE:

# -- what people said of tickets. The corpus follows it at once; learning holds to what was said when it began (its
# first reflection, whatever makes that new), so that all rounds know the same. `make relearn` brings it up to date.
DECIDED := $(wildcard $(R)/review_decisions.jsonl)
LEARNT := $(R)/rounds/0000/review_decisions.jsonl
$(LEARNT): $(R)/config/reflect.yaml $(R)/rounds/0001/trajectories.jsonl $(R)/rounds/0001/selections.jsonl $(PROMPTS_R) $(call by,reflect)
	@cp $(or $(DECIDED),/dev/null) $@

# -- rounds. Those that exist are named in loop.json's rule: make takes a file that no rule names for an intermediate
# one, whose loss it would not mind. .PRECIOUS keeps the files of new rounds, which nothing names yet.
ROUND_FILES := trajectories.jsonl failure_malformed.jsonl selections.jsonl need_review_queue.jsonl reflection.jsonl guidance.json
ROUNDS := $(filter-out %/0000,$(wildcard $(R)/rounds/[0-9]*))
of_rounds = $(foreach round,$(ROUNDS),$(addprefix $(round)/,$(1)))
.PRECIOUS: $(addprefix $(R)/rounds/%/,$(ROUND_FILES))
round_before = $(R)/rounds/$(shell printf '%04d' $$((1$(1) - 10001)))/guidance.json
$(R)/rounds/0000/guidance.json: $(R)/config/guidance.yaml $(call by,apply)
	@$(call TOOL,apply) --config $< --output $@ --start
$(R)/rounds/%/trajectories.jsonl $(R)/rounds/%/failure_malformed.jsonl $(R)/rounds/%/selections.jsonl: $(R)/config/rollout.yaml $(R)/stage_a.jsonl $$(call round_before,$$*) $(PROMPTS_B) $(call by,rollout)
	@$(call TOOL,rollout) --config $< --stage-a $(R)/stage_a.jsonl --guidance $(call round_before,$*) --round $* --output-dir $(@D)
$(R)/rounds/%/need_review_queue.jsonl $(R)/rounds/%/reflection.jsonl: $(R)/config/reflect.yaml $(R)/stage_a.jsonl $(R)/rounds/%/trajectories.jsonl $(R)/rounds/%/selections.jsonl $(LEARNT) $(PROMPTS_R) $(call by,reflect)
	@$(call TOOL,reflect) --config $< --stage-a $(R)/stage_a.jsonl --guidance $(call round_before,$*) --decisions $(LEARNT) --round $* --round-dir $(@D)
$(R)/rounds/%/guidance.json: $(R)/config/guidance.yaml $(R)/rounds/%/reflection.jsonl $$(call round_before,$$*) $(call by,apply)
	@$(call TOOL,apply) --config $< --guidance $(call round_before,$*) --reflection $(@D)/reflection.jsonl --output $@

# -- the loop: rounds that exist are brought up to date by the rules above, then new ones follow until it ends
$(R)/loop.json: $(R)/config/loop.yaml $(R)/stage_a.jsonl $(R)/rounds/0000/guidance.json $(call of_rounds,guidance.json) $(call by,next_round) $(call of_rounds,$(ROUND_FILES))
	@ask() { $(call TOOL,next_round) --config $< --stage-a $(R)/stage_a.jsonl --rounds $(R)/rounds --output $@; }; \
	next=$$(ask); while [ -n "$$next" ]; do $(SUBMAKE) LOOPING=prepared $(R)/rounds/$$next/guidance.json; next=$$(ask); done

# -- the run's view of its rounds. GNU make 4.3 says under -n nothing of what depends on a file of a grouped rule alone
# (&:), so the rules from here on name what such files are made from as well. A tool that fails has written nothing, yet
# .DELETE_ON_ERROR would take the other files of its group for half-made ones: hence .PRECIOUS.
VIEW := $(addprefix $(R)/,trajectories.jsonl selections.jsonl failure_malformed.jsonl guidance.json metrics.jsonl)
VIEW_FROM := $(R)/loop.json $(R)/stage_a.jsonl $(call of_rounds,failure_malformed.jsonl need_review_queue.jsonl)
$(VIEW) &: $(VIEW_FROM) $(call by,collect)
	@$(call TOOL,collect) --loop $< --rounds $(R)/rounds --stage-a $(R)/stage_a.jsonl --output-dir $(R)
REVIEW_FROM := $(R)/config/aggregate_review.yaml $(VIEW_FROM) $(R)/trajectories.jsonl $(R)/selections.jsonl
REVIEW := $(R)/need_review_queue.jsonl $(R)/need_review.json
$(REVIEW) &: $(REVIEW_FROM) $(call by,aggregate_review)
	@$(call TOOL,aggregate_review) --config $< --loop $(R)/loop.json --rounds $(R)/rounds --stage-a $(R)/stage_a.jsonl --trajectories $(R)/trajectories.jsonl --selections $(R)/selections.jsonl --output-dir $(R)

# -- the corpus; with distill.enabled: false the tool says so and writes nothing
CORPUS := $(addprefix $(R)/,distill_chatml.jsonl distill.train.jsonl distill.val.jsonl distill.dropped.jsonl distill.audit.jsonl)
CORPUS_FROM := $(R)/config/distill.yaml $(REVIEW_FROM) $(R)/guidance.json $(R)/need_review.json $(DECIDED) $(PROMPTS_B)
.PRECIOUS: $(VIEW) $(REVIEW) $(CORPUS)
$(CORPUS) &: $(CORPUS_FROM) $(call by,distill)
	@$(call TOOL,distill) --config $< --loop $(R)/loop.json --stage-a $(R)/stage_a.jsonl --selections $(R)/selections.jsonl --guidance $(R)/guidance.json --need-review $(R)/need_review.json $(DECIDED:%=--decisions %) --output-dir $(R)

# -- pages for people: the queue to decide, and the whole run; they only read
PAGES = $(wildcard tools/core/pages/$(1).*)
$(R)/review.html: $(R)/need_review.json $(REVIEW_FROM) $(R)/guidance.json $(R)/config/rollout.yaml $(DECIDED) $(call PAGES,review) $(call by,review_page)
	@$(call TOOL,review_page) --run-dir $(R) --output $@ $(if $(strip $(PHOTOS)),--photos '$(strip $(PHOTOS))')
EVALUATED := $(wildcard $(addprefix $(R)/evaluation/,before.json after.json gate.json))
$(R)/report.html: $(wildcard $(R)/config/*.yaml $(R)/config/tickets.json) $(VIEW_FROM) $(call of_rounds,guidance.json reflection.jsonl) $(VIEW) $(REVIEW) $(wildcard $(R)/review_summary.json) $(DECIDED) $(EVALUATED) $(call PAGES,report) $(call by,report) $(R)/review.html
	@$(call TOOL,report) --run-dir $(R) --output $@

# -- names for people
.PHONY: converge review review-page review-apply relearn report distill show check plan why diff
converge: $(VIEW) ## learn guidance until a whole epoch changes nothing
review: $(REVIEW) ## list the tickets that no candidate supports
review-page: $(R)/review.html ## write review.html: decide the tickets in a browser (PHOTOS=folder)
review-apply: | $(READY) ## bring decisions in (DECISIONS=path), or say how the review stands; then make distill
	@$(call TOOL,review_apply) --run-dir $(R) $(if $(strip $(DECISIONS)),--decisions '$(strip $(DECISIONS))')
relearn: | $(READY) ## learn again with what people decided since, then distill
	@[ ! -e $(LEARNT) ] || cmp -s $(or $(DECIDED),/dev/null) $(LEARNT) || cp $(or $(DECIDED),/dev/null) $(LEARNT)
	@$(SUBMAKE) distill
report: $(R)/report.html ## write report.html: the whole run on one page
distill: $(CORPUS) $(R)/need_review.json ## converge, then write the chat corpus and its train/val split
show: | $(READY) ## print what was learnt: rules by round, rates by epoch, review counts
	@$(call TOOL,show) --run-dir $(R)
check: | $(READY) ## validate every file of the run
	@$(call TOOL,check) --run-dir $(R)
plan: $(filter $(EMBEDDED),$(TICKETS)) | $(READY) ## predict tokens, time and disk of a run from 20 tickets, before it starts
	@RUN_LOG= $(call TOOL,plan) --models $(MODELS) --mission $(MISSION) --tickets '$(TICKETS)' $(if $(strip $(CONFIG)),--overlay '$(strip $(CONFIG))')
why: | $(READY) ## say why FILE would be made again, and what an edit of it would cost
	@$(call TOOL,why) --file '$(FILE)' --make $(SUBMAKE)
diff: | $(READY) ## compare how two runs of MISSION ended: rules, verdicts, rates, review (A=run1 B=run2)
	@$(call TOOL,diff_runs) --a $(call run_named,$(A)) --b $(call run_named,$(B))
run_named = '$(if $(findstring /,$(1)),$(strip $(1)),$(strip $(RUNS))/$(strip $(1))/$(strip $(MISSION)))'
