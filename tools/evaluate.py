"""Ask a student held-out questions and score its answers: Stage B on tickets, summaries and dense captions of photos.

    python -m tools.evaluate --config RUN/config/evaluate.yaml --student checkpoints/demo/merged \\
        --tickets held_out.stage_a.jsonl [--only-groups-of RUN/distill.val.jsonl] --guidance RUN/guidance.json \\
        --trained data/fused/demo.train.jsonl --summary held_out.summary.jsonl --dense held_out.dense.jsonl \\
        --output RUN/evaluation/after.json

With --export checkpoints/demo/gguf-f16 and --config RUN/config/served.yaml llama-server answers for the student, from
its exported files (docs/export.md).

In:  a student, held-out tickets (stage_a.jsonl) and photos (sources of fuse), the run's guidance, what was trained on.
Out: after.json (all scores, digests of what they were made from); after.answers.jsonl beside it, one question a line;
     tickets.{repaired,refused,aside}.jsonl, what was done to the tickets, where there is anything (docs/tickets.md).

A held-out ticket or photo whose group or photo was trained on is an error. Killed, it goes on at the last whole batch;
the files come out the same, byte for byte. Asked again with the same inputs, by content, it keeps what it has.
Figures: docs/evaluation.md.
"""

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from verdicts.command import cli

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from verdicts.base.part_file import PartFile
    from verdicts.config.sections import EvaluateSection
    from verdicts.config.tools import EvaluateConfig
    from verdicts.evaluation.questions import Question
    from verdicts.export.asking import ServedStudent
    from verdicts.records.evaluation import Evaluation, MadeFrom, Named, ScoredAnswer
    from verdicts.records.tickets import StageA
    from verdicts.stage_b.prompts import Prompts
    from verdicts.student.model import Student

Written = tuple[str, bool, float | None]  # an answer: its text, whether it came to its end, P(fail) of a ticket's


def main(
    config: Annotated[Path, typer.Option(help="Section file config/evaluate.yaml.")],
    tickets: Annotated[Path, typer.Option(help="Held-out Stage-A tickets (JSONL).")],
    guidance: Annotated[Path, typer.Option(help="The run's guidance.json.")],
    trained: Annotated[Path, typer.Option(help="Fused file the student trained on, or will train on.")],
    summary: Annotated[Path, typer.Option(help="Held-out photos with their summaries (a summary source of fuse).")],
    dense: Annotated[Path, typer.Option(help="Held-out photos with their boxes (a dense source of fuse).")],
    output: Annotated[Path, typer.Option(help="Scores to write; the answers go beside them.")],
    student: Annotated[
        Path | None, typer.Option(help="Checkpoint folder of the student; the configured one without it.")
    ] = None,
    only_groups_of: Annotated[
        Path | None, typer.Option(help="distill.val.jsonl: take tickets of its groups alone.")
    ] = None,
    export: Annotated[Path | None, typer.Option(help="Its exported files: llama-server answers.")] = None,
) -> None:
    """Ask a student held-out questions and score its answers."""
    from verdicts.base.jsonl import write_json, write_rows
    from verdicts.base.part_file import PartFile
    from verdicts.config.tools import EvaluateConfig, ServedConfig, read_section
    from verdicts.evaluation.questions import questions_digest
    from verdicts.evaluation.scores import answers_path, tally
    from verdicts.intake.given import say_entrance
    from verdicts.intake.names import Door
    from verdicts.intake.reader import read_tolerantly, write_lists
    from verdicts.records.evaluation import Evaluation
    from verdicts.records.guidance import read_guidance
    from verdicts.stage_b.prompts import load_prompts
    from verdicts.student.model import check_folder

    cfg = read_section(config, ServedConfig if export else EvaluateConfig)
    prompts = load_prompts(cfg.prompts, cfg.mission)
    rules, limits = read_guidance(guidance, cfg.mission.name), cfg.evaluate
    inputs = {"tickets": tickets, "summary": summary, "dense": dense, "trained": trained} | (
        {"only_groups_of": only_groups_of} if only_groups_of else {}
    )
    system = prompts.stage_b_system(rules.experiences)
    given = read_tolerantly(tickets, Door.of(cfg.mission, cfg.tickets))
    questions = read_questions(cfg, prompts, system, given.tickets, inputs)
    say_entrance(given.entrance, tickets)
    student = student or Path(cfg.student.model)
    check_folder(student, weights=True)
    made_from = what_it_is_made_from(cfg, system, inputs, student)
    asked = questions_digest(
        questions, (limits.max_new_tokens, limits.max_new_tokens_dense, cfg.student.max_photo_pixels)
    )
    named = who_answers(student, cfg, export)
    write_lists(output.parent, given.notes)
    if old := earlier(output, named, asked, made_from, rules.step):
        keep(old, output, cfg.evaluate)
        return
    part = PartFile(
        output.with_name(f".{output.name}.part"), f"{asked} {named.sha256} {limits.batch} pairs", list[Written]
    )
    with answering(student, cfg, export, output) as model:
        answers = ask(model, cfg, questions, part, Path(named.folder).name)
    counts, chat, summaries, boxes = tally(answers)
    found = Evaluation(
        student=named,
        mission=cfg.mission.name,
        guidance_step=rules.step,
        questions=asked,
        tickets=counts,
        chat=chat,
        summary=summaries,
        dense=boxes,
        made_from=made_from,
        engine="llama_server" if export else "transformers",
        prompts=prompts_of(answers),
    )
    write_rows(answers_path(output), answers)
    write_json(output, found)
    part.remove()
    for warning in cut_off(found, limits):
        cli.say(warning, "wait")
    cli.say(sentence(found, output))


