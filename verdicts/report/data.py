"""What a report of a run shows, read from the run's files. Nothing here writes, runs a model or looks at a clock."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from verdicts.base.errors import mistake
from verdicts.base.jsonl import RowT, read_json, read_rows, stream_rows, validate
from verdicts.config.load import read_yaml
from verdicts.config.sections import FailFirst
from verdicts.corpus.distill import OneSided, read_one_sided
from verdicts.models.fingerprint import checkpoint_hash, sampled_hash
from verdicts.records.review import MissionReview, ReviewAgreement, ReviewDecision, ReviewSummary, ReviewTicket
from verdicts.records.rollout import Malformed, Selection
from verdicts.records.run import LoopStatus, RoundMetrics
from verdicts.records.run_folder import ROUND_FILES, RUN_FILES, paths_of, round_folder
from verdicts.records.synthetic import is_synthetic, tickets_source
from verdicts.records.ticket_index import LABELS, Tickets
from verdicts.records.tickets import TicketsSource
from verdicts.report.evaluation import StudentResult, read_student
from verdicts.report.evidence import (
    Evidence,
    NearMiss,
    SharedByErrors,
    evidence_of,
    near_misses_of,
    read_limits,
    shared_by_errors,
    sides_in,
)
from verdicts.report.headline import LIMITS, Headline, Row, confusion_of_rates, teachers_frr
from verdicts.report.reach import Reach, reaches_of
from verdicts.report.released import Errors, read_errors
from verdicts.report.rules import RefusedProposals, Story, refused_of, stories_of
from verdicts.review.audit import AuditResult, read_audit_result
from verdicts.review.decisions import summarize
from verdicts.review.review_list_file import stream_review
from verdicts.runs.freshness import OutOfDate, out_of_date
from verdicts.runs.prompts import PromptInUse, prompts_in_use
from verdicts.runs.spent import StepSpent, read_spent
from verdicts.runs.standing import Gap, Standing, gate_limit, held_out_of, read_said, standing_of
from verdicts.runs.view import Learnt, read_learnt
from verdicts.stats.rates import Rate, VerdictRates, wilson

AGREEMENT = "review_agreement.json"
TICKETS_SHOWN = 20  # of the review list; review.html has them all


class FileCount(NamedTuple):
    """One name of a run's files: how many there are, their records and bytes."""

    name: str
    files: int
    records: int
    size: int


class ModelFile(NamedTuple):
    """A model that the configuration names. ``sha256`` is "" where the file is not there or the model is no file."""

    role: str
    kind: str
    model: str
    sha256: str


@dataclass(frozen=True)
class WhyMalformed:
    """Failures for one reason: of candidates (with the rate), or of whole tickets (``rate`` None)."""

    why: str
    count: int
    rate: Rate | None


class SectionText(NamedTuple):
    """A section of the configuration as YAML, and the tools' files that hold it so."""

    name: str
    tools: list[str]
    text: str


