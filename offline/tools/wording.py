"""Wording of a message: its clauses without polite frames, and whether each is a request. Pure."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from enum import Enum

from offline.chinese_text import contains_han, to_simplified
from offline.facts.number_words import digits_for_chinese, digits_for_words

from .request_shape import is_remark, is_rhetorical, split_onset

MAX_ROUTED_CHARS = 300
"""Characters of a message that may ask for a function. Longer ones tell a story."""


class ClauseForm(Enum):
    """What a clause does."""

    REQUEST = "request"
    WISH = "wish"
    """A wish for a thing, such as "I need a lamp". It may mean a function, or the thing itself."""
    QUESTION = "question"
    FRAGMENT = "fragment"
    """A few words without a verb of their own, such as "weather tomorrow"."""
    STATEMENT = "statement"
    KNOWLEDGE = "knowledge"
    """A question about the world, or a wish for a story."""
    PERSONAL = "personal"
    """A question about the listener's own life and opinions."""
    NEGATED = "negated"


ASKING_FORMS = (ClauseForm.REQUEST, ClauseForm.QUESTION, ClauseForm.WISH)


@dataclass(frozen=True, slots=True)
class Clause:
    """Clause of a message, in lower case and Simplified characters, with its numbers as digits."""

    text: str
    form: ClauseForm


