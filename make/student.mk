# From corpora to the student: fuse. (The student's own steps follow it.)

# -- the mix: its config and the source files that its `paths` name. A source that is not there is no prerequisite: fuse
# names it with its line. A corpus of this run (RUN, MISSION) is brought up to date first, one of another run is taken as it is.
FUSED := $(addprefix data/fused/$(strip $(FUSION)).,train.jsonl val.jsonl manifest.json)
fusion_sources = $(foreach file,$(shell grep -v '^ *[#]' configs/fusion/$(1).yaml 2>/dev/null | grep -o '[^][ ,"'"'"']*[.]jsonl'),$(or $(wildcard $(file)),$(if $(wildcard $(R)/config/prepared.mk),$(filter $(CORPUS),$(file)))))
fused_from = $(1) $(if $(filter $(CORPUS),$(1)),$(CORPUS_FROM))
data/fused/%.train.jsonl data/fused/%.val.jsonl data/fused/%.manifest.json: configs/fusion/%.yaml $$(call fused_from,$$(call fusion_sources,$$*)) $(call by,fuse)
	@$(call TOOL,fuse) --config $< --output-dir $(@D)
configs/fusion/%.yaml: ;
.PRECIOUS: data/fused/%.train.jsonl data/fused/%.val.jsonl data/fused/%.manifest.json

.PHONY: fuse
fuse: $(FUSED) ## mix the corpora and the student's old tasks into data/fused/<FUSION>.{train,val}.jsonl