def who_answers(student: Path, cfg: "EvaluateConfig", export: Path | None) -> "Named":
    """The student's folder and hash; of its exported files where these are served."""
    from verdicts.config.tools import ServedConfig
    from verdicts.export.asking import export_hash, read_conversion
    from verdicts.models.fingerprint import checkpoint_hash
    from verdicts.records.evaluation import Named

    if export is None or not isinstance(cfg, ServedConfig):
        return Named(folder=student.as_posix(), sha256=checkpoint_hash(student))
    read_conversion(export, student)
    return Named(folder=export.as_posix(), sha256=export_hash(export, cfg.llama_server))


@contextmanager
def answering(
    student: Path, cfg: "EvaluateConfig", export: Path | None, output: Path
) -> "Iterator[Student | ServedStudent]":
    """What answers: the student's own runner, or llama-server with its exported files."""
    from verdicts.config.tools import ServedConfig
    from verdicts.export.asking import serving_student
    from verdicts.student.model import Student

    if export is None or not isinstance(cfg, ServedConfig):
        yield Student(student, cfg.student.max_photo_pixels, cfg.student.n_threads)
        return
    log = output.with_name("llama-server.log")
    with serving_student(export, student, cfg.llama_server, cfg.student.max_photo_pixels, log) as served:
        yield served
        if served.other_ids:
            what = (
                f"{served.other_ids} of {served.prompts} prompts are other ids there than the student was taught with"
            )
            cli.complain(f"evaluate: WARNING: {what}; see docs/export.md", "wait")


def prompts_of(answers: "Sequence[ScoredAnswer]") -> dict[str, list[str]]:
    """The names of the prompts of each task's questions, in the order of their first question."""
    found: dict[str, dict[str, None]] = {}
    for answer in answers:
        found.setdefault(answer.task, {})[answer.prompt] = None
    return {task: list(names) for task, names in found.items()}


def keep(old: "Evaluation", output: Path, limits: "EvaluateSection") -> None:
    """Leave the answers as they are; the scores' file is written again, for where the files lie may have changed."""
    from verdicts.base.jsonl import write_json
    from verdicts.evaluation.scores import answers_path

    write_json(output, old)
    answers_path(output).touch()
    for warning in cut_off(old, limits):
        cli.say(warning, "wait")
    cli.say(f"evaluate {old.place}: kept, nothing it was made from has changed; {output}")