_FRAME_EN = re.compile(
    r"(?:hey|hi|hello|ok|okay|so|well|um+|uh+|and|then|but|also|now|alright|right|please|pls|just|quickly|quick|"
    r"actually|"
    r"oh|yeah|yes|sorry|excuse me|thanks|by the way|one more thing|first|next|kindly|maybe|perhaps|"
    r"computer|assistant|buddy|mate|"
    r"(?:can|could|would|will) (?:you|we) (?:please |maybe |just |quickly |kindly |possibly |mind )*"
    r"(?!imagine|believe|feel|sing|dance|dream|be |like)|"
    r"(?:i want|i need|i'd like|i would like|i'd love)(?: for)? (?:you )?to|i (?:want|need)(?= (?:a|an|the) )|"
    r"i(?:'m| am| was)(?: just)? (?:wondering|curious)(?: if| whether)?|"
    r"i wanna|i'd like|help me(?: to| out and)?|let's|go ahead and|make sure to|"
    r"be so kind and|do me a favou?r and|do you (?:know|happen to know)|any idea|any chance you (?:can|could)|"
    r"are you able to|is it possible to|i wonder|tell me(?! (?:a|an|about|something|your|more)\b)|"
    r"let me know(?! (?:in|when|after)\b)|"
    r"i want to know|i need to know|i'd like to know|may i ask|can i ask|can i (?:have|get)|could i (?:have|"
    r"get))\b[\s,:]*"
)
_STRONG_FRAME_EN = re.compile(
    r"please|pls|kindly|(?:can|could|would|will) (?:you|we|i)|i (?:want|need|wonder|wanna|gotta|have to)|i'd|"
    r"i'm|i am|i was|i would|"
    r"i've got|help me|let's|go ahead|tell me|let me know|do you|do me|any (?:idea|chance)|are you able|"
    r"is it possible"
)
_WISH_EN = re.compile(
    r"i (?:really |also |just )?need (?!to\b|you\b|help\b)|"
    r"(?:i (?:really |also |just )?want|i'd (?:like|love)|i would (?:like|love)) (?=(?:a|an|the|another|\d+) )"
)
_NEGATED_EN = re.compile(
    r"(?:don't|do not|never|please don't|no need to|stop|there's no need|you don't (?:have|"
    r"need))\b(?! (?:let me )?forget)"
)
_PERSONAL_EN = re.compile(
    r"\b(?:do|did|have|had|are|were|would|don't|aren't|can|could|will) you(?: ever| really| often| also| still|"
    r" even)?\s+"
    r"(?:like|love|enjoy|prefer|think|feel|believe|miss|hate|dream|sleep|eat|get(?! when| if)|dance|sing|"
    r"remember being|been|want|have|ok|"
    r"okay|alive|real|human|happy|sad|tired|bored|lonely|afraid|imagine|be|a |an |there|good|married|old|learn|"
    r"seen|tried)\b"
    r"|\bwhat(?:'s| is| are)? you(?:r|'re)?\b|\bwho are you\b|\bhow are you\b|\bwhat do you (?!get\b|have when)"
    r"|\bhow do you\b"
    r"|\byour? (?:favou?rite|opinion|thoughts?|name|feelings?|hobb|dream|life|day)\b|\byou (?:like|love|think|"
    r"feel|prefer)\b"
    r"|\bhow (?:was|is|has) your\b|\bhow's (?:it going|life|your)\b|\bwhat's up\b|\bguess what\b|\bshould people\b"
    r"|\bwould you rather\b|\bcan you (?:imagine|believe)\b"
)
_KNOWLEDGE_EN = re.compile(
    r"^why\b|^who (?:invented|wrote|discovered|was|painted|made)\b|^how (?:do|does|did)\b.*\b(?:works?|made|"
    r"invented|get its|form)\b"
    r"|\bhistory of\b|\bwhat does .* mean\b|\bmeaning of\b|\b(?:joke|story|poem|riddle|fun fact|bedtime|"
    r"limerick|song about)\b"
    r"|^explain\b|^(?:tell me|talk to me|chat) (?:about|something|more)\b|^(?:tell me|give me) (?:a|an|"
    r"some) \w*\s?(?:advice|tip for|fact)"
    r"|^what (?:is|are|was) (?:a|an) \w+\??$|^what makes\b|^how (?:come|can (?:i|we|one))\b|"
    r"^what should i (?:do|say|cook|eat|read)\b"
    r"|^what (?:happens|would happen|if)\b|^is it (?:true|normal|ok|okay|weird|bad|better|good|possible that)\b"
)
_STATEMENT_EN = re.compile(
    r"^(?:i|i'm|i've|i'll|i'd|i am|we|we're|we've|he|he's|she|she's|they|they're|it|it's|that|that's|this|there|"
    r"there's|these|"
    r"those|my|our|his|her|their|you|you're|you've|what (?:a|an|nice|lovely|great)|how (?:nice|lovely|funny|sad|"
    r"sweet|cool|"
    r"interesting|strange|odd|wonderful|kind|exciting)|wow|no|nope|thank|thanks|good|great|nice|cool|awesome|"
    r"haha|lol|"
    r"sometimes|yesterday|last|once|when i|when we|because|since|although|life|people|everyone|every|some|most|"
    r"today was|"
    r"today is|nothing|everything|such|as|at|after|before|while|if i|if only|the \w+(?: \w+){0,3} (?:is|are|was|"
    r"were|has|had|went|"
    r"came|made|looks?|looked|feels?|felt|seems?|keeps?|kept|always|never|really))\b"
)
_QUESTION_EN = re.compile(
    r"^(?:what|what's|whats|when|when's|where|where's|which|who|who's|how|how's|is|are|was|will|won't|does|do|"
    r"did|should|"
    r"am|can|could|has|have|any|anything|anyone)\b"
)
_REQUEST_EN = re.compile(
    r"^(?:set|start|turn|switch|send|text|message|write|calculate|compute|convert|add|subtract|multiply|divide|"
    r"work|figure|"
    r"show|give|find|look|check|search|open|close|play|stop|pause|remind|wake|put|dim|brighten|make|call|email|"
    r"mail|tell|"
    r"let|count|run|begin|create|get|fetch|read|pull|dig|browse|scan|go|see|shoot|drop|ping|notify|inform|dm|reply|"
    r"schedule|book|order|buy|translate|change|time|alert|cancel|delete|take|remove|kill|shut|lower|raise|increase|"
    r"decrease|"
    r"lock|unlock|record|save|list|query|ask|report|sum|split|express|measure|buzz|whatsapp|"
    r"don't (?:let me )?forget|flip|say)\b"
)
_NO_FRAGMENT_EN = re.compile(
    r"\b(?:is|are|was|were|am|be|been|has|had|have|i|you|he|she|they|we|me|my|your|so|very|really|love|like|"
    r"hate|too|flies|"
    r"nice|good|great|sucks?|thanks?|beautiful|lovely|bad|just|not|no|never|always|it|that|again|finally|already|lately|"
    r"yesterday|ago|everywhere|still|terrible|awful|horrible|gorgeous|perfect|crazy|amazing|wonderful|fantastic|weird|"
    r"strange|funny|ugh|poor|lucky|happy|merry|all (?:day|night|week)|last (?:night|week|month|year|summer|winter)|"
    r"these days)\b|'(?:s|re|m|ve)\b"
)

