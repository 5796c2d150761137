# The student's part: photos -> summarize -> tickets; corpora -> fuse -> sft -> evaluate -> gate.
# prepare settles FUSION (the student's name), MIX (its mix, empty for this run's corpus alone), FUSED_FROM (the mix's
# sources) and QUESTIONS (of HELD_OUT, 8 digits).
FUSED_FROM ?=
MIX ?=
QUESTIONS ?=

# -- photos to tickets. What `make summarize` wrote is taken by distill where no STAGE_A is given.
SUMMARIES := $(R)/summaries/stage_a.jsonl
$(SUMMARIES): $(R)/config/summarize.yaml $(PROMPTS_S)
	@$(SUMMARIZE)
SUMMARIZE = $(call TOOL,summarize) --config $(R)/config/summarize.yaml --mission $(MISSION) \
  --input "$${PHOTOS:-data/$(MISSION)}" --output $(SUMMARIES) $(OF_SHARES)

# -- the mix. A corpus of this run is brought up to date first, one of another run is taken as it is.
FUSED := $(addprefix data/fused/$(FUSION).,train.jsonl val.jsonl manifest.json)
OWN_CORPUS := $(filter $(CORPUS),$(FUSED_FROM))
# by a mix, with this run's corpus where the mix takes it; or this run's corpus alone, under the student's name
FUSE_BY = $(if $(MIX),--config configs/fusion/$(MIX).yaml $(if $(OWN_CORPUS),--corpus $(R)),--name $* --corpus $(R))
FUSE = $(call TOOL,fuse) $(FUSE_BY) --output-dir $(@D)
data/fused/%.train.jsonl data/fused/%.val.jsonl data/fused/%.manifest.json: \
  $(if $(MIX),configs/fusion/$(MIX).yaml) $(FUSED_FROM) $(if $(OWN_CORPUS),$(CORPUS_FROM))
	@$(FUSE)
configs/fusion/%.yaml: ;
.PRECIOUS: data/fused/%.train.jsonl data/fused/%.val.jsonl data/fused/%.manifest.json

# -- what is wrong with the rows, before they are learnt. No result follows it: whoever names other held-out questions
# teaches no student anew. sft says its errors, or with sft.lint: refuse stops.
LINTED := $(R)/corpus_lint.json
LINT = $(call TOOL,lint_corpus) --config $(R)/config/lint_corpus.yaml --train data/fused/$(FUSION).train.jsonl \
  --val data/fused/$(FUSION).val.jsonl --held-out "$$HELD_OUT" --output $(LINTED)
$(LINTED): $(R)/config/lint_corpus.yaml $(FUSED)
	@$(LINT) --for-sft
.PRECIOUS: $(LINTED)

# -- the student: taught, then judged before and after on tickets and photos it never saw
TAUGHT := checkpoints/$(FUSION)/metrics.json
SFT = $(or $(LAUNCH),$(PY)) -m tools.sft --config $< --train data/fused/$*.train.jsonl --val data/fused/$*.val.jsonl \
  --output-dir $(@D) --lint $(LINTED)
checkpoints/%/metrics.json: $(R)/config/sft.yaml data/fused/%.train.jsonl data/fused/%.val.jsonl | $(LINTED)
	@$(SFT)
.PRECIOUS: checkpoints/%/metrics.json
JUDGED := $(R)/evaluation/$(FUSION)-$(QUESTIONS)
TRAINED := data/fused/$(FUSION).train.jsonl
# $(call held,dense): the file of held-out questions of that kind, the mission's or else the folder's.
held = "$$HELD_OUT/$$({ [ -e "$$HELD_OUT/$(MISSION).$(1).jsonl" ] || [ ! -e "$$HELD_OUT/$(1).jsonl" ]; } && \
  echo '$(MISSION).')$(1).jsonl"
ASK = $(call TOOL,evaluate) --config $< --guidance $(R)/guidance.json --trained $(TRAINED) \
  --tickets $(call held,stage_a) --summary $(call held,summary) --dense $(call held,dense) --output $@
$(JUDGED)/before.json: $(R)/config/evaluate.yaml $(R)/guidance.json $(PROMPTS_B) $(TRAINED)
	@$(ASK)
$(JUDGED)/after.json: $(R)/config/evaluate.yaml $(R)/guidance.json $(PROMPTS_B) $(TAUGHT)
	@$(ASK) --student $(dir $(TAUGHT))merged

# -- what teacher and student do on changed held-out tickets
TEST = $(call TOOL,behaviour) --config $< --tickets $(call held,stage_a) --guidance $(R)/guidance.json --output $@
TESTED_FROM := $(R)/config/behaviour.yaml $(R)/guidance.json $(PROMPTS_B)
TESTED := $(foreach who,teacher before after,$(JUDGED)/behaviour-$(who)/behaviour.json)
$(JUDGED)/behaviour-teacher/behaviour.json: $(TESTED_FROM)
	@$(TEST) --teacher
$(JUDGED)/behaviour-before/behaviour.json: $(TESTED_FROM)
	@$(TEST)
$(JUDGED)/behaviour-after/behaviour.json: $(TESTED_FROM) $(TAUGHT)
	@$(TEST) --student $(dir $(TAUGHT))merged
.PHONY: behaviour
behaviour: $(TESTED) ## 4.7 test teacher and student on changed HELD_OUT tickets: what must not move a verdict

