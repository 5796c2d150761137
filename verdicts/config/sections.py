"""The sections of the configuration, each a frozen model; configs/base.yaml says what every knob means."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from verdicts.base.record import Line
from verdicts.config.base import Count, Section, Share
from verdicts.config.engine import EngineConfig
from verdicts.config.prompts import PromptsSection

Word = Annotated[str, Field(min_length=1)]
OpenShare = Annotated[float, Field(gt=0, lt=1)]
DecisionRule = Literal["majority", "threshold"]  # what answers say most often, or from which P(fail) on a ticket fails
Words = Annotated[list[Word], Field(min_length=1)]


class AskedOfPoint(Section):
    """What an install point is asked for (verdicts/facts/points.py)."""

    what: Line
    objects: Words
    good: list[Word] = Field(default_factory=list)
    bad: list[Word] = Field(default_factory=list)
    beside: list[Word] = Field(default_factory=list)


class Mission(Section):
    """One inspection item. ``g0`` is the read-only checklist; ``rules`` are learnable rules to start from.

    ``domain``: what its photos show, a BBU cabinet or RRU install points; ``points``: what each point is asked for.
    """

    slug: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    name: Line
    g0: Line
    rules: list[Line]
    high_risk: bool
    domain: Literal["bbu", "rru"] = "bbu"
    points: list[AskedOfPoint] = Field(default_factory=list)


class Sampling(Section):
    """Temperature and nucleus of one candidate."""

    temperature: Annotated[float, Field(ge=0)]
    top_p: Annotated[float, Field(gt=0, le=1)]


class DecisionSection(Section):
    """By what a verdict is chosen: ``threshold`` is the P(fail) from which on a ticket fails, null: of a point."""

    decision: DecisionRule
    threshold: Share | None

    @model_validator(mode="after")
    def _no_threshold_unused(self) -> Self:
        if self.threshold is not None and self.decision == "majority":
            raise ValueError(
                f"threshold {self.threshold:g} decides nothing while decision is majority; write decision: threshold, "
                "or threshold: null"
            )
        return self


class RolloutSection(DecisionSection):
    """The sampling grid: ``samples`` candidates for each entry of ``grid``, and what is made of their answers."""

    grid: Annotated[list[Sampling], Field(min_length=1)]
    samples: Count
    max_new_tokens: Count
    cut_reasons: Literal["keep", "refuse"]
    seed: int
    reuse_gb: Annotated[float, Field(ge=0)]
    reuse_folder: str


class Negative(Section):
    """An explicit negative: one of the ``values`` said of one of the ``objects``."""

    objects: Words
    values: Words


# told apart by their form, so that a mistake is named in the form that was meant
AnyNegative = Annotated[
    Annotated[Words, Tag("words")] | Annotated[Negative, Tag("named")],
    Discriminator(lambda value: "named" if isinstance(value, dict | Negative) else "words"),
]


class FailFirst(Section):
    """Overrides a pass where a fact of a summary is one of ``negatives`` (verdicts/stage_b/negatives.py).

    A list of words is a negative where one fact holds them all. Without the words that exempt, as in the sections of
    older runs, nothing is exempt.
    """

    enabled: bool
    negatives: list[AnyNegative]
    negations: list[Word] = Field(default_factory=list)
    questions: list[Word] = Field(default_factory=list)
    doubts: list[Word] = Field(default_factory=list)


class WindowSection(Section):
    """Which tickets a round sees: at most ``tickets`` of a seeded permutation."""

    tickets: Count
    seed: int


class LoopSection(Section):
    """When the loop gives up.

    ``max_unreadable``: the share of an epoch's answers, or of its reflections, that may be unreadable.
    """

    max_epochs: Count
    max_unreadable: Share
    enough_answers: Count


class LearnSection(Section):
    """Which groups guidance never learns from: a share, by a hash of seed and group_id (verdicts/rounds/holdout.py)."""

    holdout: Annotated[float, Field(ge=0, lt=1)]
    seed: int


class TrialSection(Section):
    """When a proposed rule is accepted (verdicts/guidance/trial.py)."""

    errors: Count
    corrects: Count
    rounds: Count
    explains: Annotated[int, Field(ge=0)]
    min_fixed: Count
    spend: Share
    early: Share
    discard: Share
    foreign: Share
    min_precision: Share
    min_elsewhere: Share
    min_unseen: Share
    harm: Annotated[float, Field(ge=0)]
    remember_broke: Count
    remember_ratio: Annotated[float, Field(ge=0)]
    photo_classes: Count


class PoolSection(Section):
    """Refused additions that are tried together at an epoch's end (verdicts/guidance/pool.py)."""

    candidates: Annotated[int, Field(ge=0)]
    promising: Share
    spend: Share
    exceptions: Share


class ContrastSection(Section):
    """Errors shown together for what sets them apart, at an epoch's end (verdicts/stats/contrast.py)."""

    features: Annotated[int, Field(ge=0)]
    draws: Count
    level: Share


def _pattern(text: str) -> str:
    """The text; raises ValueError where it is no regular expression."""
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"is no regular expression ({error})") from None
    return text


