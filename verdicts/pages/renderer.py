"""Self-contained pages: a template, its texts in two languages, its style and its script become one HTML file.

    verdicts/pages/<name>.html  Jinja, everything escaped unless it is Markup
    verdicts/pages/<name>.yaml  interface texts, ``key: [English, 中文]``; review has its own in its script
    verdicts/pages/<name>.css   inlined, as is <name>.js, or the parts in the folder <name>/, joined in order of name

The page's Content-Security-Policy allows this style and this script by their hashes and nothing else: no request leaves
it, and text from data could not run even if it were not escaped.
"""

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from verdicts.config.load import read_yaml

PAGES = Path(__file__).parent


class Texts:
    """Interface texts, each given out in both languages; the page's style shows one of them."""

    def __init__(self, texts: Mapping[str, list[str]]):
        self.texts = texts

    def __call__(self, key: str, **values: object) -> Markup:
        """Both languages of a text with its ``{places}`` filled in, escaped. KeyError for a text that is not there."""
        return self.both(*(escape(text).format(**values) for text in self.texts[key]))

    def counted(self, group: str, counts: Mapping[str, int]) -> Markup:
        """Words from data with how often they came: each as its text ``group.word`` has it, else as it is."""
        return Markup(", ").join(
            Markup("{} {}").format(self.gloss(group, word) or word, number) for word, number in counts.items()
        )

    @staticmethod
    def both(english: str, chinese: str) -> Markup:
        """A text in both languages; what has no Chinese stands in both as it is."""
        return Markup('<span class="en" lang="en">{}</span><span class="zh" lang="zh-CN">{}</span>').format(
            english, chinese or english
        )

    def gloss(self, group: str, word: str) -> Markup:
        """What a word from data means, where there is a text ``group.word`` for it; else nothing."""
        key = f"{group}.{word}"
        return self(key) if key in self.texts else Markup("")


def render_page(
    name: str, texts: dict[str, list[str]] | None = None, *, images: bool = False, like: str = "", **values: object
) -> str:
    """The page ``name`` filled in. ``images``: it shows images that lie beside it.

    ``like``: the page whose style and script it has.

    The template sees ``t``, ``css``, ``js``, ``policy`` and ``values``. ``t`` holds the texts of the page's own file,
    where it has one, and on top of them ``texts``.
    """
    css, js = (PAGES / f"{like or name}.css").read_text(encoding="utf-8"), _script(like or name)
    sources = [
        "default-src 'none'",
        f"style-src '{csp_source(css)}'",
        f"script-src '{csp_source(js)}'",
        *(["img-src 'self' file:"] if images else []),  # for Chromium a file beside the page is not 'self'
        "base-uri 'none'",
        "form-action 'none'",
    ]
    own = PAGES / f"{name}.yaml"
    both = Texts((read_yaml(own) if own.exists() else {}) | (texts or {}))
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PAGES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return env.get_template(f"{name}.html").render(
        t=both, css=Markup(css), js=Markup(js), policy="; ".join(sources), **values
    )


def _script(name: str) -> str:
    """The page's script; one in parts is one scope, in strict mode."""
    parts = sorted((PAGES / name).glob("*.js"))
    if not parts:
        return (PAGES / f"{name}.js").read_text(encoding="utf-8")
    return '"use strict";\n(() => {\n' + "\n".join(part.read_text(encoding="utf-8") for part in parts) + "})();\n"


def csp_source(text: str) -> str:
    """A source of Content-Security-Policy Level 3, §2.3.1."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
