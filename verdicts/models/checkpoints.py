"""A checkpoint folder (config, tokenizer, safetensors) that somebody made, fetched or copied.

It is checked by its small files and the heads of its weights before anything heavy is done, and loaded so that what is
missing, misshapen or no number is said. Left to itself transformers fills missing tensors with random ones, and a
mapped file that is cut short ends the process.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verdicts.base.errors import UserError, mistake
from verdicts.models import chat_template as chat

INDEX = "model.safetensors.index.json"
LFS_POINTER = b"version https://git-lfs"  # what a file begins with that Git LFS did not fetch
SMALL_SUFFIXES = (".json", ".jinja", ".txt", ".model")
TOKENIZERS = (("tokenizer.json",), ("vocab.json", "merges.txt"), ("tokenizer.model",))
MAX_HEAD = 100_000_000  # bytes, of the safetensors format
# code from a folder is never run, and nothing is fetched
LOCAL = {"trust_remote_code": False, "local_files_only": True}


@dataclass(frozen=True)
class Checkpoint:
    """A folder, the knob that names it, and how to get a sound one."""

    folder: Path
    field: str
    get: str

    def wrong(self, what: str, file: str = "") -> UserError:
        """The error for what is wrong with the folder, or with one of its files."""
        return mistake(what, self.get, path=self.folder / file if file else self.folder, field=self.field)

    @contextmanager
    def reading(self, what: str) -> Iterator[None]:
        """Name whatever a library raises over the folder's files in one line."""
        try:
            yield
        except (UserError, ImportError, MemoryError):
            raise
        except Exception as error:  # tokenizers raises bare ones
            if type(error).__name__ == "OutOfMemoryError":  # torch's
                raise mistake(
                    "GPU memory is too small for its weights",
                    "use a larger GPU or a smaller model",
                    path=self.folder,
                    field=self.field,
                ) from None
            said = " ".join(str(error).split())
            raise self.wrong(
                f"its {what} cannot be read ({type(error).__name__}: {said[:160]}{'…' if len(said) > 160 else ''})"
            ) from error


def settings(checkpoint: Checkpoint) -> dict[str, Any]:
    """What config.json holds. Raises UserError where the folder, the file, or an object in it is missing."""
    if not (checkpoint.folder / "config.json").is_file():
        raise checkpoint.wrong("no config.json in it" if checkpoint.folder.is_dir() else "no such checkpoint folder")
    return _object(checkpoint, "config.json")


def _object(checkpoint: Checkpoint, name: str) -> dict[str, Any]:
    try:
        value = json.loads((checkpoint.folder / name).read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError):
        value = None
    if not isinstance(value, dict):
        raise checkpoint.wrong(f"{name} is not a JSON object")
    return value


def check_small_files(checkpoint: Checkpoint) -> None:
    """Raise UserError where a small file is a pointer of Git LFS, or the tokenizer is missing."""
    for path in sorted(checkpoint.folder.iterdir()):
        if path.suffix in SMALL_SUFFIXES and path.is_file():
            _no_pointer(checkpoint, path.name)
    if not any(all((checkpoint.folder / name).is_file() for name in names) for names in TOKENIZERS):
        raise checkpoint.wrong("no tokenizer in it (tokenizer.json)")


def _no_pointer(checkpoint: Checkpoint, name: str) -> None:
    with open(checkpoint.folder / name, "rb") as file:
        if file.read(len(LFS_POINTER)) == LFS_POINTER:
            raise checkpoint.wrong("a pointer of Git LFS, not the file itself", name)


def weight_files(checkpoint: Checkpoint) -> list[str]:
    """Names of the files that hold the weights: the index's, or one. Raises UserError for an index that names none."""
    if not (checkpoint.folder / INDEX).is_file():
        return ["model.safetensors"]
    where = _object(checkpoint, INDEX).get("weight_map")
    if (
        not isinstance(where, dict)
        or not where
        or not all(isinstance(name, str) and name == Path(name).name for name in where.values())
    ):
        raise checkpoint.wrong("its weight_map names no files", INDEX)
    return sorted(set(where.values()))


def check_weights(checkpoint: Checkpoint) -> set[str]:
    """Look at the head of each weight file: its tensors must fill the file.

    Returns the dtypes in them, as the format names them (F16, BF16, …).
    Raises UserError for a missing file, a pointer of Git LFS, and one that is cut short or no safetensors file.
    """
    dtypes: set[str] = set()
    for name in weight_files(checkpoint):
        path = checkpoint.folder / name
        if not path.is_file():
            raise checkpoint.wrong(f"its weights are missing ({name})")
        _no_pointer(checkpoint, name)
        size = path.stat().st_size
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            head = file.read(length) if 0 < length <= min(size - 8, MAX_HEAD) else b""
        try:
            tensors = [value for key, value in json.loads(head).items() if key != "__metadata__"]
            wanted = 8 + length + max(tensor["data_offsets"][1] for tensor in tensors)
            dtypes |= {str(tensor["dtype"]) for tensor in tensors}
        except (ValueError, AttributeError, KeyError, TypeError, IndexError, RecursionError):
            raise checkpoint.wrong(f"no whole safetensors file ({size:,} bytes)", name) from None
        if size != wanted:
            raise checkpoint.wrong(
                f"{'cut short' if size < wanted else 'too long'}: {size:,} of {wanted:,} bytes", name
            )
    return dtypes