def _pattern_of_a_part(text: str) -> str:
    """The text; raises ValueError where it is no regular expression with one group."""
    if re.compile(_pattern(text)).groups != 1:
        raise ValueError("needs one group in brackets: the part that is meant")
    return text


Pattern = Annotated[str, Field(min_length=1), AfterValidator(_pattern)]


def _no_word_for_both(labels: dict[str, list[str]]) -> dict[str, list[str]]:
    """The words; raises ValueError where a label has none, or one word is of both."""
    if missing := {"pass", "fail"} - labels.keys():
        raise ValueError(f"no words for {missing.pop()}; name them")
    if both := set(labels["pass"]) & set(labels["fail"]):
        raise ValueError(f"{both.pop()!r} stands for pass and for fail; keep one of the two")
    return labels


class TicketsSection(Section):
    """What the door makes of given tickets (verdicts/intake/).

    ``labels``: words that a label may be, in any case and width. ``aliases``: other names of the mission.
    ``drop_distances``: summaries lose their 站点距离 entries.
    """

    aliases: list[Line]
    labels: Annotated[dict[Literal["pass", "fail"], Words], AfterValidator(_no_word_for_both)]
    max_count: Count
    max_refused: Share
    drop_distances: bool = False


class RuleWords(Section):
    """What words of a rule mean to a trial (verdicts/guidance/rule_text.py)."""

    generic: Words
    photos: Words
    amounts: Words


class DetailPatterns(Section):
    """What belongs to single tickets and must not enter a rule (verdicts/guidance/rule_text.py)."""

    ids: Pattern
    label_text: Annotated[Pattern, AfterValidator(_pattern_of_a_part)]
    marks: Pattern
    min_chars: Count
    reason_text: Pattern


class ReflectSection(Section):
    """Reflection calls a round: up to ``groups`` of ``group_size`` wrong tickets for each direction of error."""

    group_size: Count
    groups: Count
    credit: Literal["cited", "causal"]
    min_log_odds: Annotated[float, Field(gt=0)]
    draws: Count
    prompt_tokens: Count
    show_reasons: bool
    reason_chars: Count
    temperature: Annotated[float, Field(ge=0)]
    top_p: Annotated[float, Field(gt=0, le=1)]
    max_new_tokens: Count
    grammar: bool
    max_operations: Count
    max_rule_chars: Count
    max_rules: Count
    seed: int
    trial: TrialSection
    pool: PoolSection
    contrast: ContrastSection
    words: RuleWords
    details: DetailPatterns


class LifeCycle(Section):
    """When a learnable rule leaves (verdicts/guidance/leaving.py). max_harm and label_noise hold for proposals too."""

    confirm: Share
    proof: Share
    min_miss: Count
    min_precision: Share
    fail_precision: Share
    max_harm: Share
    sure_harm: bool
    label_noise: Share


class ReviewSection(Section):
    """Which tickets go to a person."""

    policy: Literal["unsupported", "label_suspect"]


class Compat(Section):
    """Files for old scripts."""

    manual_review_queue: bool


class DistillSection(Section):
    """The chat corpus and the SFT split."""

    enabled: bool = False
    val_share: Share
    seed: int
    conflict_policy: Literal["drop", "downweight", "mark", "keep"]
    conflict_weight: Annotated[float, Field(gt=0, le=1)]
    audit_sample: Annotated[int, Field(ge=0)]
    min_agreement: Share


class StudentSection(Section):
    """The student: a Qwen3-VL checkpoint folder. 0: its own limit of pixels, torch's choice of threads."""

    model: str
    max_photo_pixels: Annotated[int, Field(ge=0)]
    n_threads: Annotated[int, Field(ge=0)]


class SummarizeSection(Section):
    """Stage A: photos answered together, length of a summary, and what a photo may be."""

    batch: Count
    batch_tokens: Annotated[int, Field(ge=0)]
    max_new_tokens: Count
    max_photo_mb: Annotated[float, Field(gt=0)]
    max_photo_megapixels: Annotated[float, Field(gt=0)]
    broken: Literal["drop_photo", "drop_group"]
    max_cut_off: Share


class SftSection(Section):
    """LoRA on the top language layers. Rows of the tasks in ``keep`` hold the student to what the base says there."""

    top_layers: Count
    rank: Count
    alpha: Count
    dropout: Share
    targets: Annotated[
        list[Literal["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]], Field(min_length=1)
    ]
    keep: list[Literal["chat", "dense", "summary"]]
    learning_rate: Annotated[float, Field(gt=0)]
    warmup_share: Share
    epochs: Annotated[float, Field(gt=0)]
    batch_rows: Count
    accumulate: Count
    max_tokens: Count
    long_rows: Literal["stop", "leave_out"]
    max_left_out: Share
    max_grad_norm: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)]
    save_steps: Count
    log_steps: Count
    allow_one_sided: bool
    lint: Literal["warn", "refuse", "off"]
    cache_gb: Annotated[float, Field(ge=0)]
    cache_folder: str
    seed: int