@dataclass(frozen=True)
class Report:
    """Everything on the page. None or empty: the run has no such file (yet)."""

    run: str
    learnt: Learnt
    labels: dict[str, int]
    stories: list[Story]
    evidence: dict[str, Evidence]
    near_misses: list[NearMiss]
    reaches: list[Reach]
    shared: list[SharedByErrors]
    refused: list[RefusedProposals]
    proposals: int
    metrics: list[RoundMetrics]
    standing: Standing | None  # of the run's selections and review list
    review: MissionReview | None  # its first TICKETS_SHOWN tickets
    review_page: str | None
    malformed: list[WhyMalformed] | None
    candidates: int
    student: StudentResult | None
    errors: Errors | None  # of the student after training
    reviewed: ReviewSummary | None
    agreement: ReviewAgreement | None  # of several reviewers
    audit: AuditResult | None
    guard: FailFirst
    limits: dict[str, float]  # by rate: what the gate lets pass
    sections: list[SectionText]
    models: list[ModelFile]
    prompts: list[PromptInUse]
    source: TicketsSource | None
    synthetic: bool
    one_sided: OneSided | None
    out_of_date: OutOfDate | None
    files: list[FileCount]
    spent: list[StepSpent]  # time and tokens by step

    @property
    def mission(self) -> str:
        """The mission's name."""
        return self.learnt.mission

    @property
    def status(self) -> LoopStatus | None:
        """Where the loop stands; None: it has not been judged yet."""
        return self.learnt.status

    @property
    def rounds(self) -> list[RoundMetrics]:
        """The figures of each round."""
        return [row for row in self.metrics if row.scope == "round"]

    @property
    def epochs(self) -> list[RoundMetrics]:
        """The figures of each whole epoch."""
        return [row for row in self.metrics if row.scope == "epoch"]

    @property
    def sides(self) -> tuple[str, ...]:
        """The tickets that rates by round stand for: all, learn and hold-out ones, or all alone."""
        return sides_in(self.metrics)

    @property
    def gaps(self) -> list[Gap]:
        """Errors that are more frequent on tickets that guidance never saw."""
        return self.standing.gaps if self.standing else []

    @property
    def corrected(self) -> VerdictRates | None:
        """The rates against labels as people corrected them; None where they decided nothing."""
        return self.standing.rates if self.standing and self.standing.decisions else None

    @property
    def limit(self) -> float | None:
        """The most false releases that the gate lets pass."""
        return self.limits.get("frr")

    @property
    def headline(self) -> Headline:
        """The one figure of the first screen: the student's after training, before there is one the teacher's."""
        taught = self.student.after if self.student else None
        frr = taught.chat.frr if taught else teachers_frr(self.standing, self.now)
        mute = taught.chat.failed_without_verdict if taught else 0
        return Headline("student" if taught else "teacher", frr, self.limit, mute)

    @property
    def confusion(self) -> list[Row]:
        """The teacher's last verdict on each ticket against its label; empty without a view of tickets."""
        return confusion_of_rates(self.standing.rates) if self.standing else []

    @property
    def entrance(self) -> list[tuple[str, dict[str, object]]]:
        """What became of the given tickets at the door and in the filters: names of sentences of the page with what
        they are filled with; ``why`` is counts by word.

        None of what did not happen.
        """
        sifted: list[tuple[str, dict[str, object]]] = []
        if self.source and (by := self.source.filtered):
            counts = {"n": by.read - by.kept, "rows": by.read, "why": by.dropped}
            sifted = [("entrance.filtered", counts)]
            sifted += [("entrance.marked", {"n": by.marked})] if by.marked else []
            sifted += [("entrance.note", {"note": note}) for note in by.notes]
        done = self.source.entrance if self.source else None
        if done is None:
            return sifted
        found: tuple[tuple[str, int, dict[str, int]], ...] = (
            ("refused", sum(done.refused.values()), done.refused),
            ("replaced", done.replaced, {}),
            ("repaired", sum(done.repaired.values()), done.repaired),
            ("aside", len(done.aside), done.aside),
        )
        told: list[tuple[str, dict[str, object]]]
        told = [(f"entrance.{name}", {"n": n, "rows": done.rows, "why": why}) for name, n, why in found if n]
        return told + sifted

    @property
    def undecided(self) -> int:
        """Tickets that wait for people."""
        if self.review is None:
            return self.now.need_review if self.now else 0
        return self.standing.waiting if self.standing else self.review.count

    @property
    def now(self) -> RoundMetrics | None:
        """The last whole epoch, or the last round where no epoch is whole; None without metrics."""
        known = self.epochs or self.rounds
        return known[-1] if known else None


def read_report(run_dir: Path, page: Path) -> Report:
    """Read a run. ``page``: where the report will lie, for links to what lies elsewhere.

    Raises UserError for a folder in which no run has started, and for a file that is not what it should be.
    """
    learnt, wanted = read_learnt(run_dir), read_limits(run_dir)
    config = read_config(run_dir)
    tickets = Tickets(run_dir / "stage_a.jsonl")
    metrics = _all(run_dir / "metrics.jsonl", RoundMetrics)
    failures = _stream(run_dir / "failure_malformed.jsonl", Malformed)
    candidates = sum(row.format.n for row in metrics or [] if row.scope == "round")
    guard = config.get("rollout", {}).get("fail_first", {"enabled": False, "negatives": []})
    records = [record for records in learnt.reflections for record in records]
    said, student = read_said(run_dir), read_student(run_dir)
    queue = ReviewOnPage(run_dir / "need_review.json", learnt.mission, said)
    selections = _stream(run_dir / "selections.jsonl", Selection)
    return Report(
        run="/".join(run_dir.resolve().parts[-2:]),
        learnt=learnt,
        labels={label: tickets.count(label) for label in LABELS},
        stories=stories_of(learnt),
        evidence=evidence_of(learnt),
        near_misses=near_misses_of(learnt, wanted),
        reaches=reaches_of(run_dir, wanted),
        shared=shared_by_errors(learnt),
        refused=refused_of(learnt.reflections),
        proposals=sum(len(record.applied) + len(record.rejected) for record in records),
        metrics=metrics or [],
        standing=standing_of(selections, [], said, held_out_of(run_dir))._replace(
            queued=queue.queued, waiting=queue.queued - len(queue.decided)
        )
        if selections is not None
        else None,
        review=queue.review,
        reviewed=summarize(said.values(), queue.decided).model_copy(update={"queued": queue.queued})
        if said and queue.review
        else None,
        agreement=read_json(run_dir / AGREEMENT, ReviewAgreement) if (run_dir / AGREEMENT).exists() else None,
        audit=read_audit_result(run_dir),
        review_page="review.html" if (run_dir / "review.html").exists() else None,
        malformed=None if failures is None else why_malformed(failures, candidates),
        candidates=candidates,
        student=student,
        errors=read_errors(run_dir, student, page),
        guard=validate(guard, FailFirst, run_dir / "config" / "rollout.yaml"),
        limits={name: limit for name, knob in LIMITS.items() if (limit := gate_limit(run_dir, knob)) is not None},
        sections=sections_of(config),
        models=models_of(config),
        prompts=prompts_in_use(run_dir),
        source=tickets_source(run_dir),
        synthetic=is_synthetic(run_dir),
        one_sided=read_one_sided(run_dir / "distill.train.jsonl"),
        out_of_date=out_of_date(run_dir),
        files=file_counts(run_dir, learnt.rounds),
        spent=read_spent(run_dir),
    )