.PHONY: summarize fuse lint-corpus sft evaluate gate
SUMMARIZE_NEEDS := $(call needs,$(R)/config/summarize.yaml $(PROMPTS_S),$(SUMMARIES))
summarize: $(SUMMARIZE_NEEDS) ## 2.1 turn PHOTOS (else data/<mission>/) into Stage-A tickets
	$(call as_share,$(SUMMARIZE))
fuse: $(FUSED) ## 4.3 mix the corpora and the student's old tasks into data/fused/<FUSION>.{train,val}.jsonl
lint-corpus: $(FUSED) ## 4.3 look through what the student is to learn: leaks, contradictions, held-out rows
	@MADE_ANEW=1 $(LINT)
sft: $(TAUGHT) ## 4.4 teach the student the mix; several GPUs: LAUNCH='.venv/bin/accelerate launch --multi_gpu'
evaluate: $(JUDGED)/before.json $(JUDGED)/after.json ## 4.5 ask the student HELD_OUT questions before and after
GATE = $(call TOOL,gate) --config $(R)/config/gate.yaml --before $(JUDGED)/before.json --after $(JUDGED)/after.json \
  --student $(dir $(TAUGHT))merged --questions $(QUESTIONS) --looks $(RUNS)/looks.jsonl --output $(JUDGED)/gate.json \
  --behaviour $(JUDGED)/behaviour-after/behaviour.json $(if $(POINT),--point "$$POINT")
gate: evaluate ## 4.6 say whether the student may ship; fails where it may not
	@$(GATE)

# -- the taught student as files for llama.cpp
GGUF := checkpoints/$(FUSION)/gguf-$(QUANT)
EXPORT = $(call TOOL,export) --config $< --student $(dir $(TAUGHT))merged --quant "$$QUANT" --output-dir $(@D)
$(GGUF)/conversion.json: $(R)/config/export.yaml $(TAUGHT) | $(READY_PROGRAMS)
	@$(EXPORT)
.PRECIOUS: $(GGUF)/conversion.json
SERVED := $(JUDGED)/export-$(QUANT)
$(SERVED)/after.json: $(R)/config/served.yaml $(R)/guidance.json $(PROMPTS_B) $(GGUF)/conversion.json
	@$(ASK) --student $(dir $(TAUGHT))merged --export $(GGUF)
.PRECIOUS: $(SERVED)/after.json
.PHONY: export export-gate
export: $(GGUF)/conversion.json ## 4.9 the taught student as GGUF and mmproj for llama.cpp, checked (QUANT=q8_0)
EXPORT_GATE = $(call TOOL,export_gate) --config $(R)/config/export_gate.yaml --before $(JUDGED)/before.json \
  --after $(JUDGED)/after.json --served $(SERVED)/after.json --export $(GGUF) --student $(dir $(TAUGHT))merged \
  --output $(SERVED)/export.json
export-gate: evaluate $(SERVED)/after.json ## 4.9 say whether the export may ship, asked through llama-server
	@$(EXPORT_GATE)

# -- the operating point: from which P(fail) on the student, or its export, fails a ticket
JUDGED_BY := $(if $(filter llama,$(ENGINE)),$(SERVED),$(JUDGED))
CALIBRATE = $(call TOOL,calibrate) --config $(R)/config/calibrate.yaml --evaluation $(JUDGED_BY)/after.json \
  --output $(JUDGED_BY)/point.json
.PHONY: calibrate
calibrate: $(JUDGED_BY)/after.json ## 4.6 from which P(fail) on a ticket fails, so that FRR keeps a target (HELD_OUT)
	@$(CALIBRATE)
# and of the teacher under the run's guidance, by the groups that learning held out
TEACHER_POINT = $(call TOOL,calibrate) --config $(R)/config/calibrate.yaml --run-dir $(R) --output $(R)/point.json
.PHONY: calibrate-teacher
calibrate-teacher: $(VIEW) ## 2.9 from which P(fail) on the teacher fails a ticket under the run's guidance
	@$(TEACHER_POINT)

# -- in use: verdicts of new tickets by the student under the run's guidance. Other TICKETS may be named each time, so
# the tool is always started: it keeps what it made from the same ones. No student is taught for it.
PREDICT_AS = sed 's,/*$$,,; s,.*/,,; s,[.]jsonl$$,,' <<<"$$TICKETS" | tr -c '[:alnum:]._+@\n-' _
PREDICTIONS := $(R)/predictions/$(or $(NAME),$(shell $(PREDICT_AS)),_)/predictions.jsonl
PREDICT = $(call TOOL,predict) --config $(R)/config/predict.yaml --tickets "$$TICKETS" --guidance $(R)/guidance.json \
  --output $(PREDICTIONS) $(OF_SHARES) \
  $(if $(CHECKPOINT),--student "$$CHECKPOINT",$(if $(wildcard $(TAUGHT)),--student $(dir $(TAUGHT))merged)) \
  $(if $(POINT),--point "$$POINT")
PREDICT_FROM := $(R)/config/predict.yaml $(R)/guidance.json $(PROMPTS_B) $(PROMPTS_S)
$(PREDICTIONS): $(PREDICT_FROM) FORCE
	@$(PREDICT)
.PRECIOUS: $(PREDICTIONS)
.PHONY: predict
PREDICT_NEEDS := $(call needs,$(PREDICT_FROM),$(PREDICTIONS))
predict: $(PREDICT_NEEDS) ## 4.6 verdicts of new TICKETS without labels, by the student
	$(call as_share,$(PREDICT))
