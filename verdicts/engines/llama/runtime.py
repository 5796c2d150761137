"""llama.cpp's low-level API as two small objects: a model with its vocabulary, and a context with its cells.

Nothing here knows prompts or answers. Signatures: llama_cpp/llama_cpp.py of llama-cpp-python 0.3.36, and the comments
on its structs.
"""

import ctypes
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from verdicts.base.errors import mistake
from verdicts.engines.sampling import most_likely
from verdicts.engines.trust import ensure_checked
from verdicts.models.checkpoints import LFS_POINTER
from verdicts.models.threads import quiet_openmp

CHECKED = (
    2_000_000_000  # bytes: a smaller file has all weights looked at when it is loaded; a larger one would be read twice
)
MAX_SEQUENCES = 256  # LLAMA_MAX_SEQ in llama.cpp
LIKELIEST = 256  # tokens of a row that a grammar looks at first
_ERROR = 4  # GGML_LOG_LEVEL_ERROR of ggml.h
_TOKEN_DATA = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])  # llama_token_data


def library() -> Any:
    """Import llama_cpp's bindings with quiet threads and a silent log.

    By default each graph node of each decode call is logged through Python. The callback set here is libc's ``abs``:
    a C function that takes an int, returns at once and never sees Python. Libraries that have not computed on this
    machine before are checked first, in a child process (``trust``).
    """
    quiet_openmp()
    ensure_checked()
    try:
        import llama_cpp.llama_cpp as bindings
    # no package, no library, one that does not load, one of another version
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        raise mistake(
            f"llama_cpp cannot be imported ({error})",
            "run `make setup`, or choose engine.kind openai",
            field="engine.kind",
        ) from None
    bindings.llama_log_set(_silent(bindings), ctypes.c_void_p(0))
    return bindings


def _silent(bindings: Any) -> Any:
    return ctypes.cast(ctypes.CDLL(None).abs, bindings.llama_log_callback)


