"""What holds of a ticket, as features: what its summaries say of which object, remarks, how many photos it has, and
what a verdict's reason says of it.
"""

import re
from collections.abc import Iterator, Mapping

from verdicts.facts.summary import read_summary

_PIECES = 4  # of a remark that are one feature: remarks say one thing in many words
_CLAUSE_END = re.compile(r"[,，;；。、]")
_PIECE = re.compile(r"[一-鿿]|[A-Za-z0-9]+")
_REASON_END = re.compile(r"[;；。]")
_RULE = re.compile(r"\s*[(（]\s*G\d+\s*[)）]")


def features(per_image: Mapping[str, str], photos: int) -> set[str]:
    """``BBU设备``, ``BBU设备/只显示部分``, ``remark 套蛇形管``; ``fewer than n photos`` or ``at least n photos``.

    ``photos``: the greatest such n. Of a remark every four characters or words in a row are one (shingles: A. Broder,
    1997).
    """
    found = {of_photos(n, len(per_image) < n) for n in range(2, photos + 1)}
    for summary in per_image.values():
        read = read_summary(summary)
        found.update(f"remark {shingle}" for remark in read.remarks for shingle in _shingles(remark))
        for fact in read.facts:
            for name in filter(None, fact.objects):
                found.add(name)
                found.update(f"{name}/{value}" for _, value in fact.attributes)
    return found


def of_photos(n: int, fewer: bool) -> str:
    """The feature of tickets with fewer than ``n`` photos, or with as many at least."""
    return f"fewer than {n} photos" if fewer else f"at least {n} photos"


def reason_features(reason: str) -> set[str]:
    """``reason 缺少标签`` for each clause, without rule numbers; ``only reason 缺少标签`` where it is all."""
    clauses = {clause for part in _REASON_END.split(_RULE.sub("", reason)) if (clause := part.strip())}
    found = {f"reason {clause}" for clause in clauses}
    return found | {f"only {one}" for one in found} if len(found) == 1 else found


def _shingles(remark: str) -> Iterator[str]:
    for clause in _CLAUSE_END.split(remark):
        pieces = _PIECE.findall(clause)
        for start in range(max(1, len(pieces) - _PIECES + 1)):
            if shingle := "".join(pieces[start : start + _PIECES]):
                yield shingle
