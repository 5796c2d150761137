"""The review list as Label Studio's tasks, and the form on which a person decides them there.

Both go by Label Studio's own formats: a task is ``{"data": {…}}``, the form its labelling configuration. Verdicts are
shown in the words of the protocol; ``data`` has each field also as it is, to filter and sort by.
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from verdicts.records.review import Decision, ReviewTicket
from verdicts.stage_b.protocol import WORD

# What a person reads on a choice. An export has the word behind it (Label Studio's alias).
SHOWN: dict[Decision, str] = {
    "label_wrong": "标签错 · label wrong",
    "model_wrong": "模型错 · model wrong",
    "exclude": "排除 · exclude",
    "unsure": "不确定 · unsure",
}
TAUGHT = "label_wrong,model_wrong"  # the decisions beside which a reason may be written
LOCAL_FILES = "/data/local-files/?d="  # where Label Studio serves files below its document root

_FORM = """\
<View>
  <Header value="$title"/>
  <Text name="said" value="$said"/>
  <Header size="5" value="照片摘要 · facts of each photo"/>
  <Text name="facts" value="$facts"/>
{more}  <Choices name="decision" toName="said" choice="single" showInline="true" required="true"
           requiredMessage="请选择一项 · choose one">
{choices}
  </Choices>
  <Header size="5" value="更正理由（一行，可不填）· the right reason, on one line, to teach (may be left out)"
          visibleWhen="choice-selected" whenTagName="decision" whenChoiceValue="{taught}"/>
  <TextArea name="corrected_reason" toName="said" maxSubmissions="1" editable="true"
            visibleWhen="choice-selected" whenTagName="decision" whenChoiceValue="{taught}"/>
  <Header size="5" value="备注 · note"/>
  <TextArea name="note" toName="said" maxSubmissions="1" editable="true"/>
</View>
"""
_PHOTOS = """\
  <Image name="photos" valueList="$photos" maxWidth="720px" zoom="true" zoomControl="true" rotateControl="true"/>
"""
_OPINIONS = '  <Text name="opinions" value="$opinions"/>\n'


def labelling_form(*, photos: bool, opinions: bool) -> str:
    """The labelling configuration. ``photos``, ``opinions``: whether tasks have them."""
    choices = (
        f"    <Choice value={quoteattr(text)} alias={quoteattr(word)} hotkey={quoteattr(str(number))}/>"
        for number, (word, text) in enumerate(SHOWN.items(), start=1)
    )
    more = _PHOTOS * photos + _OPINIONS * opinions
    return _FORM.format(more=more, choices="\n".join(choices), taught=TAUGHT)


def task_of(
    mission: str, ticket: ReviewTicket, photo: Callable[[str], str] | None, opinions: Mapping[str, str]
) -> dict[str, Any]:
    """One ticket as a task. ``photo``: the address of a photo, "" where it is not there; None for tasks without.

    ``opinions``: what reviewers said of disputed tickets, by key; empty where no form shows it.
    """
    wrote = f"\n不通过理由 fail reasons: {'；'.join(ticket.fail_reasons)}" if ticket.fail_reasons else ""
    answers = "\n".join(f"{WORD[one.verdict]} ×{one.count}: {one.reason}" for one in ticket.candidates)
    facts = list(ticket.per_image.values())
    data = {
        "ticket_key": ticket.ticket_key,
        "group_id": ticket.group_id,
        "mission": mission,
        "label": ticket.gt_label,
        "verdict": ticket.pred_verdict,
        "reason": ticket.pred_reason,
        "candidates": [one.model_dump() for one in ticket.candidates],
        "reason_code": ticket.reason_code,
        "times_queued": ticket.times_queued,
        "log_odds_against_label": ticket.log_odds_against_label,
        "photo_names": ticket.images,
        "title": f"{mission} · {ticket.group_id}",
        "said": f"人工标签 label: {WORD[ticket.gt_label]}{wrote}\n"
        f"模型判断 verdict: {WORD[ticket.pred_verdict]}\n模型理由 reason: {ticket.pred_reason}\n\n"
        f"全部回答 all answers:\n{answers}",
        "facts": "\n".join(f"{number}. {text}" for number, text in enumerate(facts, start=1)),
    }
    if photo:
        data["photos"] = [address for name in ticket.images if (address := photo(name))]
    if opinions:
        data["opinions"] = f"意见 opinions:\n{opinions.get(ticket.ticket_key, '')}"
    return {"data": data}


def local_address(folder: str, below: str) -> str:
    """Where Label Studio serves a photo of a local storage.

    ``folder``: the storage's folder, just below the document root; ``below``: the photo's place in it, quoted.
    """
    return f"{LOCAL_FILES}{quote(folder)}/{below}"