class Model:
    """A loaded GGUF file: weights and vocabulary.

    Attributes: ``vocab_size``; ``train_context`` (tokens); ``bytes`` (size of all tensors); ``eog`` (ids that end a
    turn); ``banned`` (bool per id: control, unknown and unused tokens, which no answer may contain); ``markers``
    (texts such as ``<think>`` that llama.cpp would recognise even in plain text).
    """

    def __init__(self, path: Path, n_gpu_layers: int) -> None:
        self.lib, self.path = library(), path
        with open(path, "rb") as file:
            if file.read(len(LFS_POINTER)) == LFS_POINTER:
                raise mistake(
                    "a pointer of Git LFS, not the model itself",
                    "fetch the file (`git lfs pull`, or from where it was published)",
                    path=path,
                    field="engine.model",
                )
        self.lib.llama_backend_init()
        said: list[str] = []
        collect = self.lib.llama_log_callback(
            lambda level, text, _: said.append(text.decode("utf-8", "replace").strip()) if level == _ERROR else None
        )
        params = self.lib.llama_model_default_params()
        params.n_gpu_layers = n_gpu_layers
        # quantised products hide a NaN: the scores would be wrong, yet numbers
        params.check_tensors = path.stat().st_size < CHECKED
        self.lib.llama_log_set(collect, ctypes.c_void_p(0))
        self.handle = self.lib.llama_model_load_from_file(str(path).encode(), params)
        self.lib.llama_log_set(_silent(self.lib), ctypes.c_void_p(0))
        if not self.handle:
            raise mistake(
                f"llama.cpp cannot load it ({said[0] if said else 'no reason given'})",
                "check that it is a whole GGUF file",
                path=path,
                field="engine.model",
            )
        self.vocab = self.lib.llama_model_get_vocab(self.handle)
        self.vocab_size = self.lib.llama_vocab_n_tokens(self.vocab)
        self.train_context = self.lib.llama_model_n_ctx_train(self.handle)
        self.bytes = self.lib.llama_model_size(self.handle)
        self._read_vocabulary()

    def _read_vocabulary(self) -> None:
        lib, vocab = self.lib, self.vocab
        attr = np.array([lib.llama_vocab_get_attr(vocab, i) for i in range(self.vocab_size)])
        self.eog = frozenset(i for i in range(self.vocab_size) if lib.llama_vocab_is_eog(vocab, i))
        special = lib.LLAMA_TOKEN_ATTR_CONTROL | lib.LLAMA_TOKEN_ATTR_UNKNOWN | lib.LLAMA_TOKEN_ATTR_UNUSED
        self.banned = (attr & special) != 0
        self.markers: dict[str, int] = {}
        for i in np.flatnonzero(attr & lib.LLAMA_TOKEN_ATTR_USER_DEFINED):
            text = lib.llama_vocab_get_text(vocab, int(i)).decode("utf-8", "replace")
            # some vocabularies list runs of spaces among the user-defined tokens: these are no markers
            if len(text) > 2 and text[0] == "<" and text[-1] == ">":
                self.markers[text] = int(i)
                self.banned[i] = True
        self.pieces = [b"" if self.banned[i] else self._piece(i) for i in range(self.vocab_size)]

    def _piece(self, token: int) -> bytes:
        buffer = ctypes.create_string_buffer(256)
        size = self.lib.llama_token_to_piece(self.vocab, token, buffer, 256, 0, False)
        return buffer.raw[:size] if size > 0 else b""

    def _tokenize(self, text: str, special: bool) -> list[int]:
        raw = text.encode()
        room = len(raw) + 8
        ids = (self.lib.llama_token * room)()
        count = self.lib.llama_tokenize(self.vocab, raw, len(raw), ids, room, False, special)
        return list(ids[:count])

    def template_ids(self, text: str) -> list[int]:
        """Token ids of template text: control tokens written in it become control tokens."""
        return self._tokenize(text, special=True)

    def plain_ids(self, text: str) -> list[int]:
        """Token ids of text that came from data: nothing in it becomes a control token or a marker.

        llama.cpp recognises user-defined tokens (``<think>``) even in plain text, so such a text is cut after its
        first character and its parts are tokenised apart.
        """
        cuts = {at + 1 for marker in self.markers for at in _occurrences(text, marker)}
        edges = [0, *sorted(cuts), len(text)]
        return [token for start, end in pairwise(edges) for token in self._tokenize(text[start:end], special=False)]

    def bos_ids(self) -> list[int]:
        """The token that begins every text, where the file says so; else nothing."""
        return [self.lib.llama_vocab_bos(self.vocab)] if self.lib.llama_vocab_get_add_bos(self.vocab) else []

    def token_text(self, which: str) -> str:
        """Text of the ``bos`` or ``eos`` token, as chat templates ask for it; empty where there is none."""
        token = getattr(self.lib, f"llama_vocab_{which}")(self.vocab)
        return "" if token < 0 else self.lib.llama_vocab_get_text(self.vocab, token).decode("utf-8", "replace")

    def chat_template(self) -> str | None:
        """The Jinja chat template in the file, or None."""
        text = self.lib.llama_model_chat_template(self.handle, None)
        return None if text is None else text.decode("utf-8")

    def text(self, ids: Iterable[int]) -> str:
        """Text of generated ids. Bytes that form no character become U+FFFD; one cut off at the end is left out."""
        raw = b"".join(self.pieces[i] for i in ids)
        whole = len(raw)
        # A token may be a part of a character: look back for a lead byte that promises more bytes than follow it.
        for back in range(1, min(4, len(raw) + 1)):
            lead = raw[-back]
            if lead >= 0xC0:
                whole -= back if back < (2 + (lead >= 0xE0) + (lead >= 0xF0)) else 0
                break
        return raw[:whole].decode("utf-8", "replace")

    def close(self) -> None:
        """Free the weights. Close contexts first."""
        if self.handle:
            self.lib.llama_model_free(self.handle)
            self.handle = None


def _occurrences(text: str, part: str) -> Iterable[int]:
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + 1)


class Span(NamedTuple):
    """Neighbouring tokens to decode: they belong to all of ``sequences`` and stand at ``position`` and after.

    ``wants_logits``: of the last token.
    """

    sequences: Sequence[int]
    position: int
    tokens: Sequence[int]
    wants_logits: bool


