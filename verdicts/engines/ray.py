"""The llama_cpp engine in Ray actors: several GPUs, several machines, each with a model that stays loaded.

Work is cut into chunks of ``engine.chunk`` tickets before anything is sent, as the llama_cpp engine cuts it, and a
chunk depends on nothing but itself. So the number of actors, who answers what, and who dies meanwhile change no byte.
An actor that dies is started again by Ray, on another node where it must; its chunks go to whoever is free.

On a cluster (``engine.address``) actors outlive the command, are found again by the next one that asks for the same
model with the same knobs, and end by themselves when nobody has asked for ``engine.idle_s`` seconds. Without an address
a cluster of this machine alone is started, and ends with the engine.

The project and the model file lie at the same place on every node. docs/clusters.md.
"""

import importlib
import os
import secrets
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from verdicts.base.digests import digest_of_path, digest_of_text
from verdicts.base.errors import UserError, mistake
from verdicts.base.made import reached
from verdicts.base.progress import add_tokens, tokens_so_far
from verdicts.command.cli import say
from verdicts.config.engine import LlamaCppConfig, RayConfig
from verdicts.engines import Completion, Decode, check_calls, chunks
from verdicts.models.fingerprint import sampled_hash, use_model

if TYPE_CHECKING:
    from verdicts.engines.llama.engine import LlamaCppEngine

ROOT = Path(__file__).resolve().parents[2]
NAMESPACE = "ticket-verdicts"
OBJECTS_BYTES = 80 * 2**20  # of a cluster of this machine alone: prompts and answers are small
TOGETHER = 2  # chunks that an actor has at a time: the second fills the slots that the end of the first leaves free
POLL_S = 1.0


class Call(NamedTuple):
    """What an actor is asked: a method of the engine, with the tickets of one chunk."""

    method: str  # rollout, judge, complete or count_tokens
    arguments: tuple[Any, ...]


class Answer(NamedTuple):
    """What it says: the answers in the chunk's order, and the tokens that its process counted since it last said so."""

    values: list[Any]
    read: int
    written: int


class Actor:
    """What runs in an actor's process: one engine, loaded when it is first asked for."""

    def __init__(self, knobs: dict[str, Any], idle_s: float, start_timeout_s: float) -> None:
        self._knobs, self._lock = knobs, threading.Lock()
        self._engine: LlamaCppEngine | None = None
        # whoever started it is about to ask: however slow that is, it has not been idle yet
        self._counted, self._asked, self._last = tokens_so_far(), 0, time.monotonic() + start_timeout_s
        if idle_s:
            threading.Thread(target=self._end_when_idle, args=(idle_s,), daemon=True).start()

    def open(self) -> dict[str, str]:
        """Load the model, anew where its file is no longer the one that was loaded; returns the fingerprint."""
        from verdicts.engines.llama.engine import LlamaCppEngine

        with self._lock:
            path, engine = Path(self._knobs["model"]), self._engine
            if engine and sampled_hash(path) != engine.fingerprint["sha256"]:
                if self._asked:
                    raise mistake("changed while a command uses it", "start again when that has ended", path=path)
                engine.close()
                engine = None
            self._engine = engine or LlamaCppEngine(LlamaCppConfig.model_validate(self._knobs))
            self._last = time.monotonic()
            return self._engine.fingerprint

    def place(self) -> tuple[str, int]:
        """The id of its node, and the number of its process there."""
        ray: Any = importlib.import_module("ray")
        return ray.get_runtime_context().get_node_id(), os.getpid()

    def answer(self, call: Call, fingerprint: dict[str, str]) -> Answer:
        """Answer a chunk. Raises UserError where this node's model is not the one of ``fingerprint``."""
        with self._lock:
            self._asked += 1
        try:
            engine = self._engine
            if engine is None or engine.fingerprint != fingerprint:  # a process that took the place of one that died
                check_same(self.open(), fingerprint, self._knobs["model"])
                engine = self._engine
            given = getattr(engine, call.method)(*call.arguments)
            values = [given] if call.method == "count_tokens" else list(given)
        finally:
            with self._lock:
                self._asked, self._last = self._asked - 1, time.monotonic()
        with self._lock:
            before, self._counted = self._counted, tokens_so_far()
            return Answer(values, self._counted.read - before.read, self._counted.written - before.written)

    def _end_when_idle(self, idle_s: float) -> None:
        ray: Any = importlib.import_module("ray")
        own = ray.get_runtime_context().current_actor
        while self._asked or self._lock.locked() or time.monotonic() - self._last < idle_s:
            time.sleep(min(POLL_S, idle_s))
        ray.kill(own)


