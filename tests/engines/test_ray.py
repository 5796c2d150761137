"""The llama_cpp engine in Ray actors: the bytes of one engine, whoever answers and whoever dies."""

import sys
import time
from collections import deque

import pytest

from tests.support.llama import DECODES, SYSTEM, USERS, config
from verdicts.base.errors import UserError
from verdicts.base.progress import tokens_so_far
from verdicts.config.engine import RayConfig
from verdicts.engines import open_engine
from verdicts.engines.llama.engine import LlamaCppEngine
from verdicts.engines.ray import Call, RayEngine, check_same

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}
# the death of a node is noticed within two seconds instead of half a minute
SOON = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 3}
NODE = {"num_cpus": 2, "num_gpus": 0, "object_store_memory": 80 * 2**20}


def ray_config(**changes) -> RayConfig:
    own = {
        "kind": "ray", "address": "", "actors": 3, "gpus_per_actor": 0.0, "cpus_per_actor": 1, "restarts": 3,
        "start_timeout_s": 120.0, "idle_s": 600.0, "chunk": 4,
    }  # fmt: skip
    return RayConfig.model_validate(config().model_dump() | own | changes)


@pytest.fixture(scope="module")
def cluster():
    """Three nodes on this machine."""
    own = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}
    with pytest.MonkeyPatch.context() as patch:  # before Ray is imported: that is when it reads them
        for name, value in own.items():
            patch.setenv(name, value)
        pytest.importorskip("ray", reason="Ray is not installed (pip install ray)")
        yield from three_nodes()


def three_nodes():
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args=NODE | {"include_dashboard": False, "_system_config": SOON})
    for _ in range(2):
        nodes.add_node(**NODE)
    yield nodes
    nodes.shutdown()


@pytest.fixture(scope="module")
def plain():
    """What one engine in this process says: rollout, judge, complete."""
    engine = LlamaCppEngine(config(chunk=4))
    asked = [decodes[0] for decodes in DECODES[:6]]
    yield (
        list(engine.rollout(SYSTEM, USERS, DECODES)),
        engine.judge(SYSTEM, USERS),
        engine.complete("说点什么", USERS[:6], asked, SCHEMA),
        engine.count_tokens(USERS[0]),
        engine.fingerprint,
    )
    engine.close()


def test_three_actors_say_to_the_byte_what_one_engine_says_and_stay_loaded_for_the_next_command(cluster, plain):
    rollout, judged, completed, count, fingerprint = plain
    engine = open_engine(ray_config(address=cluster.address))
    assert isinstance(engine, RayEngine)
    before = tokens_so_far()
    assert list(engine.rollout(SYSTEM, USERS, DECODES)) == rollout
    assert tokens_so_far().written > before.written  # counted for this process
    assert engine.judge(SYSTEM, USERS) == judged
    asked = [decodes[0] for decodes in DECODES[:6]]
    assert engine.complete("说点什么", USERS[:6], asked, SCHEMA) == completed
    assert engine.count_tokens(USERS[0]) == count
    assert engine.fingerprint == fingerprint
    places = places_of(engine)
    assert len({node for node, _ in places}) == 3
    engine.close()

    engine = open_engine(ray_config(address=cluster.address))
    assert places_of(engine) == places
    assert list(engine.rollout(SYSTEM, USERS[20:], DECODES[20:])) == rollout[20:]
    engine.close()


def test_a_node_that_is_killed_in_the_middle_costs_no_ticket_and_changes_no_byte(cluster, plain):
    import ray

    engine = open_engine(ray_config(address=cluster.address))
    answers = engine.rollout(SYSTEM, USERS, DECODES)
    given = [next(answers)]
    here = ray.get_runtime_context().get_node_id()  # any of the three: its end would be this process's, too
    busy = {node for node, _ in places_of(engine)} - {here}
    victim = next(node for node in cluster.worker_nodes if node.node_id in busy)
    cluster.remove_node(victim, allow_graceful=False)
    until = time.monotonic() + 60  # its workers outlive it for a moment, long enough for all that is left
    while any(node["Alive"] for node in ray.nodes() if node["NodeID"] == victim.node_id):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert given + list(answers) == plain[0]
    engine.close()
    cluster.add_node(**NODE)