class Context:
    """One llama.cpp context: ``cells`` KV cells for all sequences, decode calls of up to ``batch_tokens`` tokens.

    Contexts of one model may run in different threads. ``prefix``: the tokens that sequence 0 holds, for the caller to
    keep. ``streams``: each sequence has cells of its own, equally many (``cells`` in all, a multiple of 256 each).
    """

    def __init__(
        self, model: Model, *, cells: int, batch_tokens: int, sequences: int, n_threads: int,
        streams: bool = False, kv_type: str = "f16",
    ) -> None:  # fmt: skip
        self.lib, self._model, self.batch_tokens, self._threads = model.lib, model, batch_tokens, n_threads
        self.streams, self._kv_type = streams, kv_type
        self._path, self._vocab_size, self._checked = model.path, model.vocab_size, False
        self._open(cells, sequences)
        self._make_batch()

    def _open(self, cells: int, sequences: int) -> None:
        lib = self.lib
        self.cells, self.sequences = cells, sequences
        self.prefix: list[int] | None = None
        params = lib.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = cells, self.batch_tokens, self.batch_tokens
        params.n_seq_max = params.n_outputs_max = sequences  # a row of logits a sequence; else room for one a token
        params.n_threads = params.n_threads_batch = self._threads
        # On the CPU it skips tiles of other tickets' cells. Cells stay f16: f32 ones would be copied at each call.
        params.flash_attn_type = lib.LLAMA_FLASH_ATTN_TYPE_ENABLED
        params.kv_unified = not self.streams  # one buffer for all: there a fork shares cells; else it copies them
        params.type_k = params.type_v = getattr(lib, f"GGML_TYPE_{self._kv_type.upper()}")
        params.no_perf = True
        self.handle = lib.llama_init_from_model(self._model.handle, params)
        if not self.handle:
            raise mistake(
                f"llama.cpp cannot make a context of {cells} cells",
                "lower engine.context_tokens",
                field="engine.context_tokens",
            )
        self.memory = lib.llama_get_memory(self.handle)

    def resize(self, cells: int, sequences: int) -> None:
        """Have other numbers of cells and sequences; all that it held is gone."""
        if (cells, sequences) != (self.cells, self.sequences):
            self.close()
            self._open(cells, sequences)

    def set_threads(self, count: int) -> None:
        """Compute with so many threads from now on."""
        self._threads = count
        self.lib.llama_set_n_threads(self.handle, count, count)

    def _make_batch(self) -> None:
        size = self.batch_tokens
        # llama_batch holds addresses only: these arrays must live as long as it does.
        self._token, self._pos, self._count = (np.zeros(size, np.int32) for _ in range(3))
        self._wanted = np.zeros(size, np.int8)
        self._lists = np.zeros(size + 1, np.uintp)  # of each token: the address of its sequence ids
        self._batch = self.lib.llama_batch()
        kinds = dict(self.lib.llama_batch._fields_)
        for name, array in (
            ("token", self._token),
            ("pos", self._pos),
            ("n_seq_id", self._count),
            ("seq_id", self._lists),
            ("logits", self._wanted),
        ):
            setattr(self._batch, name, ctypes.cast(array.ctypes.data, kinds[name]))

    def decode(self, spans: Sequence[Span]) -> np.ndarray:
        """Decode spans of at most ``batch_tokens`` tokens in all.

        Returns float32 logits ``[spans that want them, vocabulary]``, in order; a view that the next call overwrites.
        Raises RuntimeError when llama.cpp fails (the caller keeps count of cells, so that is no user's fault), and
        UserError where scores are NaN.
        """
        seq_ids = np.fromiter((seq_id for span in spans for seq_id in span.sequences), np.int32)
        at = rows = listed = 0
        for span in spans:
            end = at + len(span.tokens)
            self._token[at:end] = span.tokens
            self._pos[at:end] = np.arange(span.position, span.position + len(span.tokens))
            self._count[at:end] = len(span.sequences)
            # All tokens of a span point to the same list of ids, which stands ``listed`` int32 (4 bytes) into seq_ids.
            self._lists[at:end] = seq_ids.ctypes.data + 4 * listed
            self._wanted[at:end] = 0
            self._wanted[end - 1] = span.wants_logits
            listed, rows, at = listed + len(span.sequences), rows + span.wants_logits, end
        self._batch.n_tokens = at
        status = self.lib.llama_decode(self.handle, self._batch)
        if status:
            raise RuntimeError(f"llama_decode returned {status} for {at} tokens in {len(spans)} spans")
        if not rows:
            return np.empty((0, self._vocab_size), np.float32)
        logits: np.ndarray = np.ctypeslib.as_array(self.lib.llama_get_logits(self.handle), (rows, self._vocab_size))
        # A NaN in a layer spreads over a whole row: one column shows it. One in the output matrix stays in its column,
        # so the first call looks at all of them.
        if np.isnan(logits[:, 0] if self._checked else logits).any():
            raise mistake(
                "the model's scores are no numbers (NaN)",
                "its weights are damaged: fetch the file again",
                path=self._path,
                field="engine.model",
            )
        self._checked = True
        return logits

    def fork(self, source: int, target: int) -> None:
        """Let ``target`` share all cells of ``source``; with streams it gets a copy of them."""
        self.lib.llama_memory_seq_cp(self.memory, source, target, -1, -1)

    def drop(self, sequence: int) -> None:
        """Forget a sequence; cells that no other sequence shares become free."""
        self.lib.llama_memory_seq_rm(self.memory, sequence, -1, -1)

    def cut(self, sequence: int, position: int) -> None:
        """Forget the tokens of a sequence from ``position`` on."""
        self.lib.llama_memory_seq_rm(self.memory, sequence, position, -1)

    def clear(self) -> None:
        """Empty all cells and set their contents to zero."""
        self.lib.llama_memory_clear(self.memory, True)

    def close(self) -> None:
        """Free the cells."""
        if self.handle:
            self.lib.llama_free(self.handle)
            self.handle = None


