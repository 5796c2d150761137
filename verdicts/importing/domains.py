"""The domain of a row, bbu (a cabinet) or rru (install points): which first line its answers begin with."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from verdicts.facts.prefix import Prefix
from verdicts.facts.summary import read_summary

DOMAINS = ("bbu", "rru")
_WORD = re.compile(r"(?<![a-z])(bbu|rru)(?![a-z])", re.IGNORECASE)
_FIELDS = ("domain", "_fusion_domain", "_fusion_source", "_fusion_template", "dataset")
_CATEGORY = re.compile(r"(?:组[^:：,/]*[:：]\s*)?(?:类别=)?([^,/=]+)")
# What photos of one domain alone show, in both generations of words.
_OWN = {
    "bbu": {
        "BBU设备", "挡风板", "螺丝、光纤插头", "BBU安装螺丝", "机柜处接地螺丝", "地排处接地螺丝", "BBU端光纤插头",
        "ODF端光纤插头", "光纤", "电线",
    },
    "rru": {"站点距离", "RRU设备", "紧固件", "RRU接地端", "地排接地端螺丝", "尾纤", "接地线"},
}  # fmt: skip


def named_domain(metadata: Mapping[str, Any], prefix: Prefix | None) -> str:
    """The domain that a row's metadata name, or else the prefix line of its summary; "" where neither does."""
    for name in _FIELDS:
        said = metadata.get(name)
        if isinstance(said, str) and (found := _WORD.search(said.replace("_", " "))):
            return found.group().lower()
    return prefix.domain.lower() if prefix and prefix.domain.lower() in DOMAINS else ""


def shown_domain(descs: Iterable[str], summary: str) -> str:
    """The domain whose things a row shows; "" where it shows none of either, or of both."""
    shown = {found[1].strip() for desc in descs if (found := _CATEGORY.match(desc))}
    shown |= {fact.category for fact in read_summary(summary).facts} if summary else set()
    fit = [domain for domain in DOMAINS if shown & _OWN[domain]]
    return fit[0] if len(fit) == 1 else ""