def load_model(kind: Any, checkpoint: Checkpoint, **options: Any) -> Any:
    """``kind.from_pretrained`` of the folder's safetensors, ready to answer.

    It is complete, in the shapes of its config, and every weight is a number. On a CPU the weights are in memory of
    their own: a file that is cut short later does no harm. Raises UserError.
    """
    import transformers

    dtypes = check_weights(checkpoint)
    logging: Any = transformers.utils.logging  # untyped
    logging.disable_progress_bar()
    told = logging.get_verbosity()
    logging.set_verbosity_error()  # what its report says is said below
    try:
        with checkpoint.reading("weights"):
            model, found = kind.from_pretrained(
                checkpoint.folder,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                use_safetensors=True,
                **LOCAL,
                **options,
            )
    finally:
        logging.set_verbosity(told)
    if found["mismatched_keys"]:
        name, held, wanted = min((name, list(held), list(wanted)) for name, held, wanted in found["mismatched_keys"])
        raise checkpoint.wrong(f"its weights do not fit its config.json ({name}: {held}, but {wanted} by the config)")
    if missing := sorted(found["missing_keys"]):
        raise checkpoint.wrong(
            f"its weights lack {len(missing)} tensors ({missing[0]}{', …' if len(missing) > 1 else ''})"
        )
    _check_numbers(model, checkpoint)
    if any(_NAMES.get(str(value.dtype)) in dtypes for value in model.parameters()):
        for value in model.parameters():
            if value.device.type == "cpu":
                value.data = value.data.clone()
    return model.eval()


_NAMES = {"torch.float32": "F32", "torch.float16": "F16", "torch.bfloat16": "BF16"}


def _check_numbers(model: Any, checkpoint: Checkpoint) -> None:
    """Raise UserError for a tensor that holds NaN or infinity: a sum shows it, for both survive adding."""
    import torch

    for name, value in model.named_parameters():
        with torch.no_grad():
            if not torch.isfinite(value.sum(dtype=torch.float32)) and not torch.isfinite(value).all():
                raise checkpoint.wrong(f"its weights hold values that are no numbers ({name})")


def ends_of_turn(checkpoint: Checkpoint, tokenizer: Any, template: str | None) -> tuple[int, set[int]]:
    """The id that the chat template ends an answer with, and all ids that end one: that, the tokenizer's and those of
    generation_config.json (config.json where there is none). Each of the three may be wrong by itself: a base model's
    tokenizer ends texts, not turns.

    Raises UserError for a folder without a chat template, and for one whose template ends answers with plain text.
    """
    special = {"bos_token": tokenizer.bos_token or "", "eos_token": tokenizer.eos_token or ""}
    messages = [{"role": "user", "content": "USER-9f1c4e7a"}, {"role": "assistant", "content": "ANSWER-9f1c4e7a"}]
    if not template:
        raise checkpoint.wrong("no chat template in it (chat_template.jinja)")
    marks = [message["content"] for message in messages]
    behind = chat.text_around(
        template,
        messages,
        marks,
        source=str(checkpoint.folder),
        add_generation_prompt=False,
        enable_thinking=False,
        **special,
    )[-1]
    control = {
        i for i, token in tokenizer.added_tokens_decoder.items() if token.special or token.content.startswith("<")
    }
    end = next((i for i in tokenizer(behind, add_special_tokens=False)["input_ids"] if i in control), None)
    if end is None:
        raise checkpoint.wrong("its chat template ends an answer with no control token")
    return end, {end, *_declared_ends(checkpoint)} | ({tokenizer.eos_token_id} - {None})


def _declared_ends(checkpoint: Checkpoint) -> list[int]:
    """``eos_token_id`` of generation_config.json, or else of config.json or its language part: an id or several."""
    name = "generation_config.json"
    if (checkpoint.folder / name).is_file():
        value = _object(checkpoint, name).get("eos_token_id")
    else:
        name, config = "config.json", settings(checkpoint)
        text = config.get("text_config")
        value = config.get("eos_token_id", text.get("eos_token_id") if isinstance(text, dict) else None)
    ids = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(i, int) and not isinstance(i, bool) for i in ids):
        raise checkpoint.wrong(f"eos_token_id is no token id ({json.dumps(value)[:60]})", name)
    return ids


def until_end(ids: list[int], ends: set[int]) -> tuple[list[int], bool]:
    """Generated ids up to the first that ends a turn, and whether there is one."""
    at = next((n for n, i in enumerate(ids) if i in ends), None)
    return (ids, False) if at is None else (ids[:at], True)