_FRAME_ZH = re.compile(
    r"(?:请问一下|请问|麻烦你?|拜托你?|不好意思|你好|嗨|哈啰|嘿|喂|欸|诶|嗯+|呃+|那么|那|对了|好|然后|接着|顺便|现在(?=帮|请|把)|"
    r"(?:你)?(?:可以|能不能|可不可以|能|可否|会)(?:请你|麻烦你|请)?(?=帮|给|告|把|跟|用|查|传|设|开|关|算|找|提|换|看|搜|翻|发|寄|替)|"
    r"请你?|(?:我)?(?:想|要|想要)(?:请你|麻烦你)|你?(?:快|赶快|现在|先|再)?(?:帮|替)(?:忙|我个忙|个忙)?我?(?:一下)?(?=.)|"
    r"给我(?=查|算|看|找|设|开|关)|我(?:想|要|想要)(?:知道|问(?:一下)?|查(?:一下)?)|我需要|"
    r"我(?:想|要|想要)(?=设|把|开|关|传|发|寄|换|算|找|搜|定|计|倒)|"
    r"告诉我|跟我说(?!再见)|你(?:知不知道|知道)|能告诉我|你可以告诉我|看一下|看看(?=.*[?吗几])|"
    r"查一下|查查|麻烦)[\s,:]*"
)
_STRONG_FRAME_ZH = re.compile(r"请|麻烦|拜托|可以|能|帮|替|我|告诉|跟我说|知|查|看|可否|给我")
_NEGATED_ZH = re.compile(r"^(?:不要|别|先别|不用|不必|先不要|不需要)(?!忘)")
_PERSONAL_ZH = re.compile(
    r"你(?:自己|平常|平时|也|都|最|真的?|会|曾经|有没有|通常|今天|现在)*(?:喜不喜欢|喜欢|觉得|认为|爱|最|叫什么|几岁|是谁|好吗|怕|讨厌|想念|"
    r"开心|快乐|累|无聊|寂寞|相信|吃饱|吃饭|睡|做梦|有(?:朋友|家人|感觉|兄弟|宠物|没有)|是人|是真|是机器|去过|看过|听过|梦|忙|还好|过得)"
    r"|你的(?:名字|兴趣|梦想|最爱|生活|心情|感觉|想法|看法|嗜好|一天)|你会(?:不会)?(?:唱|跳|累|怕|想|觉得|孤单|冷|热|无聊)|你好吗|怎么称呼"
    r"|是不是(?:不?(?:喜欢|爱)|讨厌|生气)|你(?:有没有|曾经|也)[^,]{0,8}过|你(?:敢|能|可以)?(?:相信|想像|想象)(?:吗|一下)?|你(?:在干嘛|在做什么|住)"
)
_KNOWLEDGE_ZH = re.compile(
    r"为什么|为何|谁(?:发明|写|画|发现)|是什么意思|的意思|怎么来的|历史|(?:讲|说|来)(?:一)?个?.{0,4}(?:笑话|故事|谜语)|写(?:一)?首|推荐|"
    r"聊聊|怎么(?:办|做菜|煮|学)|该怎么|有什么(?:建议|好处)|是真的吗|解释|什么是|(?:正常|奇怪|很怪)吗\??$"
)
_STATEMENT_ZH = re.compile(
    r"^(?:我(?!要|需要|想(?:知道|要|问|查)|的(?:笔记|文件|资料|记录)|们?(?:之前|上次).{0,6}(?:写|记))|他|她|它|你(?!帮|可以|能)|这|那(?!边)|"
    r"谢|感谢|哇|哈哈|好(?!的)|真|太|昨|刚|最近|以前|小时候|有时候|每(?:天|次|个)|时间过|人生|生活|大家|原来|其实|因为|虽然|如果|难怪|果然|听说|"
    r"没(?:关系|事)|对(?:啊|呀)|是(?:啊|呀)|嗯|早安|晚安|午安|再见|掰|当|今天(?:真|好|的?心情|我|很|过|终于|工作|上班)|天气(?:真|好|很|这么|那么|太|变)|"
    r"希望|祝|感觉|觉得|终于|难得|总觉得|一直)"
    r"|(?:真|好|太|超|很)(?:的)?(?:开心|累|美|漂亮|浪漫|棒|好|舒服|感动|无聊|难过|有趣|可爱|温暖|快)[啊呀喔哦了的呢!]*$"
)
_QUESTION_ZH = re.compile(
    r"[吗呢?]$|什么|几|多少|哪|怎么|怎样|如何|会不会|要不要|有没有|是不是|能不能|需不需要|冷不冷|热不热|好不好(?!$)|谁|多久|多远|吗|何时|如何"
)
_REQUEST_ZH = re.compile(
    r"^(?:把|将|设|定|开|关|打开|关掉|关上|调|查|找|搜|传|发|寄|送|写|提醒|换|算|计算|计时|倒数|叫|告诉|通知|跟|转告|翻|列|给|播|放|"
    r"用|回|启动|弄(?:亮|暗)|来(?:个|1个).*(?:闹钟|计时|提醒|倒数)|开始|看|念|读|问|说|帮|让|别忘|不要忘|记得|到时|从|在.{1,8}(?:里|中)(?:找|查|搜))|帮我|麻烦|一下|好吗$|可以吗$|给我"
    r"|^.{1,20}(?:后|时候|到了?).{0,3}(?:提醒|叫|通知|告诉|跟我说)"
)