class Grammar:
    """llama.cpp's own grammar sampler over one vocabulary: which token may come next in one text.

    It takes control tokens for their text, so those of ``model.banned`` are kept out here. Asking for one token is
    cheap; a mask over the vocabulary costs that many times as much, so it first looks among the row's likeliest. Raises
    ValueError for a faulty grammar.
    """

    def __init__(self, model: Model, text: str) -> None:
        self.lib = model.lib
        self._open = ~model.banned
        self._open[list(model.eog)] = True
        self._array = self.lib.llama_token_data_array(selected=-1, sorted=False)
        self._pointer = dict(self.lib.llama_token_data_array._fields_)["data"]
        self.handle = self.lib.llama_sampler_init_grammar(model.vocab, text.encode(), b"root")
        if not self.handle:
            raise ValueError("llama.cpp cannot read the grammar")
        self._asked: int | None = None  # a token that was found allowed at this place

    def allows(self, token: int) -> bool:
        """Whether a token may come next; the end of turn only where the text is whole."""
        if not self._allowed(np.array([token], np.int32))[0]:
            return False
        self._asked = token
        return True

    def banned(self, row: np.ndarray) -> np.ndarray:
        """A mask (True is banned) under which to sample from a row of logits.

        It allows those of the likeliest tokens that may come next, or of the whole vocabulary where none of these may.
        """
        mask: np.ndarray = np.ones(len(row), bool)
        for candidates in (most_likely(row, LIKELIEST), np.arange(len(row))):
            ids = candidates.astype(np.int32)
            mask[ids[self._allowed(ids)]] = False
            if not mask.all():
                break
        return mask

    def accept(self, token: int) -> bool:
        """Go on behind a token; False, and nothing happens, where it may not come next."""
        if token != self._asked and not self.allows(token):
            return False
        self.lib.llama_sampler_accept(self.handle, token)
        self._asked = None
        return True

    def _allowed(self, ids: np.ndarray) -> np.ndarray:
        rows = np.zeros(len(ids), _TOKEN_DATA)
        rows["id"] = ids
        self._array.data, self._array.size = ctypes.cast(rows.ctypes.data, self._pointer), len(ids)
        self.lib.llama_sampler_apply(self.handle, ctypes.byref(self._array))
        allowed: np.ndarray = (rows["logit"] == 0) & self._open[ids]  # a banned one has minus infinity now
        return allowed

    def close(self) -> None:
        """Free it."""
        if self.handle:
            self.lib.llama_sampler_free(self.handle)
            self.handle = None
