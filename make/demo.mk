# The demo's input, drawn by code, and its steps. Three sets of tickets of one world: those that teach, those of the
# student's old tasks, and those it is judged on. A twentieth of the first has a wrong label.
ifneq (,$(GRAPH))
DRAWN := runs/demo/photos
# Draws tickets of the demo's world with their photos beside the target.
draw = $(call MINIATURE,drawing.photos) --mission bbu_line --seed 1 --output $(@D)
$(DRAWN)/tickets/bbu_line.truth.jsonl:
	@$(draw) --tickets 320 --tickets-seed 11 --flip 0.05
$(DRAWN)/old/bbu_line.truth.jsonl:
	@$(draw) --tickets 200 --tickets-seed 12
$(DRAWN)/held_out/bbu_line.truth.jsonl:
	@$(draw) --tickets 160 --tickets-seed 13
$(DRAWN)/held_out/bbu_line.stage_a.jsonl: $(R)/config/summarize.yaml $(PROMPTS_S) $(DRAWN)/held_out/bbu_line.truth.jsonl
	@$(call TOOL,summarize) --config $< --mission bbu_line --input $(DRAWN)/held_out/bbu_line --output $@

.PHONY: demo-photos
demo-photos: $(foreach set,tickets old held_out,$(DRAWN)/$(set)/bbu_line.truth.jsonl) ## 6.7 draw the demo's photos
endif

.PHONY: demo
DRAWN := runs/demo/photos
# A step of the demo: make, with the demo's names.
DEMO = $(SUBMAKE) RUNS=runs RUN=demo MISSION=bbu_line MODELS=miniature FUSION=demo CONFIG= STAGE_A=
demo: | $(READY_STUDENT) ## 1.3 photos -> summaries -> guidance -> corpus -> a taught and judged student; bundled models
	@$(DEMO) -j2 demo-photos
	@$(DEMO) -j2 summarize $(DRAWN)/held_out/bbu_line.stage_a.jsonl PHOTOS=$(DRAWN)/tickets/bbu_line
	@$(DEMO) distill
	@$(DEMO) -j2 gate HELD_OUT=$(DRAWN)/held_out || failed=$$?; \
	$(DEMO) review-page PHOTOS=$(DRAWN)/tickets; $(DEMO) report; exit $${failed:-0}
	@echo 'Look at runs/demo/bbu_line/report.html and review.html, or at make show RUN=demo'