class ReasonWords(Section):
    """How a reason speaks: words of what is missing, of a fault, of all being well, and words that take these back."""

    missing: list[str]
    against: list[str]
    fine: list[str]
    but: list[str]
    waived: list[str]
    conditions: list[str]


class LintSection(Section):
    """What is looked for in a corpus before it is learnt (docs/lint.md)."""

    examples: Count
    min_class_share: Share
    min_leak_chars: Count
    words: ReasonWords


class EvaluateSection(Section):
    """Held-out tickets and photos, and how they are answered."""

    batch: Count
    max_new_tokens: Count
    max_new_tokens_dense: Count
    tickets: Count
    photos: Count
    max_cut_off: Share
    seed: int


class PredictSection(DecisionSection):
    """What becomes of an answer about a ticket without a label; how it is asked for stands in ``evaluate``."""

    reason: Literal["plain", "photos"]
    window: Count


class CalibrateSection(Section):
    """Which FRR an operating point is to keep, how surely, and which share of the groups chooses it."""

    target: OpenShare
    confidence: OpenShare
    share: Annotated[float, Field(gt=0, le=1)]
    seed: int


class SuspectsSection(Section):
    """How labels are doubted before an epoch is spent (verdicts/review/suspects.py)."""

    folds: Annotated[int, Field(ge=2)]
    seed: int


class HeldOutRows(Section):
    """Which groups of an import are kept for questions: those of named files, else a seeded share; those of tickets."""

    share: Share
    seed: int
    files: list[str]
    tickets: list[str]


class ImportSection(Section):
    """Training rows of other teams (verdicts/importing/)."""

    order: Literal["center_tlbr", "reference_tlbr"]
    prefix: bool
    domain: Literal["", "bbu", "rru"]
    group: Pattern
    edge_px: Annotated[float, Field(ge=0)]
    ignore: list[str]
    held_out: HeldOutRows


class GateSection(Section):
    """When the student may ship (shares, 0.01 is one point), and how the intervals of changes are drawn."""

    max_frr: Share
    max_false_block: Share
    min_format: Share
    max_retention_loss: Share
    max_behaviour: Share | None
    decision: DecisionRule
    looks: Literal["free", "spend"]
    resamples: Count
    seed: int


class BehaviourSection(Section):
    """How held-out tickets are changed to test what a model does (docs/behaviour.md)."""

    tickets: Count
    tolerance: Share
    brands: Annotated[list[str], Field(min_length=2)]
    photo_words: list[str]
    seed: int


class ExportSection(Section):
    """The student as files for llama.cpp; how the language part is quantised is named at the call."""

    mmproj_quant: Literal["f32", "f16", "bf16", "q8_0"]


class LlamaServerSection(Section):
    """How llama-server is asked, and how near its verdicts have to be to those of transformers."""

    photos: Literal["prepared", "as_is"]
    slots: Count
    context_tokens: Count
    n_threads: Annotated[int, Field(ge=0)]
    min_agreement: Share


class PlanSection(Section):
    """How many tickets tools.plan probes."""

    tickets: Count


Key = Annotated[str, Field(pattern=r"(?s)^.*\S.*::(pass|fail)$")]  # a ticket_key


class MinUsefulPhotos(Section):
    """Useful photos that a ticket of either label needs."""

    model_config = ConfigDict(serialize_by_alias=True)

    pass_: Annotated[int, Field(ge=0, alias="pass")]
    fail: Annotated[int, Field(ge=0)]
    beside_irrelevant: bool


class SuspiciousOrders(Section):
    """When a group's pass is doubted: it has few useful photos, and the same group failed with more."""

    drop: bool
    pass_at_most: Count
    fail_at_least: Count


class DuplicateTickets(Section):
    """What makes two tickets of one label the same; distances are bits of a 64-bit perceptual hash."""

    by: Literal["nothing", "summaries", "photos", "near_photos"]
    distance: Annotated[int, Field(ge=0, le=15)]
    photos: str


class FiltersSection(Section):
    """Which tickets a run leaves out (verdicts/intake/filters.py)."""

    exclude: list[Key]
    exclude_file: str
    exclude_reasons: list[Pattern]
    min_useful_photos: MinUsefulPhotos
    suspicious: SuspiciousOrders
    duplicates: DuplicateTickets


class Config(Section):
    """Everything, merged."""

    mission: Mission
    filters: FiltersSection
    tickets: TicketsSection
    engine: EngineConfig
    prompts: PromptsSection
    rollout: RolloutSection
    fail_first: FailFirst
    window: WindowSection
    loop: LoopSection
    learn: LearnSection
    reflect: ReflectSection
    life_cycle: LifeCycle
    review: ReviewSection
    compat: Compat
    plan: PlanSection
    distill: DistillSection
    student: StudentSection
    summarize: SummarizeSection
    lint: LintSection
    sft: SftSection
    evaluate: EvaluateSection
    gate: GateSection
    behaviour: BehaviourSection
    export: ExportSection
    llama_server: LlamaServerSection
    predict: PredictSection
    calibrate: CalibrateSection
    suspects: SuspectsSection
    import_: Annotated[ImportSection, Field(alias="import")]