def read_questions(
    cfg: "EvaluateConfig", prompts: "Prompts", system: str, tickets: "list[StageA]", inputs: dict[str, Path]
) -> "list[Question]":
    """The questions: the configured number of tickets, summaries and dense captions, drawn by the configured seed."""
    from verdicts.evaluation.questions import (
        held_out_tickets,
        read_photo_questions,
        read_trained,
        sample_groups,
        ticket_questions,
    )

    seen, limits = read_trained(inputs["trained"]), cfg.evaluate
    held_out = held_out_tickets(tickets, inputs["tickets"], seen, inputs.get("only_groups_of"))
    chosen = sample_groups(held_out, limits.tickets, limits.seed, "evaluate.tickets")
    questions = ticket_questions(chosen, prompts, system)
    for task in ("summary", "dense"):
        photos = read_photo_questions(inputs[task], task, seen)
        questions += sample_groups(photos, limits.photos, limits.seed, "evaluate.photos")
    return questions


def what_it_is_made_from(cfg: "EvaluateConfig", system: str, inputs: dict[str, Path], student: Path) -> "MadeFrom":
    """Digests of everything that the scores depend on, the student's answers apart."""
    from verdicts.evaluation.question_files import files_digest, text_digest
    from verdicts.evaluation.scores import taught_from
    from verdicts.records.evaluation import MadeFrom

    return MadeFrom(
        held_out=inputs["tickets"].parent.as_posix(),
        questions=files_digest([inputs[name] for name in ("tickets", "summary", "dense")]),
        files={name: files_digest([path]) for name, path in inputs.items()},
        guidance=text_digest(system),
        base=taught_from(student),
        settings=cfg.evaluate.model_dump(exclude={"batch", "max_cut_off"})
        | {"max_photo_pixels": cfg.student.max_photo_pixels},
    )


def earlier(output: Path, student: "Named", asked: str, made_from: "MadeFrom", step: int) -> "Evaluation | None":
    """The evaluation that is there, with today's names; None where it is of another student or questions, or edited."""
    from verdicts.base.errors import UserError
    from verdicts.evaluation.pairs import read_evaluation, refuse_edited

    try:
        old, _ = read_evaluation(output)
        refuse_edited(output)
    except UserError:  # not there, or not what the answers say: ask again
        return None
    if (old.student.sha256, old.questions) != (student.sha256, asked) or old.made_from is None:
        return None
    today = made_from.model_copy(update={"held_out": old.made_from.held_out, "base": old.made_from.base})
    return (
        old.model_copy(update={"student": student, "made_from": made_from, "guidance_step": step})
        if today == old.made_from
        else None
    )


def batches(questions: "Sequence[Question]", limits: "EvaluateSection") -> list[list[int]]:
    """The questions' numbers, a task at a time, the longest first.

    So a batch has little padding, and the first shows whether memory is enough. Photos are all asked the same, so the
    lengths of their reference answers stand for how long an answer takes. Photos that are asked both of their summary
    and of their objects stand in two batches of the same photos, one behind the other, and are looked at once.
    """
    from verdicts.student.batches import longest_first

    def cut(mine: list[int]) -> list[list[int]]:
        sizes = [
            (sum(len(message["content"]) for message in questions[at].messages), len(questions[at].expected or ""))
            for at in mine
        ]
        return [[mine[at] for at in batch] for batch in longest_first(sizes, limits.batch)]

    of = {
        task: {questions[at].images or at: at for at in range(len(questions)) if questions[at].task == task}
        for task in ("chat", "summary", "dense")
    }
    out = cut(list(of["chat"].values()))
    both = of["summary"].keys() & of["dense"].keys()
    for batch in cut([at for photos, at in of["dense"].items() if photos in both]):
        out += [batch, [of["summary"][questions[at].images] for at in batch]]
    for task in ("summary", "dense"):
        out += cut([at for photos, at in of[task].items() if photos not in both])
    return out