class ReviewOnPage:
    """A mission's review list as far as a page shows it.

    ``review``: with its first tickets alone, None where there is no list. ``decided``: the tickets of it that people
    decided.
    """

    def __init__(self, path: Path, mission: str, said: Mapping[str, ReviewDecision]):
        self.review: MissionReview | None = None
        self.queued = 0
        self.decided: list[ReviewTicket] = []
        first: list[ReviewTicket] = []
        heads: dict[str, MissionReview] = {}
        for listed in stream_review(path, heads) if path.exists() else ():
            if listed.mission == mission:
                self.queued += 1
                self.decided += [listed.ticket] if listed.ticket.ticket_key in said else []
                first += [listed.ticket] if len(first) < TICKETS_SHOWN else []
        if mission in heads:
            self.review = heads[mission].model_copy(update={"tickets": first})


def _all(path: Path, model: type[RowT]) -> list[RowT] | None:
    return read_rows(path, model, allow_empty=True) if path.exists() else None


def _stream(path: Path, model: type[RowT]) -> Iterator[RowT] | None:
    return stream_rows(path, model, allow_empty=True) if path.exists() else None


def why_malformed(failures: Iterable[Malformed], candidates: int) -> list[WhyMalformed]:
    """Failures by reason, the most frequent first; those of candidates as shares of all candidates."""
    counts = Counter((failure.why, failure.candidate_index is not None) for failure in failures)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rates = [wilson(count, candidates) if single and count <= candidates else None for (_, single), count in ranked]
    return [WhyMalformed(why, count, rate) for ((why, _), count), rate in zip(ranked, rates, strict=True)]


def read_config(run_dir: Path) -> dict[str, dict[str, Any]]:
    """The section files of the run by tool, as they are: an old run may lack knobs that are new.

    Raises UserError for a section that is no mapping.
    """
    config = {path.stem: read_yaml(path) for path in sorted((run_dir / "config").glob("*.yaml"))}
    for tool, sections in config.items():
        for name, section in sections.items():
            if not isinstance(section, dict):
                raise mistake(
                    "holds no mapping", "write its knobs below it", path=run_dir / "config" / f"{tool}.yaml", field=name
                )
    return config


def sections_of(config: dict[str, dict[str, Any]]) -> list[SectionText]:
    """Each section once, with the tools that were told it; twice where two of them were told different things."""
    told: dict[tuple[str, str], list[str]] = {}
    for tool, sections in config.items():
        for name, value in sections.items():
            text = yaml.safe_dump(value, allow_unicode=True, sort_keys=False)
            told.setdefault((name, text), []).append(tool)
    return [SectionText(name, tools, text) for (name, text), tools in sorted(told.items())]


def models_of(config: dict[str, dict[str, Any]]) -> list[ModelFile]:
    """The teacher of rollout and reflect, and the student, with hashes of the files as they are now.

    No file of a run keeps one.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for tool in ("rollout", "reflect"):
        if engine := config.get(tool, {}).get("engine"):
            found.setdefault((str(engine.get("kind", "")), str(engine.get("model", ""))), []).append(tool)
    for tool in ("summarize", "sft", "evaluate"):
        if model := config.get(tool, {}).get("student", {}).get("model"):
            found.setdefault(("transformers", str(model)), []).append(tool)
    return [ModelFile(", ".join(tools), kind, model, _model_hash(model)) for (kind, model), tools in found.items()]


def _model_hash(model: str) -> str:
    """As the engines' fingerprints have it; "" where there is neither a file nor a checkpoint folder."""
    path = Path(model)
    if not model or not path.exists():
        return ""
    return checkpoint_hash(path) if path.is_dir() else sampled_hash(path)


def file_counts(run_dir: Path, rounds: int) -> list[FileCount]:
    """Counts of the run's own files, then of its rounds' files together."""
    counts = [_count(name, paths_of(run_dir, name)) for name in RUN_FILES]
    counts += [
        _count(f"rounds/*/{name}", [round_folder(run_dir / "rounds", number) / name for number in range(rounds + 1)])
        for name in ROUND_FILES
    ]
    return [count for count in counts if count.files]


def _count(name: str, paths: Iterable[Path]) -> FileCount:
    there = [path for path in paths if path.is_file()]
    records = 0
    for path in there:
        with path.open("rb") as file:
            records += 1 if path.suffix == ".json" else sum(1 for line in file if line.strip())
    return FileCount(name, len(there), records, sum(path.stat().st_size for path in there))
