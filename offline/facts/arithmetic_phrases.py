"""Arithmetic in words: a whole request becomes an expression of `arithmetic`, or None. Pure.

Speech recognition writes some words as others that sound alike ("to plus for", 「十二成以三」). Numbers and operators
alternate, so the position tells them apart.
"""

from __future__ import annotations

import re
from fractions import Fraction

from .arithmetic import CALCULATE_PARAMETERS, ArithmeticRefused, InvalidExpression, answer_calculation, evaluate
from .fact import Arguments, Fact, Request
from .number_words import CHINESE_NUMBER, chinese_number, digits_for_ordinals, digits_for_words, plain_digits

_QUESTION_EN = re.compile(
    r"(?:(?:what is|what's|whats) the (?:result|value|answer) (?:of|to|for)|what is|what's|whats|what are|what does"
    r"|what do|what would|what will|how much is|how much are|how much does|how much would|how much do|how many is"
    r"|calculate|compute|work out|figure out|solve|evaluate|what|how much)\s+"
)
_EQUALS_EN = re.compile(
    r"\s*(?:equals?|equal to|is equal to|makes?|come to|comes to|be|give|is|=)?(?: what| how much)?$"
)
_IMPERATIVES_EN = (
    (r"add (.+?) (?:and|to|plus) (.+)", "({}) + ({})"),
    (r"subtract (.+?) from (.+)", "({1}) - ({0})"),
    (r"(?:take|take away) (.+?) (?:away )?from (.+)", "({1}) - ({0})"),
    (r"multiply (.+?) (?:by|and|with|times) (.+)", "({}) * ({})"),
    (r"divide (.+?) by (.+)", "({}) / ({})"),
    (r"(?:the )?(?:sum|total) of (.+?) and (.+)", "({}) + ({})"),
    (r"(?:the )?product of (.+?) and (.+)", "({}) * ({})"),
    (r"(?:the )?difference (?:of|between) (.+?) and (.+)", "({}) - ({})"),
    (r"(.+?) ?(?:percent|per cent|%) off (?:of )?(.+)", "(100% - {}%) of ({})"),
    (r"(.+?) (?:subtracted|taken away) from (.+)", "({1}) - ({0})"),
)
_NUMBER_ONLY = re.compile(r"-?\d+(?:\.\d+)?%?")
_OPERAND_EN = re.compile(
    r"\s*(?:(?P<open>\()|(?P<root>(?:the )?(?:square root|root) of\b)|(?P<sign>minus\b|negative\b|-)"
    r"|(?P<share>(?:a |one |1 )?(?P<part>half|third|quarter|fourth|fifth|tenth) of\b)"
    r"|(?P<twice>(?:twice|double|triple)\b)"
    r"|(?P<number>\d+(?:\.\d+)?|\.\d+)|(?P<like>to|too|for|ate|won)\b)"
)
_OPERATOR_EN = re.compile(
    r"\s*(?:(?P<close>\))|(?P<percent>percent\b|per cent\b|%)|(?P<square>squared\b)|(?P<cube>cubed\b)|(?P<of>of\b)"
    r"|(?P<power>(?:raised )?to the (?:power of\b|power\b)|\^|\*\*)|(?P<ordinal>(?:raised )?to the (\d+) power\b)"
    r"|(?P<plus>plus\b|added to\b|\+)|(?P<minus>minus\b|take away\b|less\b|[-−])"
    r"|(?P<times>times\b|multiplied by\b|multiplied with\b|[*×]|x(?=[\s\d(]))|(?P<divide>divided by\b|over\b|[/÷]))"
)
_PARTS = {"half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "tenth": 10}
_MULTIPLES = {"twice": 2, "double": 2, "triple": 3}
_SOUNDS_LIKE = {"to": "2", "too": "2", "for": "4", "ate": "8", "won": "1"}
_BARE_DATE_OR_SCORE = re.compile(r"[\d\s./x-]+")
"""Numbers with marks that are more often a date, a score or a size than a question."""
_NAMES_WITH_NUMBERS = {"24/7", "9/11", "7/11", "50/50", "4/20"}


def english_expression(text: str) -> str | None:
    """Return the expression in a normalised English request; None when it is anything else."""
    question = _QUESTION_EN.match(text)
    body = text[question.end() :] if question else text
    asks = question is not None or re.search(r"(?:=|equals?(?: what)?|is (?:what|how much))$", body) is not None
    body = _EQUALS_EN.sub("", body)
    body = digits_for_words(re.sub(r"\bto the (\w+) power\b", _ordinal_power, body))
    for pattern, form in _IMPERATIVES_EN:
        if match := re.fullmatch(pattern, body):
            parts = [_read_english(part) for part in match.groups()]
            if all(part is not None for part in parts):
                return _simplify(form.format(*parts))
            return None
    if body in _NAMES_WITH_NUMBERS or (not asks and _BARE_DATE_OR_SCORE.fullmatch(body)):
        return None
    expression = _read_english(body)
    if expression is None or (_NUMBER_ONLY.fullmatch(expression)) or (not asks and expression.startswith("-")):
        return None
    return expression


def _ordinal_power(match: re.Match[str]) -> str:
    digits = digits_for_ordinals(match[1])
    return f"to the {digits} power" if digits.isdigit() else match[0]


def _simplify(expression: str) -> str:
    """Return the expression without brackets around plain numbers."""
    return re.sub(r"\((\d+(?:\.\d+)?)\)", r"\1", expression)


def _read_english(text: str) -> str | None:
    """Return the expression when `text` is nothing but numbers and operators in turn."""
    out: list[str] = []
    at, is_operand, has_operator = 0, True, False
    text = text.strip()
    while at < len(text):
        match = (_OPERAND_EN if is_operand else _OPERATOR_EN).match(text, at)
        if match is None:
            return None
        at, kind = match.end(), match.lastgroup or ""
        if is_operand:
            if match["like"] and not (has_operator or _OPERATOR_EN.match(text, at)):
                return None
            written, is_operand = _operand_text(match)
            has_operator = has_operator or match["number"] is None
        else:
            written = _OPERATOR_TEXT.get(kind, "")
            if match["ordinal"]:
                written = f" ^ {re.sub(r'[^0-9]', '', match['ordinal'])}"
            is_operand = kind not in ("close", "percent", "square", "cube") and not match["ordinal"]
            has_operator = True
        out.append(written)
    return "".join(out).strip() if out and not is_operand else None


_OPERATOR_TEXT = {
    **{"close": ")", "percent": "%", "square": " ^ 2", "cube": " ^ 3", "of": " of ", "power": " ^ "},
    **{"plus": " + ", "minus": " - ", "times": " * ", "divide": " / "},
}


def _operand_text(match: re.Match[str]) -> tuple[str, bool]:
    """Return the text of a matched operand, and whether another operand has to follow."""
    if match["open"]:
        return "(", True
    if match["root"]:
        return "sqrt ", True
    if match["sign"]:
        return "-", True
    if match["share"]:
        return f"(1 / {_PARTS[match['part']]}) of ", True
    if match["twice"]:
        return f"{_MULTIPLES[match['twice']]} * ", True
    return match["number"] or _SOUNDS_LIKE[match["like"]], False


_ASKS_ZH = re.compile(r"(?:(?:等于|是|=|得|为|有)+(?:多少钱|多少|几块钱|几|什么|怎么算)?|多少钱?|等于)$")
_PREFIX_ZH = re.compile(r"(?:(?:计算|算算看|算算|算)(?:一下|看看|看)?|(?:你)?(?:会算|算得出)|什么是)")
_MONEY_ZH = re.compile(r"(?<=[\d十百千万亿零一二两三四五六七八九])(?:元|块钱|块|圆)")
_NUMBER_ZH = CHINESE_NUMBER
_OPERAND_ZH = re.compile(
    rf"(?P<open>\()|(?P<root>根号)|(?P<sign>负|-)|(?P<percent>百分之(?P<share>{_NUMBER_ZH}))"
    rf"|(?P<parts>(?P<below>{_NUMBER_ZH})分之(?P<above>{_NUMBER_ZH}))|(?P<number>{_NUMBER_ZH})"
)
_OPERATOR_ZH = re.compile(
    rf"(?P<close>\))|(?P<mark>%)|(?P<root>的平方根|的开方|开根号|开平方)|(?P<power>的(?P<exponent>{_NUMBER_ZH})次方)"
    r"|(?P<square>的?平方)|(?P<cube>的?立方)|(?P<half>的一半)|(?P<double>的(?P<multiple>两|三|四|五|十)倍)"
    rf"|(?P<of>的(?=百分之|{_NUMBER_ZH}分之|\d+(?:\.\d+)?%))"
    r"|(?P<discount>打(?P<rate>[一二三四五六七八九]{1,2}|\d{1,2})折)"
    r"|(?P<plus>加上?|\+)|(?P<minus>减[掉去]?|剪|-|−)|(?P<divide>除以|出以|/|÷)"
    r"|(?P<times>[乘成程承城]以|乘上|乘|[*×]|x)"
)
_DIGITS_ZH = {char: str(value) for value, char in enumerate("零一二三四五六七八九")}


def chinese_expression(text: str) -> str | None:
    """Return the expression in a normalised Chinese request; None when it is anything else."""
    prefix = _PREFIX_ZH.match(text)
    body = text[prefix.end() :] if prefix else text
    suffix = _ASKS_ZH.search(body)
    body = body[: suffix.start()] if suffix else body
    body = _MONEY_ZH.sub("", body)
    if not (prefix or suffix) and not re.search(r"[加减乘除+*×÷的折]|次方|[成程承城]以", body):
        return None
    return _read_chinese(body)


def _read_chinese(text: str) -> str | None:
    out: list[str] = []
    at, is_operand, has_operator, start = 0, True, False, 0
    while at < len(text):
        match = (_OPERAND_ZH if is_operand else _OPERATOR_ZH).match(text, at)
        if match is None:
            return None
        at = match.end()
        if is_operand:
            if match["open"] or match["root"] or match["sign"]:
                out.append("(" if match["open"] else "sqrt " if match["root"] else "-")
                has_operator = has_operator or match["sign"] is None
                continue
            written = _chinese_operand(match)
            if written is None:
                return None
            start = len(out)
            out.append(written)
            is_operand = False
            continue
        has_operator = True
        if match["root"]:
            out.insert(start, "sqrt ")
        elif match["of"]:
            # 「三百的百分之十五」: the share comes second, and is said first in an expression.
            share = _read_share(text, at)
            if share is None:
                return None
            out.insert(start, f"{share[0]} of ")
            at = share[1]
        else:
            written, is_operand = _chinese_operator(match)
            if written is None or (match["discount"] and len(out) > 1):
                return None  # the discount may be meant for the sum
            if match["half"] or match["double"] or match["discount"]:
                out.insert(start, written)
            else:
                out.append(written)
    return "".join(out).strip() if out and not is_operand and has_operator else None


def _chinese_operand(match: re.Match[str]) -> str | None:
    if match["percent"]:
        share = chinese_number(match["share"])
        return None if share is None else f"{plain_digits(share)}%"
    if match["parts"]:
        below, above = chinese_number(match["below"]), chinese_number(match["above"])
        return None if below is None or above is None else f"({plain_digits(above)} / {plain_digits(below)})"
    number = chinese_number(match["number"])
    return None if number is None else plain_digits(number)


def _read_share(text: str, at: int) -> tuple[str, int] | None:
    match = _OPERAND_ZH.match(text, at)
    written = _chinese_operand(match) if match and (match["percent"] or match["parts"] or match["number"]) else None
    if match is None or written is None:
        return None
    end = match.end()
    if text[end : end + 1] == "%":
        return f"{written}%", end + 1
    return written, end


def _chinese_operator(match: re.Match[str]) -> tuple[str | None, bool]:
    """Return the text of a matched operator (None when it cannot be read), and whether an operand has to follow."""
    if match["power"]:
        exponent = chinese_number(match["exponent"])
        return (None if exponent is None else f" ^ {plain_digits(exponent)}"), False
    if match["discount"]:
        digits = "".join(_DIGITS_ZH.get(char, char) for char in match["rate"])
        return f"{plain_digits(Fraction(int(digits), 10 ** len(digits)) * 100)}% of ", False
    if match["double"]:
        multiple = chinese_number(match["multiple"])
        return (None if multiple is None else f"{plain_digits(multiple)} * "), False
    fixed = {"close": ")", "mark": "%", "square": " ^ 2", "cube": " ^ 3", "half": "(1 / 2) of "}
    for name, written in fixed.items():
        if match[name]:
            return written, False
    operators = {"plus": " + ", "minus": " - ", "divide": " / ", "times": " * "}
    return next(written for name, written in operators.items() if match[name]), True


def catch_calculation(request: Request) -> Arguments | None:
    """Return the arguments of `calculate` for a request that is an arithmetic question."""
    read = english_expression if request.locale == "en" else chinese_expression
    expression = read(request.text)
    if expression is None:
        return None
    try:
        evaluate(expression)
    except ArithmeticRefused:
        pass  # the answer says why
    except InvalidExpression:
        return None
    return {"expression": expression}


CALCULATE = Fact(
    "calculate",
    "Calculate an arithmetic expression exactly.",
    CALCULATE_PARAMETERS,
    catch_calculation,
    answer_calculation,
)