def ask(
    model: "Student | ServedStudent",
    cfg: "EvaluateConfig",
    questions: "Sequence[Question]",
    part: "PartFile",
    name: str,
) -> "list[ScoredAnswer]":
    """All answers, scored, in the order of the questions; goes on behind the batches that the part file holds."""
    from verdicts.base.progress import progress
    from verdicts.evaluation.scores import score
    from verdicts.student.model import Dialogue

    todo = batches(questions, cfg.evaluate)
    said = part.load(follows=lambda before, batch: len(before) < len(todo) and len(batch) == len(todo[len(before)]))
    done = sum(len(batch) for batch in todo[: len(said)])
    with progress(f"evaluate {name}", len(questions), done, unit="questions") as bar:
        left = todo[len(said) :]
        asked = [[Dialogue(questions[at].messages, questions[at].images) for at in batch] for batch in left]
        for batch, rows in zip(left, model.encode_all(asked), strict=True):
            most = (
                cfg.evaluate.max_new_tokens if questions[batch[0]].task == "chat" else cfg.evaluate.max_new_tokens_dense
            )
            said.append(written(model, questions[batch[0]].task, rows, most))
            part.append(said[-1])
            bar.update(len(batch))
    answered = {
        at: answer for batch, answers in zip(todo, said, strict=True) for at, answer in zip(batch, answers, strict=True)
    }
    return [score(question, *answered[at]) for at, question in enumerate(questions)]


def written(model: "Student | ServedStudent", task: str, rows: list[Any], most: int) -> list[Written]:
    """The answers of a batch; of tickets with P(fail)."""
    from verdicts.stage_b.threshold import p_fail

    if task != "chat":
        return [(text, whole, None) for text, whole in model.answer_encoded(rows, most)]
    return [(text, whole, p_fail(sure)) for text, whole, sure in model.answer_verdicts(rows, most)]


def cut_off(found: "Evaluation", limits: "EvaluateSection") -> list[str]:
    """A warning for each task where a larger share of answers than ``max_cut_off`` has no end."""
    photos = f"{limits.max_new_tokens_dense} tokens: raise evaluate.max_new_tokens_dense"
    tickets = f"{limits.max_new_tokens} tokens: raise evaluate.max_new_tokens"
    asked = (
        ("Stage-B", found.chat.cut_off or 0, found.tickets, tickets),
        ("summary", found.summary.cut_off or 0, found.summary.photos, photos),
        ("dense", found.dense.cut_off or 0, found.dense.photos, photos),
    )
    return [
        f"evaluate: WARNING: {cut} of {n} {task} answers ({cut / n:.1%}) were cut off at {where}"
        for task, cut, n, where in asked
        if n and cut / n > limits.max_cut_off
    ]


def sentence(found: "Evaluation", output: Path) -> str:
    """The count sentence."""
    from verdicts.evaluation.scores import METRICS
    from verdicts.records.evaluation import F1Record

    said: dict[str, list[str]] = {"chat": [], "summary": [], "dense": []}
    for metric in METRICS:
        score = metric.of(found)
        if metric.brief and metric.known(found):
            shown = f"{score.f1:.1%}" if isinstance(score, F1Record) else str(score)
            said[metric.task].append(f"{metric.brief} {shown}")
    chat, summary, dense = (", ".join(parts) for parts in said.values())
    counts = {"Stage-B": found.chat.cut_off, "summary": found.summary.cut_off, "dense": found.dense.cut_off}
    cut = ", ".join(f"{count} {task} answers" for task, count in counts.items() if count)
    cut = f"cut off: {cut}; " if cut else ""
    return (
        f"evaluate {found.student.folder}: {found.tickets} tickets: {chat}; "
        f"{found.summary.photos} summaries: {summary}; "
        f"{found.dense.photos} dense: {dense}, {found.dense.malformed} malformed; {cut}{output}"
    )


if __name__ == "__main__":
    cli.run(main, result="evaluate", engine="torch", writes="output")
