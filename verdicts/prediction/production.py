"""The contract of production: one call a ticket, photos in, sub-tasks of each photo and one verdict out.

    from verdicts.prediction.production import predict
    said = predict(images=photos, task_configs={"run": "runs/demo/bbu_line", "student": "checkpoints/demo/merged"})
    said["if_total_pass"], said["identify_result"][0]     # False, [["缺少标签", "Fail", "该子问题需要判断"]]

The shape of the answer never changes. A ticket without a verdict fails and says why: nothing passes in silence.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from verdicts.prediction.student import VerdictStudent
from verdicts.records.predictions import Prediction
from verdicts.records.tickets import Verdict

if TYPE_CHECKING:
    from PIL import Image

TO_JUDGE = "该子问题需要判断"
STATUS: dict[Verdict, str] = {"pass": "Pass", "fail": "Fail"}
_MARKER = re.compile(r"Image\s*(\d+)\s*[:：]", re.IGNORECASE)
_CUT = re.compile(r"[;；]")
_SUMMARY = re.compile(r"\s*总结\s*[:：]")


def predict(
    images: "Sequence[Image.Image]",
    device: Any = None,
    model_registry: Any = None,
    task_configs: Mapping[str, Any] | None = None,
    extra_info: Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> dict[str, Any]:
    """The verdict of one ticket.

    ``images``: its photos. ``model_registry``: a VerdictStudent, or a mapping that holds one under "student"; else
    ``task_configs`` names "run" (runs/<RUN>/<MISSION>), "student" (a checkpoint) and, where one decides, "point" (an
    operating point), loaded once. "mission" (slug or name) and "group_id" may stand in ``extra_info`` or
    ``task_configs``. ``device`` and further keywords are tolerated and not used: the student takes the GPU that there
    is.

    Returns ``identify_result`` (for each photo a list of [task, "Pass" or "Fail", 该子问题需要判断]), ``if_total_pass``
    and ``annotated_images`` (None). Raises ValueError for no photo and for another mission than the student's, and
    UserError for files that cannot be used.
    """
    if not images:
        raise ValueError("输入图片列表为空")
    told = {**(task_configs or {}), **(extra_info or {})}
    student = _student(model_registry, told)
    mission = student.cfg.mission
    if (wanted := told.get("mission")) not in (None, mission.slug, mission.name):
        raise ValueError(f"mission {wanted!r} is not the student's, {mission.slug} ({mission.name}); name its run")
    found = student.judge_photos(str(told.get("group_id") or "ticket"), images)
    return packed(found, len(images))


def _student(registry: Any, told: Mapping[str, Any]) -> VerdictStudent:
    held = registry.get("student") if isinstance(registry, Mapping) else registry
    if isinstance(held, VerdictStudent):
        return held
    if not told.get("run"):
        raise ValueError("no student: give one in model_registry, or name task_configs['run']")
    return _loaded(*(str(told[name]) if told.get(name) else None for name in ("run", "student", "point")))


@lru_cache(maxsize=8)
def _loaded(run: str, student: str | None, point: str | None) -> VerdictStudent:
    return VerdictStudent.of_run(run, student, point)


def packed(found: Prediction, photos: int) -> dict[str, Any]:
    """A prediction as production reads it. ``images`` and ``missing`` of it are numbers of photos from 1."""
    status = STATUS[found.verdict or "fail"]
    tasks: list[list[str]] = [[] for _ in range(photos)]
    reason = found.reason or f"没有判定（{found.why}）：{found.detail}"
    shown = [int(image) - 1 for image in found.images]
    for at, said in zip(shown, sub_tasks(reason, len(shown)), strict=True):
        tasks[at] = said
    for lost in found.missing:
        tasks[int(lost.image) - 1] = [f"照片未使用（{lost.reason}）", *([] if shown else [reason])]
    result = [[[task, status, TO_JUDGE] for task in own] for own in tasks]
    return {
        "identify_result": result,
        "if_total_pass": not any(entry[1:] == ["Fail", TO_JUDGE] for own in result for entry in own),
        "annotated_images": None,
    }


def sub_tasks(reason: str, photos: int) -> list[list[str]]:
    """What a reason says of each photo: cut at ``ImageN:`` and at ``;``, a trailing 总结 left out.

    A reason that names no photo of these is said of every one, as a whole.
    """
    _, *parts = _MARKER.split(reason)
    found: list[list[str]] = [[] for _ in range(photos)]
    for number, text in zip(parts[::2], parts[1::2], strict=True):
        if 1 <= int(number[:9]) <= photos:
            said = (part.strip() for part in _CUT.split(text) if not _SUMMARY.match(part))
            found[int(number) - 1] += [part for part in said if part]
    return found if any(found) else [[reason] for _ in range(photos)]
