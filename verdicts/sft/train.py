"""The training loop: a loss over answers alone, steps that can be repeated to the byte, a state to go on from.

Nothing is drawn at random between steps but dropout, and that from (seed, step, process): the state to resume from is
the adapter, the optimiser and what was logged.
"""

import hashlib
import io
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from verdicts.base.errors import UserError, mistake
from verdicts.base.progress import add_tokens, progress
from verdicts.base.seeding import seeded_int
from verdicts.base.whole_file import beside
from verdicts.config.sections import SftSection
from verdicts.sft.frozen_rows import FrozenRows, copied
from verdicts.sft.halves import Halves
from verdicts.sft.rows import FusedFile
from verdicts.sft.steps import StepPlan, learning_rate
from verdicts.student.model import NOT_LEARNT

STATE = "state.pt"
LOGITS_AT_ONCE = 2**28  # a gigabyte in float32: 1,766 positions of a vocabulary of 151,936


class StudentLoss(torch.nn.Module):
    """The adapted student as a function from a batch to its losses.

    One for each learnt token (natural log), in the batch's order.

    Padding is on the right, where causal attention never looks back from a token that counts; so there is no attention
    mask. The output layer runs on learnt positions alone. What lies below the first adapted layer runs once, keeps no
    activations, and serves the student and the base (``halves``); ``share=False`` computes all of it for each.

    While training, tokens of ``kept`` have another loss: the divergence KL(base ‖ student) of what the student without
    its adapter would say there (Li and Hoiem, Learning without Forgetting, 2016). It is 0 where nothing was forgotten,
    where the loss of an answer would pull at what the base cannot know better.
    """

    def __init__(self, model: Any, share: bool = True) -> None:
        super().__init__()
        self.model = model  # a PeftModel
        self.halves = Halves(model)
        self.share = share and not self.halves.why_not

    def forward(self, batch: dict[str, torch.Tensor], kept: torch.Tensor | None = None) -> torch.Tensor:
        """Losses [learnt tokens] of a batch, padded right; ``kept``: which of them are kept.

        The batch is of ``Encoder.batch``, or labels and what ``FrozenRows.batch`` gives.
        """
        targets = batch["labels"][:, 1:]  # a position predicts the id behind it
        learnt = targets != NOT_LEARNT
        batch = self._with_lower(batch)
        wanted, hidden, base = targets[learnt], self._hidden(batch, learnt), None
        if kept is not None and kept.any():
            base = batch["base"] if "base" in batch else self._base(batch, learnt)
        at_once = max(1, LOGITS_AT_ONCE // self.model.get_base_model().lm_head.out_features)
        if len(wanted) <= at_once:
            return self._losses(hidden, wanted, base, kept)
        # Long answers in parts, whose logits are made anew for the gradient: all at once they would be the largest
        # tensors of a step by far.
        parts = (slice(at, at + at_once) for at in range(0, len(wanted), at_once))
        return torch.cat(
            [
                checkpoint(self._losses, hidden[part], wanted[part], *_parts_of(part, base, kept), use_reentrant=False)
                for part in parts
            ]
        )

    def _with_lower(self, batch: dict[str, torch.Tensor]) -> dict[str, Any]:
        """The batch with what goes into the first layer that learns, unless all layers are to run for each pass."""
        if "lower" in batch or not self.share:
            return batch
        places = self.halves.places(batch)
        return batch | {"lower": self.halves.lower(batch, places), "places": places}

    def _hidden(self, batch: dict[str, Any], learnt: torch.Tensor) -> torch.Tensor:
        """The top layer's output [learnt tokens, width] at the positions before learnt tokens."""
        if "lower" in batch:
            hidden = self.halves.upper(batch["lower"], batch["places"])
        else:
            given = {name: value for name, value in batch.items() if name not in ("labels", "attention_mask")}
            hidden = self.model.get_base_model().model(**given, use_cache=False).last_hidden_state
        return hidden[:, :-1][learnt]

    @torch.no_grad()
    def _base(self, batch: dict[str, Any], learnt: torch.Tensor) -> torch.Tensor:
        """As ``_hidden``, of the base: the same model with its adapter off, so no second copy of the weights."""
        with self.model.disable_adapter():
            return self._hidden(batch, learnt)

    @torch.no_grad()
    def frozen(self, batch: dict[str, torch.Tensor], base: bool) -> dict[str, torch.Tensor]:
        """The frozen states of a batch of one row, as ``FrozenRows`` keeps them; the base's output with ``base``."""
        whole = self._with_lower(batch)
        lower, places = whole["lower"], whole["places"]
        if places is None:
            places = torch.arange(lower.shape[1], device=lower.device).expand(3, 1, -1)
        states = {"lower": lower[0], "places": places[:, 0]}
        if base:
            states["base"] = self._base(whole, batch["labels"][:, 1:] != NOT_LEARNT)
        return states

    def _losses(
        self, hidden: torch.Tensor, wanted: torch.Tensor, base: torch.Tensor | None, kept: torch.Tensor | None
    ) -> torch.Tensor:
        """Losses of some learnt tokens; ``base``: the base's output at their positions, where any are kept."""
        logits = self._logits(hidden)
        losses = F.cross_entropy(logits, wanted, reduction="none")
        if base is None or kept is None or not kept.any():
            return losses
        with torch.no_grad():
            old = self._logits(base)[kept].log_softmax(-1)
        divergence = F.kl_div(logits[kept].log_softmax(-1), old, reduction="none", log_target=True).sum(-1)
        return losses.masked_scatter(kept, divergence)

    def _logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Scores over the vocabulary in float32."""
        logits: torch.Tensor = self.model.get_base_model().lm_head(hidden).float()
        return logits

    def learning(self) -> dict[str, torch.nn.Parameter]:
        """The parameters that learn, by name."""
        return {name: parameter for name, parameter in self.named_parameters() if parameter.requires_grad}


def _parts_of(part: slice, *tensors: torch.Tensor | None) -> list[torch.Tensor | None]:
    return [None if tensor is None else tensor[part] for tensor in tensors]


class Minibatch:
    """Rows as tensors on the device, and for each learnt token its weight and whether it is of a task that is kept.

    With ``frozen`` the frozen layers' states are looked up, and ``complete`` must be called before the rest is used.
    """

    def __init__(
        self,
        rows: FusedFile,
        picked: Sequence[int],
        device: torch.device,
        kept_tasks: Sequence[str] = (),
        frozen: FrozenRows | None = None,
    ) -> None:
        facts = [rows.facts[index] for index in picked]
        self.rows, self.device, self.frozen = rows, device, frozen
        kept = [fact.task in kept_tasks for fact in facts]
        self.found = [] if frozen is None else frozen.look_up(rows, picked, kept, device)
        encoded = [row.encoded for row in self.found] or [rows.encode(index) for index in picked]
        batch = rows.encoder.batch(encoded, left=False)
        learnt = torch.tensor([fact.learnt for fact in facts])
        of_learnt = {
            "weights": torch.cat([torch.full((fact.learnt,), fact.weight) for fact in facts]),
            "kept": torch.tensor(kept).repeat_interleave(learnt),
        }
        self.tensors = copied(of_learnt | {n: v for n, v in batch.items() if frozen is None or n == "labels"}, device)
        self.weights, self.kept = self.tensors.pop("weights"), self.tensors.pop("kept")
        self.tasks = [(fact.task, fact.learnt) for fact in facts]

    def complete(self) -> "Minibatch":
        """The same, with the states that were not found computed: in the thread that has the model."""
        if self.frozen is not None and self.found:
            self.tensors |= self.frozen.batch(self.rows, self.found, self.device)
            self.found = []
        return self


def prefetch(make: Callable[[Any], Minibatch], wanted: Iterator[Any]) -> Iterator[Minibatch]:
    """Make batches in order, the next one in a thread while the caller works on the last. Each comes complete."""
    # A thread is enough: Pillow and torch let go of the interpreter. One ahead: more would only hold pixels.
    with ThreadPoolExecutor(1) as thread:
        coming = None
        for what in wanted:
            coming, ready = thread.submit(make, what), coming
            if ready:
                yield ready.result().complete()
        if coming:
            yield coming.result().complete()


def val_losses(
    learner: torch.nn.Module,
    rows: FusedFile,
    accelerator: Accelerator,
    size: int,
    name: str,
    frozen: FrozenRows | None = None,
) -> dict[str, float]:
    """Mean loss of a learnt token of each task, row weights aside.

    Every process takes its share of the rows; all get the result.
    """
    if not rows.facts:
        return {}
    tasks = sorted({fact.task for fact in rows.facts})
    order = sorted(range(len(rows.facts)), key=lambda index: rows.facts[index].tokens)  # little padding
    cuts = [order[at : at + size] for at in range(0, len(order), size)][
        accelerator.process_index :: accelerator.num_processes
    ]
    sums = torch.zeros(
        len(tasks), 2, dtype=torch.float64
    )  # of each task: losses and tokens; who has no rows of it adds 0
    learner.eval()
    with (
        torch.inference_mode(),
        accelerator.autocast(),
        progress(f"sft: val loss {name}", len(cuts), unit="batches") as bar,
    ):
        for batch in prefetch(lambda picked: Minibatch(rows, picked, accelerator.device, (), frozen), iter(cuts)):
            losses = learner(batch.tensors).double().cpu().split([learnt for _, learnt in batch.tasks])
            for (task, learnt), loss in zip(batch.tasks, losses, strict=True):
                sums[tasks.index(task)] += torch.tensor([loss.sum(), learnt])
            bar.update()
    total = accelerator.reduce(sums.to(accelerator.device), "sum").cpu()
    return {task: rounded(float(total[at, 0] / total[at, 1])) for at, task in enumerate(tasks)}


class Trainer:
    """Steps of one run. ``folder`` holds the state to go on from; ``run`` is what must be the same for that.

    ``frozen`` reads and keeps what the frozen layers say of rows, where a cache is wanted.
    """

    def __init__(
        self,
        learner: StudentLoss,
        rows: FusedFile,
        config: SftSection,
        accelerator: Accelerator,
        folder: Path,
        run: dict[str, Any],
        frozen: FrozenRows | None = None,
    ) -> None:
        self.frozen = frozen
        self.rows, self.config, self.accelerator, self.folder = rows, config, accelerator, folder
        self.run = hashlib.sha256(json.dumps(run, sort_keys=True).encode()).hexdigest()
        self.plan = StepPlan(
            [fact.task for fact in rows.facts], [fact.tokens for fact in rows.facts], config, accelerator.num_processes
        )
        self.parameters = learner.learning()  # by their plain names: wrapped by prepare they would have others
        # Not prepared: accelerate's wrapper would decide by its own count of batches which steps are taken.
        self.optimizer = torch.optim.AdamW(
            self.parameters.values(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.learner = accelerator.prepare(learner)
        self.before: dict[str, float] | None = None  # validation loss of the untouched student
        self.history: list[dict[str, Any]] = []  # of each step done

    def minibatch(self, picked: Sequence[int]) -> Minibatch:
        """These rows as tensors on the device; the caller completes it."""
        return Minibatch(self.rows, picked, self.accelerator.device, self.config.keep, self.frozen)

    def train(self) -> None:
        """Do the steps that are not done yet, with a state every ``save_steps`` and at the end."""
        begun, process = len(self.history), self.accelerator.process_index
        picked = (picked for step in range(begun, self.plan.steps) for picked in self.plan.batches(step, process))
        batches = prefetch(self.minibatch, picked)
        self.learner.train()
        with progress("sft: training", self.plan.steps, done=begun, unit="steps") as bar:
            for step in range(begun, self.plan.steps):
                self.history.append(self._step(step, batches))
                if len(self.history) % self.config.save_steps == 0 or len(self.history) == self.plan.steps:
                    self.save()
                bar.update()
        if not all(bool(torch.isfinite(value).all()) for value in self.parameters.values()):
            raise mistake(
                "what was learnt is no number",
                "lower it, or look for rows with an extreme weight",
                field="sft.learning_rate",
            )

    def _step(self, step: int, batches: Iterator[Minibatch]) -> dict[str, Any]:
        """One update: the mean over the learnt tokens of all its batches and processes, weighted by row."""
        facts = [self.rows.facts[index] for index in self.plan.rows(step)]
        learnt = sum(fact.learnt for fact in facts)
        add_tokens(read=sum(fact.tokens for fact in facts))
        rate = learning_rate(step, self.plan.steps, self.config)
        # Seeded by the step, not drawn on: a run that goes on drops the same units out. Each process drops others.
        own = self.config.seed, step, self.accelerator.process_index
        torch.manual_seed(seeded_int(*own, bits=64, between=":"))
        loss = torch.zeros((), device=self.accelerator.device)
        for at in range(self.config.accumulate):
            batch, last = next(batches), at == self.config.accumulate - 1
            # Gradients meet once a step, with its last batch.
            with nullcontext() if last else self.accelerator.no_sync(self.learner):
                part = (self.learner(batch.tensors, batch.kept) * batch.weights).sum() / learnt
                # Processes' gradients are averaged, and this is a sum.
                self.accelerator.backward(part * self.accelerator.num_processes)
            loss += part.detach()
        torch.nn.utils.clip_grad_norm_(self.parameters.values(), self.config.max_grad_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        tokens = Counter[str]()
        for fact in facts:
            tokens[fact.task] += fact.learnt
        total = float(self.accelerator.reduce(loss, "sum"))
        # All processes have the same total, so all of them stop here or none: one alone would wait for ever.
        if not math.isfinite(total):
            raise mistake(
                f"the loss of step {step + 1} is no number ({total})",
                "lower sft.learning_rate, or look for rows with an extreme weight",
                field="sft.learning_rate",
            )
        return {"loss": total, "lr": rate, "learnt_tokens": dict(sorted(tokens.items()))}

    def save(self) -> None:
        """Write the state, led by a line with its SHA-256, beside and rename it: one that is there is whole."""
        if self.accelerator.is_main_process:
            held = {name: value.detach().cpu() for name, value in self.parameters.items()}
            state = {
                "run": self.run,
                "learnt": held,
                "optimizer": self.optimizer.state_dict(),
                "before": self.before,
                "history": self.history,
            }
            packed = io.BytesIO()  # torch says nothing of a full disk but a traceback
            torch.save(state, packed)
            with beside(self.folder / STATE) as temporary, open(temporary, "wb") as file:
                file.write(f"{hashlib.sha256(packed.getbuffer()).hexdigest()}\n".encode())
                file.write(packed.getbuffer())
        self.accelerator.wait_for_everyone()

    def resume(self) -> bool:
        """Go on from the state where there is one of the very same run.

        Returns whether there was; raises UserError for a damaged one.
        """
        path = self.folder / STATE
        if not path.is_file():
            return False
        state = read_state(path)
        if state["run"] != self.run:
            return False
        try:
            with torch.no_grad():
                for name, parameter in self.parameters.items():
                    parameter.copy_(state["learnt"][name])
            self.optimizer.load_state_dict(state["optimizer"])
            self.before, self.history = state["before"], state["history"]
        except (KeyError, RuntimeError, ValueError, TypeError) as error:
            raise damaged(path, str(error)) from None
        return True

    def log(self) -> list[dict[str, Any]]:
        """The history by ``log_steps``: mean loss, the last rate, learnt tokens by task."""
        lines = []
        for at in range(0, len(self.history), self.config.log_steps):
            part = self.history[at : at + self.config.log_steps]
            tokens = sum((Counter(step["learnt_tokens"]) for step in part), Counter[str]())
            loss = sum(step["loss"] for step in part) / len(part)
            lines.append(
                {
                    "step": at + len(part),
                    "loss": rounded(loss),
                    "lr": rounded(part[-1]["lr"]),
                    "learnt_tokens": dict(sorted(tokens.items())),
                }
            )
        return lines


def read_state(path: Path) -> dict[str, Any]:
    """What ``Trainer.save`` wrote. Raises UserError for a file that is not just that."""
    digest, _, content = path.read_bytes().partition(b"\n")
    if hashlib.sha256(content).hexdigest().encode() != digest:
        raise damaged(path, "its content is not what was written")
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)  # runs no code from the file
    except Exception as error:  # noqa: BLE001  a zip, a pickle and torch may each raise their own
        raise damaged(path, type(error).__name__) from None
    if not isinstance(state, dict) or not {"run", "learnt", "optimizer", "before", "history"} <= state.keys():
        raise damaged(path, "it lacks parts")
    return state


def damaged(path: Path, why: str) -> UserError:
    """The error for a state that cannot be gone on from."""
    return mistake(
        f"the training state is damaged, or of another version ({why.splitlines()[0][:120] if why else 'unreadable'})",
        f"delete {path.parent} to train from the start",
        path=path,
    )


def rounded(value: float) -> float:
    """Six significant digits: enough to read, few enough to compare."""
    return float(f"{value:.6g}")