def check_same(found: dict[str, str], wanted: dict[str, str], model: str) -> None:
    """Raise UserError where a node's model file or llama.cpp is not the same as elsewhere."""
    if unlike := [f"{name} {found[name]}, not {wanted[name]}" for name in wanted if found[name] != wanted[name]]:
        what = f"a node has another model or llama.cpp than another machine ({'; '.join(unlike)})"
        raise mistake(what, "put the same on all nodes", path=model)


class RayEngine:
    """See ``verdicts.engines.Engine``.

    Raises UserError where Ray is not installed, the cluster is not reached or has no room, nodes have different models,
    and where actors die more than ``engine.restarts`` times in a row.
    """

    def __init__(self, config: RayConfig) -> None:
        self.config = config
        self._ray = _ray(config.address)
        self._began = not self._ray.is_initialized()
        if self._began:
            _connect(self._ray, config.address)
        try:
            self._actors: dict[int, Any] = {}
            self._starts = Counter[int]()  # of each of them
            # those that load their model, or that Ray starts again; they are given nothing
            self._opening: dict[Any, int] = {}
            self.fingerprint: dict[str, str] = {}
            for number in range(config.actors or self._room()):
                self._start(number)
            for _ in self._settled([]):
                break
            use_model(Path(config.model), self.fingerprint["sha256"])
        except BaseException:
            self.close()
            raise

    # --- the interface

    def rollout(
        self, system: str, users: Sequence[str], decodes: Sequence[Sequence[Decode]]
    ) -> Iterator[list[Completion]]:
        """Answer each ticket once for each of its decode settings; see ``Engine.rollout``."""
        check_calls(users, decodes)
        parts = list(chunks(len(users), self.config.chunk))
        if len(parts) < len(self._actors):
            say(
                f"ray: {len(users)} tickets are {len(parts)} chunks of {self.config.chunk}, and {len(self._actors)} "
                f"engines wait for them; set engine.chunk to at most {max(1, len(users) // (2 * len(self._actors)))}"
            )
        return self._run(
            [
                Call("rollout", (system, users[part.start : part.stop], decodes[part.start : part.stop]))
                for part in parts
            ]
        )

    def judge(self, system: str, users: Sequence[str]) -> list[dict[str, float | None]]:
        """Verdict log-probabilities of each ticket; see ``Engine.judge``."""
        parts = chunks(len(users), self.config.chunk)
        return list(self._run([Call("judge", (system, users[part.start : part.stop])) for part in parts]))

    def complete(
        self, system: str, users: Sequence[str], decodes: Sequence[Decode], json_schema: dict[str, Any] | None = None
    ) -> list[Completion]:
        """Free text for each prompt, or JSON of a schema; see ``Engine.complete``."""
        check_calls(users, decodes)
        parts = [slice(part.start, part.stop) for part in chunks(len(users), self.config.chunk)]
        return list(self._run([Call("complete", (system, users[part], decodes[part], json_schema)) for part in parts]))

    def count_tokens(self, text: str) -> int:
        """Tokens of ``text`` as data."""
        (count,) = self._run([Call("count_tokens", (text,))])
        return int(count)

    def close(self) -> None:
        """Leave the cluster; one of this machine alone ends. Actors of another one stay for the next command."""
        if self._began and self._ray.is_initialized():
            self._ray.shutdown()

    # --- actors

    def _options(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What Ray is told of an actor, and the knobs of the engine in it."""
        config = self.config
        own = RayConfig.model_fields.keys() - LlamaCppConfig.model_fields.keys()
        knobs = config.model_dump(exclude=set(own)) | {"kind": "llama_cpp", "model": os.path.abspath(config.model)}
        knobs["n_threads"] = config.n_threads or config.cpus_per_actor
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        options = {
            "num_gpus": config.gpus_per_actor,
            "num_cpus": config.cpus_per_actor,
            "max_restarts": -1,  # what fails is counted here
            "max_concurrency": TOGETHER + 1,  # and what is not a chunk
            "scheduling_strategy": "SPREAD",
            "runtime_env": {"env_vars": {"PYTHONPATH": path, "RUN_LOG": "", "QUIET": "1"}},
        }
        return options, knobs

    def _start(self, number: int) -> None:
        """Find an actor of the cluster that is as this one would be, or start one, and have it load its model."""
        options, knobs, idle_s = *self._options(), self.config.idle_s
        if self.config.address:
            code = [f"{file} {digest_of_path(file)}" for file in reached(Path(__file__))]
            asked = digest_of_text("\n".join([repr(sorted(knobs.items())), repr(options), str(idle_s), *code]))
            options |= {"name": f"{asked[:12]}-{number}", "lifetime": "detached", "get_if_exists": True}
        else:
            idle_s = 0.0  # the cluster ends with this command
        self._starts[number] += 1
        actor = self._ray.remote(Actor).options(**options)
        self._actors[number] = actor.remote(knobs, idle_s, self.config.start_timeout_s)
        self._open(number)

    def _room(self) -> int:
        """How many actors the cluster holds, whoever uses it now."""
        config, count = self.config, 0
        for node in self._ray.nodes():
            has = node["Resources"] if node["Alive"] else {}
            by_cpu = int(has.get("CPU", 0) / config.cpus_per_actor)
            by_gpu = int(has.get("GPU", 0) / config.gpus_per_actor) if config.gpus_per_actor else by_cpu
            count += min(by_cpu, by_gpu)
        if not count:
            raise self._no_room("the cluster has no room for an engine")
        return count

    def _no_room(self, what: str) -> UserError:
        config, has = self.config, self._ray.cluster_resources()
        each = f"each takes {config.gpus_per_actor:g} GPUs and {config.cpus_per_actor} CPUs of one node"
        there = f"all nodes together have {has.get('GPU', 0):g} GPUs and {has.get('CPU', 0):g} CPUs"
        todo = "lower engine.gpus_per_actor or engine.cpus_per_actor, or add nodes (`ray status`)"
        return mistake(f"{what}: {each}, {there}", todo, field="engine.actors")

    # --- work

    def _run(self, calls: Sequence[Call]) -> Iterator[Any]:
        """Answer calls, each by whoever is free; yields the answers of all of them in order."""
        done: dict[int, list[Any]] = {}
        at = 0
        for number, answer in self._settled(calls):
            add_tokens(answer.read, answer.written)
            done[number] = answer.values
            while at in done:
                yield from done.pop(at)
                at += 1

    def _settled(self, calls: Sequence[Call]) -> Iterator[tuple[int, Answer]]:
        """(number, answer) of calls as they come. Without calls: until a first model is loaded."""
        left, lost, begun = deque(range(len(calls))), Counter[int](), time.monotonic()
        running: dict[Any, tuple[int, int]] = {}  # the call's number, and by whom it is answered
        while running or left or not self.fingerprint:
            self._hand_out(calls, left, running)
            ready, _ = self._ray.wait([*running, *self._opening], num_returns=1, timeout=POLL_S)
            begun = time.monotonic() if ready or running else begun
            if time.monotonic() - begun > self.config.start_timeout_s:
                raise self._no_room(f"no engine came up within {self.config.start_timeout_s:g} s")
            for reference in ready:
                if reference in self._opening:
                    self._opened(reference)
                    continue
                call, number = running.pop(reference)
                given = self._got(reference)
                if isinstance(given, Answer):
                    yield call, given
                    continue
                left.appendleft(call)
                lost[call] += 1
                self._check_losses(lost[call])
                if number not in self._opening.values():
                    say(f"ray: an engine was lost ({_first_line(given)}); others take its prompts")
                    self._open(number)

    def _check_losses(self, times: int) -> None:
        if times > self.config.restarts:
            what = f"{times} engines died one after another over the same {self.config.chunk} prompts"
            todo = "see Ray's logs on their nodes; fewer engine.slots take less memory"
            raise mistake(what, todo, field="engine.restarts")

    def _hand_out(self, calls: Sequence[Call], left: deque[int], running: dict[Any, tuple[int, int]]) -> None:
        """Give calls to actors in order, the next one always to one that has the fewest.

        One is kept for each actor that loads its model before any gets a second.
        """
        has = Counter(dict.fromkeys(self._actors.keys() - self._opening.values(), 0))
        has.update(number for _, number in running.values() if number in has)
        while left and has:
            number = min(has, key=lambda each: (has[each], each))
            if has[number] >= (TOGETHER if len(left) > len(self._opening) else 1):
                return
            call = left.popleft()
            running[self._actors[number].answer.remote(calls[call], self.fingerprint)] = call, number
            has[number] += 1

    def _open(self, number: int) -> None:
        """Ask an actor to load its model; it is waited for while Ray starts it, so many times at most."""
        loading = self._actors[number].open.options(max_task_retries=self.config.restarts)
        self._opening[loading.remote()] = number

    def _opened(self, reference: Any) -> None:
        """Take an actor in that has its model; put another in the place of one that ended for good."""
        number, found = self._opening.pop(reference), self._got(reference)
        if isinstance(found, dict):
            self.fingerprint = self.fingerprint or found
            check_same(found, self.fingerprint, self.config.model)
            return
        del self._actors[number]
        if self._starts[number] <= self.config.restarts:
            self._start(number)
            return
        if not self._actors:
            raise mistake(f"no engine is left; the last one: {_first_line(found)}",
                          "see Ray's logs on its node", field="engine.restarts")  # fmt: skip
        say(f"ray: an engine is given up ({_first_line(found)}); {len(self._actors)} are left")

    def _got(self, reference: Any) -> Any:
        """What a call came to; the error where its actor died. Raises what the actor raised."""
        errors = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except errors.RayTaskError as error:
            raise error.cause if isinstance(error.cause, UserError) else RuntimeError(str(error)) from None
        except (errors.RayActorError, errors.RaySystemError) as error:
            return error


def _ray(address: str) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
    if not address and "RAY_AUTH_MODE" not in os.environ:
        # A cluster for one command has a token of its own. Ray would write one into the user's home, and every cluster
        # that is started later by hand would ask for that. Ray reads the environment while it is imported.
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    try:
        return importlib.import_module("ray")
    except ModuleNotFoundError as error:
        todo = "install it (pip install ray), or choose kind llama_cpp"
        raise mistake(f"Ray is not installed here ({error.name} is missing)", todo, field="engine.kind") from None


def _connect(ray: Any, address: str) -> None:
    """Join the cluster at an address, or start one on this machine alone. No variable names one in silence."""
    here = {} if address else {"include_dashboard": False, "object_store_memory": OBJECTS_BYTES}
    ours = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(
            address=address or "local", namespace=NAMESPACE, log_to_driver=False, logging_level="error",
            **here,
        )  # fmt: skip
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.AuthenticationError) as error:
        what = f"no Ray cluster is reached at {address or 'this machine'} ({_first_line(error)})"
        todo = "start one there (`ray start --head`), or correct the address"
        if "authentication" in f"{error} {error.__cause__}".lower():
            what = f"the Ray cluster at {address} asks for a token that this command does not have"
            todo = "set RAY_AUTH_MODE and RAY_AUTH_TOKEN_PATH as its nodes have them (docs/clusters.md)"
        raise mistake(what, todo, field="engine.address") from None
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, ours)  # Ray puts its own in place


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]
