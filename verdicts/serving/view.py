"""A student's folder as a server shall read it: asked as the gate asked it, under a name of its own.

The view is a repository in a cache of Hugging Face's form, so that transformers' server finds it by its name and lists
it. Weights and tokenizer are links into the folder. Three small files are written anew:

generation_config.json      greedy, ending where the student's runner ends an answer (verdicts/student/model.py)
preprocessor_config.json    photos of the size that the configuration allows
chat_template.jinja         the template, wherever the folder keeps it

No file of the view names a processor class: AutoProcessor then takes the one that is registered for the model, which
does without torchvision (verdicts/student/processor.py).
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from verdicts.student.model import Encoder

NAME = "student"  # the model's name at the endpoint
_REVISION = "0" * 40
_WRITTEN = {"generation_config.json", "preprocessor_config.json", "chat_template.jinja"}
# what would say the same in another place, or speak of videos
_LEFT_OUT = {"processor_config.json", "chat_template.json", "video_preprocessor_config.json"}
_NAMES_A_CLASS = {"config.json", "tokenizer_config.json"}


def write_view(student: "Encoder", hub: Path) -> Path:
    """Write the view of a student's folder below ``hub``, an empty folder; returns the folder of its files."""
    repository = hub / f"models--{NAME}"
    view = repository / "snapshots" / _REVISION
    view.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(_REVISION, encoding="utf-8")
    for file in sorted(student.folder.iterdir()):
        if file.is_file() and not file.name.startswith(".") and file.name not in _WRITTEN | _LEFT_OUT | _NAMES_A_CLASS:
            (view / file.name).symlink_to(file.resolve())
    for name in _NAMES_A_CLASS:
        if (held := student.folder / name).is_file():
            value = json.loads(held.read_text(encoding="utf-8"))
            _write(view / name, {key: of for key, of in value.items() if key not in ("processor_class", "auto_map")})
    ends = {"do_sample": False, "eos_token_id": sorted(student.ends), "pad_token_id": student.pad}
    _write(view / "generation_config.json", ends)
    student.photos.save_pretrained(view)
    (view / "chat_template.jinja").write_text(student.template, encoding="utf-8")
    return view


def _write(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
