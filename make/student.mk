# The student's part: photos -> summarize -> tickets; corpora -> fuse -> sft -> evaluate -> gate.

# -- photos to tickets. What `make summarize` wrote is taken by distill where no STAGE_A is given. configured.mk writes the
# sections of the student's tools alone: those of the run stay as `make distill` wrote them, whatever CONFIG says here.
PHOTO_SOURCE := $(or $(strip $(PHOTOS)),data/$(strip $(MISSION)))
ifneq (,$(filter summarize sft evaluate gate,$(MAKECMDGOALS)))
include $(R)/config/configured.mk
endif
$(R)/config/configured.mk: FORCE | $(READY_STUDENT)
	@$(call TOOL,prepare) --models $(MODELS) --mission $(MISSION) --run-dir $(R) $(if $(strip $(CONFIG)),--overlay '$(strip $(CONFIG))')
newer_photos = $(if $(shell find -L '$(PHOTO_SOURCE)' -newer $(SUMMARIES) -print -quit 2>/dev/null),FORCE)
$(SUMMARIES): $(R)/config/summarize.yaml $(PROMPT_S) $(newer_photos) $(call by,summarize) $(READY_STUDENT)
	@$(call TOOL,summarize) --config $< --mission $(MISSION) --input '$(PHOTO_SOURCE)' --output $@

# -- the mix: its config and the source files that its `paths` name. A source that is not there is no prerequisite: fuse
# names it with its line. A corpus of this run (RUN, MISSION) is brought up to date first, one of another run is taken as it is.
FUSED := $(addprefix data/fused/$(strip $(FUSION)).,train.jsonl val.jsonl manifest.json)
fusion_sources = $(foreach file,$(shell grep -v '^ *[#]' configs/fusion/$(1).yaml 2>/dev/null | grep -o '[^][ ,"'"'"']*[.]jsonl'),$(or $(wildcard $(file)),$(if $(wildcard $(R)/config/prepared.mk),$(filter $(CORPUS),$(file)))))
fused_from = $(1) $(if $(filter $(CORPUS),$(1)),$(CORPUS_FROM))
data/fused/%.train.jsonl data/fused/%.val.jsonl data/fused/%.manifest.json: configs/fusion/%.yaml $$(call fused_from,$$(call fusion_sources,$$*)) $(call by,fuse)
	@$(call TOOL,fuse) --config $< --output-dir $(@D)
configs/fusion/%.yaml: ;
.PRECIOUS: data/fused/%.train.jsonl data/fused/%.val.jsonl data/fused/%.manifest.json

# -- the student: taught, then judged before and after on tickets and photos it never saw
WEIGHTS := $(wildcard $(addsuffix /*.safetensors,$(shell sed -n 's/^  model: //p' $(R)/config/sft.yaml 2>/dev/null)))
TAUGHT := checkpoints/$(strip $(FUSION))/metrics.json
checkpoints/%/metrics.json: $(R)/config/sft.yaml data/fused/%.train.jsonl data/fused/%.val.jsonl $(WEIGHTS) $(call by,sft) $(READY_STUDENT)
	@$(or $(strip $(LAUNCH)),$(PY)) -m tools.sft --config $< --train data/fused/$*.train.jsonl --val data/fused/$*.val.jsonl --output-dir $(@D)
.PRECIOUS: checkpoints/%/metrics.json
HELD := $(addprefix $(strip $(HELD_OUT))/$(strip $(MISSION)).,stage_a.jsonl summary.jsonl dense.jsonl)
JUDGED := $(R)/evaluation
TRAINED := data/fused/$(strip $(FUSION)).train.jsonl
ASK = $(call TOOL,evaluate) --config $< --guidance $(R)/guidance.json --trained $(TRAINED) --tickets $(word 1,$(HELD)) --summary $(word 2,$(HELD)) --dense $(word 3,$(HELD)) --output $@
$(JUDGED)/before.json: $(R)/config/evaluate.yaml $(R)/guidance.json $(wildcard $(HELD)) $(WEIGHTS) $(call by,evaluate) $(TRAINED)
	@$(ASK)
$(JUDGED)/after.json: $(R)/config/evaluate.yaml $(R)/guidance.json $(TAUGHT) $(wildcard $(HELD)) $(call by,evaluate)
	@$(ASK) --student $(dir $(TAUGHT))merged

.PHONY: summarize fuse sft evaluate gate
summarize: $(SUMMARIES) ## turn PHOTOS (else data/<mission>/) into Stage-A tickets
sft: $(TAUGHT) ## teach the student the mix; several GPUs: LAUNCH='.venv/bin/accelerate launch --multi_gpu'
evaluate: $(JUDGED)/before.json $(JUDGED)/after.json ## ask the student HELD_OUT questions before and after
gate: evaluate ## say whether the student may ship; fails where it may not
	@$(call TOOL,gate) --config $(R)/config/gate.yaml --before $(JUDGED)/before.json --after $(JUDGED)/after.json --output $(JUDGED)/gate.json
fuse: $(FUSED) ## mix the corpora and the student's old tasks into data/fused/<FUSION>.{train,val}.jsonl