def read_clauses(message: str) -> tuple[Clause, ...]:
    """Return the whole message as one clause, then its sentences and parts; none for an empty or very long one."""
    if not 0 < len(message.strip()) <= MAX_ROUTED_CHARS:
        return ()
    text = unicodedata.normalize("NFKC", message).replace("’", "'").replace("‘", "'").lower()
    is_chinese = contains_han(text)
    if is_chinese:
        text = digits_for_chinese(re.sub(r"(?<![a-z0-9]) +| +(?![a-z0-9])", "", to_simplified(text)))
    else:
        text = digits_for_words(" ".join(text.split()))
    parts = [text]
    for pattern in (r"(?<=[.!?;。;])\s*(?!\d)", r"(?<=[,.!?;。、])\s*(?!\d)|\s+-\s+|\s+(?=and (?:then|please|also)\b)"):
        parts += re.split(pattern, text)
    read = _chinese_clause if is_chinese else _english_clause
    parts += [split_onset(part, is_chinese=is_chinese) for part in parts]
    kept = dict.fromkeys(stripped for part in parts if (stripped := part.strip(" ,.;。、~…\"'「」")).strip("!"))
    whole, *rest = [read(part) for part in kept] or [Clause("", ClauseForm.STATEMENT)]
    asks = any(clause.form in ASKING_FORMS for clause in rest)
    if whole.form is ClauseForm.STATEMENT and asks:
        whole = replace(whole, form=ClauseForm.QUESTION)  # first the facts, then the question about them
    return (whole, *rest)


