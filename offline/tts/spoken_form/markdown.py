"""Markdown marks of prose, which are not said. Code blocks and tables belong to `speech_blocks`."""

from __future__ import annotations

import re

from offline.chinese_text import HAN_RANGE

_LIST_NUMBER = re.compile(
    r"(\A\s*(?=1\D)|\n\s*)(?:\*\*)?\d{1,2}"
    rf"(?:[.)](?:\*\*)?[ \t]+(?=\S)|[.)、．][ \t]*(?=[{HAN_RANGE}]))"
)
_LINK = re.compile(r"!?\[([^\[\]]*)\](?:\([^()\s]*(?:\([^()]*\)[^()\s]*)*(?:\s+\"[^\"]*\")?\)|\[[^\[\]]*\])")
_LINK_END = re.compile(r"\]\((?:https?:|/|#|mailto:)[^()\s]*\)")
"""Rest of a link that began in an earlier clause."""
_AUTOLINK = re.compile(r"<((?:https?://|mailto:)[^<>\s]+)>")
_LINE_MARK = re.compile(r"(?m)^[ \t]*(?:(?:#{1,6}|>|[-*+•])[ \t]+(?:\[[ xX]\][ \t]+)?)+")
_RULER = re.compile(r"(?m)^[ \t]*(?:[-*_=][ \t]*){3,}$")
_FOOTNOTE = re.compile(r"\[\^[^\[\]]{1,20}\]:?")
_TAG = re.compile(r"</?[A-Za-z][A-Za-z0-9]*(?:\s[^<>]*)?/?>")
_MARKS = re.compile(r"\*\*|__|`+|~~")
_EMPHASIS = re.compile(r"(?<!\w)[*_](?=\S)|(?<=[^\s*_])[*_](?!\w)")

_LATEX_DELIMITER = re.compile(r"\\[()\[\]]|\$\$")
_LATEX_INLINE = re.compile(r"(?<![A-Za-z0-9\\])\$(?=\S)([^$\n]*[\\^_=][^$\n]*|[A-Za-z]\w{0,3})(?<=\S)\$(?!\d)")
"""Formula between dollar signs, which are not amounts of money."""
_LATEX_TEXT = re.compile(r"\\(?:text|mathrm|mathbf|operatorname|textbf|mathit)\s?\{([^{}]*)\}")
_LATEX_FRACTION = re.compile(r"\\[dt]?frac\s?\{([^{}]*)\}\s?\{([^{}]*)\}")
_LATEX_ROOT = re.compile(r"\\sqrt\s?\{([^{}]*)\}")
_LATEX_COMMAND = re.compile(r"\\([A-Za-z]+)\s?")
_LATEX_SIGNS = {
    "times": " × ", "cdot": " × ", "div": " ÷ ", "pm": "±", "le": " ≤ ", "leq": " ≤ ", "ge": " ≥ ", "geq": " ≥ ",
    "ne": " ≠ ",
    "neq": " ≠ ", "approx": " ≈ ", "to": " → ", "rightarrow": " → ", "alpha": "α", "beta": "β", "gamma": "γ",
    "delta": "δ",
    "theta": "θ", "lambda": "λ", "mu": "μ", "pi": "π", "sigma": "σ", "phi": "φ", "omega": "ω", "circ": "°",
    "degree": "°",
}  # fmt: skip
_LATEX_LAYOUT = frozenset(
    {"left", "right", "big", "bigg", "quad", "qquad", "mathbb", "mathcal", "displaystyle"}
    | {"begin", "end", "limits", "hat", "bar", "vec", "boxed"}
)
"""Commands that change only the look of a formula."""
_LATEX_HINT = re.compile(r"\\[A-Za-z()\[\]]|\$")


def strip_markdown(text: str) -> str:
    """Return `text` without Markdown marks and without the numbers of list items. Of links the words stay.

    At the start of a reply only "1." is a list number: another number may be the answer.
    """
    text = _LIST_NUMBER.sub(lambda m: m[1], text)
    text = _RULER.sub("", text)
    text = _LINE_MARK.sub("", text)
    text = _FOOTNOTE.sub("", text)
    text = _AUTOLINK.sub(r"\1", text)
    text = _LINK_END.sub("", _LINK.sub(r"\1", text))
    text = _TAG.sub(" ", text)
    if _LATEX_HINT.search(text):
        text = strip_latex(text)
    return _EMPHASIS.sub("", _MARKS.sub("", text))


def strip_latex(text: str) -> str:
    """Return `text` with the signs of formulas in place of LaTeX commands; the name of an unknown one stays."""
    text = _LATEX_INLINE.sub(r"\1", _LATEX_DELIMITER.sub("", text))
    text = _LATEX_TEXT.sub(r"\1", text)
    text = _LATEX_FRACTION.sub(r"\1/\2", text)
    text = _LATEX_ROOT.sub(r"√\1", text)
    return _LATEX_COMMAND.sub(lambda m: _LATEX_SIGNS.get(m[1], " " if m[1] in _LATEX_LAYOUT else f" {m[1]} "), text)
