"""The line that may stand before an answer."""

import pytest

from verdicts.facts.prefix import Prefix, split_prefix

SUMMARY = Prefix("BBU", "SUMMARY")


@pytest.mark.parametrize(
    ("text", "prefix", "payload"),
    [
        ("<DOMAIN=BBU>, <TASK=SUMMARY>\n光纤×1", SUMMARY, "光纤×1"),
        ("<DOMAIN=BBU>, <TASK=SUMMARY> 光纤×1", SUMMARY, "光纤×1"),  # the lines joined, as Stage A does
        ("<DOMAIN=BBU>,<TASK=SUMMARY>\r\n光纤×1", SUMMARY, "光纤×1"),
        ("<DOMAIN=RRU>, <TASK=DETECTION>\n{}", Prefix("RRU", "DETECTION"), "{}"),
        ("<DOMAIN=BBU>, <TASK=SUMMARY>", SUMMARY, ""),
        ("光纤×1", None, "光纤×1"),
        ("<DOMAIN=BBU> 光纤×1", None, "<DOMAIN=BBU> 光纤×1"),
        ("", None, ""),
    ],
)
def test_a_prefix_line_is_told_from_what_follows_it(text, prefix, payload):
    assert split_prefix(text) == (prefix, payload)
