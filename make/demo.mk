# The demo's input, drawn by code, and its steps. Three sets of tickets of one world: those that teach, those of the
# student's old tasks, and those it is judged on. A twentieth of the first has a wrong label.
DRAWN := runs/demo/photos
draw = $(call TOOL,miniature.photos) --mission bbu_line --seed 1 --output $(@D)
$(DRAWN)/tickets/bbu_line.truth.jsonl: $(call by,miniature/photos) $(READY_STUDENT)
	@$(draw) --tickets 320 --tickets-seed 11 --flip 0.05
$(DRAWN)/old/bbu_line.truth.jsonl: $(call by,miniature/photos) $(READY_STUDENT)
	@$(draw) --tickets 200 --tickets-seed 12
$(DRAWN)/held_out/bbu_line.truth.jsonl: $(call by,miniature/photos) $(READY_STUDENT)
	@$(draw) --tickets 160 --tickets-seed 13
$(DRAWN)/held_out/bbu_line.stage_a.jsonl: $(R)/config/summarize.yaml $(DRAWN)/held_out/bbu_line.truth.jsonl $(call by,summarize)
	@$(call TOOL,summarize) --config $< --mission bbu_line --input $(DRAWN)/held_out/bbu_line --output $@

.PHONY: demo-steps demo-photos
demo-photos: $(DRAWN)/tickets/bbu_line.truth.jsonl $(DRAWN)/old/bbu_line.truth.jsonl $(DRAWN)/held_out/bbu_line.truth.jsonl
demo-steps: | $(READY_STUDENT)
	@$(SUBMAKE) demo-photos
	@$(SUBMAKE) summarize PHOTOS=$(DRAWN)/tickets/bbu_line
	@$(SUBMAKE) $(DRAWN)/held_out/bbu_line.stage_a.jsonl
	@$(SUBMAKE) distill
	@$(SUBMAKE) gate HELD_OUT=$(DRAWN)/held_out