def test_an_actor_that_nobody_asks_ends_and_frees_its_place(cluster):
    from ray.util import list_named_actors

    config = ray_config(address=cluster.address, actors=1, idle_s=4.0)
    engine = open_engine(config)
    places, names = places_of(engine), list_named_actors()
    until = time.monotonic() + 60
    while len(list_named_actors()) == len(names) and time.monotonic() < until:
        time.sleep(0.2)
    engine.close()
    engine = open_engine(config)
    assert places_of(engine) != places
    engine.close()


def test_what_a_cluster_cannot_do_is_said_in_one_sentence(cluster, tmp_path):
    with pytest.raises(UserError, match=r"^engine\.actors: the cluster has no room for an engine: each takes 1 GPUs"):
        open_engine(ray_config(address=cluster.address, actors=0, gpus_per_actor=1.0))
    with pytest.raises(UserError, match=r"no\.gguf: engine\.model: no such model file"):
        open_engine(ray_config(address=cluster.address, actors=1, model=str(tmp_path / "no.gguf"), idle_s=1.0))


def test_a_node_with_another_model_is_refused():
    fingerprint = {"engine": "llama_cpp", "model": "a.gguf", "sha256": "12", "version": "1"}
    check_same(fingerprint, dict(fingerprint), "models/a.gguf")
    with pytest.raises(UserError, match=r"models/a\.gguf: .* has another model .*\(sha256 13, not 12\); put the same"):
        check_same(fingerprint | {"sha256": "13"}, fingerprint, "models/a.gguf")


def test_an_engine_gets_a_second_chunk_only_of_those_that_no_engine_will_be_free_for():
    """With two chunks for two engines the one that loads first took both, and the other waited to the end."""
    given: list[tuple[int, str]] = []
    engine, first, second = object.__new__(RayEngine), HandedTo(0, given), HandedTo(1, given)
    engine._actors, engine._opening, engine.fingerprint = {0: first, 1: second}, {"loading": 1}, {}
    calls = [Call("judge", (f"chunk {i}",)) for i in range(4)]
    left, running = deque(range(2)), {}
    engine._hand_out(calls, left, running)
    assert given == [(0, "chunk 0")] and list(left) == [1]
    engine._opening.clear()
    engine._hand_out(calls, left, running)
    assert given[1:] == [(1, "chunk 1")] and not left

    given.clear()
    engine._opening["started again"], left, running = 1, deque(range(4)), {}
    engine._hand_out(calls, left, running)
    assert given == [(0, "chunk 0"), (0, "chunk 1")] and list(left) == [2, 3]  # more than one is left for the other


@pytest.mark.parametrize(("chunk", "said"), [(4, ""), (7, "2 chunks of 7, and 3 engines wait"), (8, "at most 2")])
def test_fewer_chunks_than_engines_are_said(monkeypatch, capsys, chunk, said):
    engine = object.__new__(RayEngine)
    engine._actors, engine.config = dict.fromkeys(range(3)), ray_config(chunk=chunk)
    monkeypatch.setattr(engine, "_run", lambda calls: iter(calls))
    assert len(list(engine.rollout(SYSTEM, USERS[:12], DECODES[:12]))) == -(-12 // chunk)
    printed = "".join(capsys.readouterr())
    assert said in printed and bool(said) == ("ray: " in printed)


def test_without_ray_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"^engine\.kind: Ray is not installed here .*; install it \(pip install ray\)"):
        open_engine(ray_config())


class HandedTo:
    """An actor that notes which chunks it is given."""

    def __init__(self, number: int, given: list[tuple[int, str]]) -> None:
        self.number, self.given, self.answer = number, given, self

    def remote(self, call: Call, _: dict[str, str]) -> object:
        self.given.append((self.number, call.arguments[0]))
        return object()


def places_of(engine: RayEngine) -> list[tuple[str, int]]:
    """The node and the process of each actor."""
    return sorted(engine._ray.get([actor.place.remote() for actor in engine._actors.values()]))