def _english_clause(text: str) -> Clause:
    if _NEGATED_EN.match(text):
        return Clause(text, ClauseForm.NEGATED)
    is_framed = re.search(r"\w,? please[?!]*$", text) is not None
    rest = text
    is_wish = _WISH_EN.match(rest) is not None
    while (match := _FRAME_EN.match(rest)) and match.end() < len(rest):
        is_framed = is_framed or _STRONG_FRAME_EN.match(match[0]) is not None
        rest = rest[match.end() :]
        is_wish = is_wish or _WISH_EN.match(rest) is not None
    if _NEGATED_EN.match(rest):
        return Clause(rest, ClauseForm.NEGATED)
    if is_remark(text, is_chinese=False) or is_remark(rest, is_chinese=False):
        return Clause(rest.rstrip("!"), ClauseForm.STATEMENT)
    rest = rest.rstrip("!")
    is_personal = _PERSONAL_EN.search(text) is not None or is_rhetorical(text) or is_rhetorical(rest)
    if is_personal and not (is_framed and _REQUEST_EN.match(rest)):
        return Clause(rest, ClauseForm.PERSONAL)
    if _KNOWLEDGE_EN.search(rest) or _KNOWLEDGE_EN.search(text):
        return Clause(rest, ClauseForm.KNOWLEDGE)
    if is_wish:
        return Clause(rest, ClauseForm.WISH)
    if _STATEMENT_EN.match(rest) and not text.endswith("?"):
        return Clause(rest, ClauseForm.STATEMENT)
    if _QUESTION_EN.match(rest) or text.endswith("?"):
        return Clause(rest.rstrip("?"), ClauseForm.REQUEST if is_framed else ClauseForm.QUESTION)
    if is_framed or _REQUEST_EN.match(rest):
        return Clause(rest, ClauseForm.REQUEST)
    is_short = len(rest.split()) <= 6 and not _NO_FRAGMENT_EN.search(rest)
    return Clause(rest, ClauseForm.FRAGMENT if is_short else ClauseForm.STATEMENT)


def _chinese_clause(text: str) -> Clause:
    is_framed = False
    rest = text
    while (match := _FRAME_ZH.match(rest)) and match.end() < len(rest):
        is_framed = is_framed or _STRONG_FRAME_ZH.match(match[0]) is not None
        rest = rest[match.end() :]
    if _NEGATED_ZH.match(rest):
        return Clause(rest, ClauseForm.NEGATED)
    if not is_framed and is_remark(rest.rstrip("!"), is_chinese=True):
        return Clause(rest.rstrip("!"), ClauseForm.STATEMENT)
    rest = rest.rstrip("!")
    if _PERSONAL_ZH.search(text) and not _REQUEST_ZH.match(rest):
        return Clause(rest, ClauseForm.PERSONAL)
    if _KNOWLEDGE_ZH.search(rest):
        return Clause(rest, ClauseForm.KNOWLEDGE)
    bare = rest.rstrip("?")
    if is_framed or _REQUEST_ZH.match(bare):
        return Clause(bare, ClauseForm.REQUEST)
    if _STATEMENT_ZH.search(bare) and not re.search(r"[吗呢?]$|几|多少|会不会|要不要|(.)不\1", rest):
        return Clause(bare, ClauseForm.STATEMENT)
    if _QUESTION_ZH.search(rest):
        return Clause(bare, ClauseForm.QUESTION)
    is_short = len(bare) <= 8 and not re.search(r"[我你他她了]|[啊呀喔哦]$", bare)
    return Clause(bare, ClauseForm.FRAGMENT if is_short else ClauseForm.STATEMENT)
