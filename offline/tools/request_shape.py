"""Request shape: remarks that only look like requests, and requests that begin without punctuation. Pure.

Speech recognition often leaves punctuation out. A request may then follow a remark in one clause. Clauses are in lower
case and Simplified characters, with their numbers as digits.
"""

from __future__ import annotations

import re


def _words(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns))


_REMARK_EN = _words(
    r"^(?:times?|works?|changes?|shows?|lists?|records?|books?|orders?|texts?|messages?|reports?|plays?|calls?|mails?|"
    r"e-?mails?|saves?|stops?|sets?|runs?|sums?|notes?|tells?|asks?|looks?|lights?)"
    r" (?:really|always|never|just (?!the|a|me|my)|sure|is|are|was|were|has|had|have|flies|makes?|made|goes|went|can|"
    r"will|would|feels?|felt|seems?|keeps?|kept|passes|heals|like|stress\w*|annoy\w*|matters?)\b",
    r"^(?:what (?:a|an)|how (?:nice|lovely|funny|sad|sweet|cool|interesting|strange|odd|wonderful|kind|exciting|time|"
    r"quickly|fast))\b(?! (?:is|are|does|do|did|will|would|can)\b)",
    r"^(?:what|how)(?!'s| (?:is|are|will|does|do|time|much|many)\b)\b[^?]*!$",
    r"^(?:no wonder|if only|tell me about it|say what you|give me a break|give it|look (?:at|how|what)|look,|"
    r"call me (?:crazy|old|silly|weird)|go figure|see you|let me tell you|take (?:care|it easy|your time)|"
    r"say (?:hi|hello)|have a (?:nice|good|great|lovely)|time (?:to|for)|leave it|let it|work (?:is|was|has|keeps)|"
    r"set in my|stop (?:it|that)|open (?:minds?|hearts?)|let's (?:hope|face|not|talk|chat|say|go|be|just))\b",
    r"^(?:i have to|i've got to|i gotta)\b",
    r"^(?:isn't|aren't|wasn't|doesn't|don't (?:you|we|they)|can't|couldn't|didn't|wouldn't)\b"
    r"(?! (?:let|forget|tell)\b)(?! it (?:already |still |even )?(?:past|after|before|nearly|almost|\d|noon|midnight))",
)
"""Remarks that begin as requests and questions do."""
_OWN_WISH_EN = re.compile(
    r"(?:i (?:really |also |just )?(?:want|need) to|i'd (?:like|love) to|i would (?:like|love) to|i wanna) "
    r"(?!(?:know|find|hear|check|set|start|send|text|message|calculate|work out|convert|turn|switch|"
    r"search|look up|see (?:if|what|whether|how|my)|"
    r"ask|be (?:reminded|woken|called)|have (?:a|an|the)|get|put|dim|tell|let|write|e-?mail|add|figure|read|"
    r"count|make sure|schedule|wake|leave|change|multiply|divide|split|adjust|pull up|open|run)\b)\w+"
)
"""Intentions for the speaker's own life, such as "I want to sleep"."""
_TAG_EN = re.compile(
    r"[\s,]+(?:isn't (?:it|that|he|she)|aren't (?:they|we|you)|wasn't it|weren't they|doesn't (?:it|he|she)|"
    r"don't (?:you|they|we)(?: think| agree| find)?|do you think|you know|right|huh|eh|innit|wouldn't you say|"
    r"i guess|i suppose|can you (?:believe|imagine)(?: it| that)?|you know what i mean|if you ask me|haha|lol)"
    r"[?!]*$"
)
_ASKING_WORD_EN = re.compile(
    r"^(?:what|when|where|which|who|how|is|are|was|will|does|do|did|should|can|could|set|turn|send|tell|remind)\b"
)
_RHETORICAL_EN = _words(
    r"^who (?:needs|wants|doesn't|has|likes|can|could|would|knew|knows|cares)\b",
    r"^where (?:does|did|do|has|have) (?:the |my |all |this |our |all the )*(?:time|day|days|week|weekend|year|years|"
    r"hours?|month|months|summer|winter)\b",
    r"^how (?:can|could|do|does|did) (?:anyone|anybody|people|somebody|someone|you|they|some|everyone|he|she)\b"
    r"(?! (?:spell|say|write|know the))",
    r"^(?:have|haven't|did|didn't) you (?:ever|heard|hear|seen|see|noticed|notice|know|sleep|watch|catch)\b",
    r"^do(?:n't)? you (?:remember|mind|ever|also|think|feel|find|agree|believe|believ\w+|notice|get)\b",
    r"^(?:is it just me|am i the only|is there anything (?:better|worse|nicer)|does any(?:one|body) else|"
    r"when did (?:people|we|everyone|everything)|since when|what's with|what's wrong with|what's the point|"
    r"what is the point|is anything|has it ever)\b",
)
"""Questions that want an opinion or a fellow feeling."""
_ONSET_EN = re.compile(
    r"(?<=[a-z0-9]) (?=(?:"
    r"(?:can|could|would|will) you (?!believe|imagine|feel|sing|dance|guess|think|like|love|ever)|please [a-z]+|"
    r"(?:what|which|when|where)(?:'s| is| are| does| do| will| would| time) |"
    r"how (?:much|many|long|hot|cold|warm|far|late|tall|old|heavy|big)\b(?: \w+)?"
    r" (?:is|are|does|do|did|will|would|'s) |"
    r"remind me |let me know |wake me |tell me (?:what|how|when|if|the) |give me (?:a|an|the) |"
    r"(?:turn|switch|shut) (?:the|on|off|it|down|up|that|those|all) |dim (?:the|it) |set (?:a|an|the) |"
    r"(?:check|look up|find|search|convert|calculate) (?:it|the|my|that|for|in) |"
    r"i need (?:a|an|the|it|that|\d+) |i'd like (?:a|the|to know) |(?:is|will) it (?:already|going|past|rain|be) ))"
)
_NO_ONSET_AFTER_EN = re.compile(
    r"\b(?:that|that's|know|knows|knew|to|about|of|is|was|see|understand|wonder|remember|i|we|they|you|he|she|it|who|"
    r"always|never|matter|me|him|her|them|us|asked|like|from|sure|idea|what|when|whatever|because|if|where|not|don't|"
    r"doesn't|didn't|can't|could|would|will|forget|forgot|guess|just|the|a|an|my|and|or|but|than|on|in|learn\w*|"
    r"decide|care|depends|everything|all|says|said|tells|told)$"
)
_REPORTED_EN = re.compile(
    r"\b(?:asked|told|asks|wondered|keeps? (?:asking|saying)|i wish|used to|(?:he|she|they|we|i|mum|mom|dad|mother|"
    r"father|brother|sister|wife|husband|boss|friends?|kids?|son|daughter|teacher|doctor|people|everyone|someone)"
    r"(?: \w+)? (?:said|says|say|saying))\b"
)

_PERSON_ZH = (
    r"(?:他|她|妈妈?|爸爸?|哥哥?|姐姐?|姊姊?|弟弟?|妹妹?|奶奶|爷爷|阿嬷|阿公|外婆|朋友|老师|老板|主管|同事|同学|老公|老婆|男友|女友|室友|"
    r"邻居|客人|医生|大家|有人|小孩|孩子|儿子|女儿|太太|先生|家人|别人|前男友|前女友)"
)
_REPORTED_ZH = re.compile(
    r"^(?:昨天|昨晚|今天|刚刚|刚才|早上|中午|晚上|上次|每次|每天|那天|我们|我|的|家|那个|隔壁|有个|个|1个|以前|小时候|最近|常常?|总是|都|还|又|"
    r"刚|突然|竟然|居然)*" + _PERSON_ZH + r"们?[^,\d]{0,8}?"
    r"(?:跟我说|跟我讲|告诉我|叫我|提醒我|帮我|请我|问我|传|发|寄|要我|给我|通知我|喊我|骂我|笑我|说)"
)
"""What others said and did."""
_REMARK_ZH = _words(
    r"^(?:算了|算(?:是|命|起来|不上)|看(?:得|起来|来|样子|到|见|着|完|过|似|电影|书|剧)|说(?:不定|真的|实话|起来|得|到|来)|"
    r"开(?:心|学|车|会|玩笑|始觉得)|关(?:心|于|系)|传(?:统|说)|换(?:季|作|句话|成我|了)|找(?:不到|到|工作|对象)|查不到|"
    r"从(?:小|前|来|头|以前|此|那)|用(?:心|过|了)|回(?:家|到|想|忆|来)|放(?:假|心|学|轻松|晴)|写(?:作业|完|了|不)|问题|"
    r"念书|叫(?:外卖|我怎么)|给(?:人|我的?感觉)|调(?:皮|侃)|定(?:居|型)|设(?:计|身)|发(?:现|呆|生|烧|薪|胖)|送(?:礼|走)|列(?:车)|"
    r"播(?:客)|读(?:书|了|完|者)|启(?:发)|在.{1,8}(?:里|中)(?:找到)|"
    r"让(?:我|人)(?:好|很|想|觉得|感|超|心|整|都|有|笑|睡|吃|最|非常|开心|难过))",
    r"^跟[^,]{1,5}?(?:聊|吃|玩|去|看|讲话|说话|吵|出|逛|住|1起|学|在1起|见面)",
    r"^(?:好想|真想|好希望|真希望|难怪|原来|果然|可惜|还好|幸好|怪不得|没想到|想不到|说到|讲到|比起|除了|自从|只要|只有|不管|无论|"
    r"有时候?|偶尔|常常|总是|上次|上个?(?:礼拜|星期|周|月)|前几天|前阵子|那天|去年|前年|当年|昨晚)(?!.*(?:我.{0,6}(?:写|记|存)))",
    r"(?:好|很|太|真|超|最|蛮|满|挺|有够|非常|特别|实在)[^,一1]{1,4}[了啊呀喔哦的呢哈!]*$",
    r"(?:还|才|可|正)[^,吗几多]*呢$",
)
"""Remarks, also those that begin as requests do."""
_TAG_ZH = re.compile(
    r"[,]?(?:对吧|对不对|是吧|是不是|不是吗|不觉得吗|你不觉得吗|你说呢|你觉得呢|你说是不是|你说对不对|你也(?:这样|这么|有)?(?:觉得|认为|同感)吗?|"
    r"你敢信|有没有)[?!]*$"
)
_NO_QUESTION_ZH = re.compile(
    r"没什么|什么都|什么的|不知道(?:为什么|怎么)?|怎么(?:这么|那么|这样|会这|都|又|老是|总是|每|1直|可能|就)|多么|好几|几乎|"
    r"(?:这|那|前|过|最近|近|隔|有|十|了|\d)几(?:天|度|公分|公斤|公里|分钟?|小时|块|岁|年|个|次|周|位|月)?|几(?:个|位)(?:好?朋友|人|同事|同学)|谁(?:知道|都|叫|不)|"
    r"哪(?:有|里都|知道|像|能)|不管|多少(?:会|有点|都)|说什么|算什么|想什么|几(?:天|年|次)(?:没|都|下来)|什么时候都|几点都"
)
"""Question words that ask nothing."""
_QUESTION_WORD_ZH = re.compile(
    r"吗|什么|几|多少|哪|怎么|怎样|如何|谁|多[久远高重长大]|何时|(会|要|有|是|能|冷|热|需|可|好)(?:不|没)(?:\1)"
)
_ONSET_ZH = re.compile(
    r"(?:帮我|麻烦(?!的|死|事|了|$)|请(?:帮|把|你|问|告|提|跟|给)|拜托(?!了)|提醒我|记得(?:跟|叫|提醒|通知|告诉)我|"
    r"把[^,]{1,8}?(?:开|关|调|熄|弄|切|换|设)|可以帮|能不能帮|可不可以帮|我想(?:知道|问|查)|我要(?:设|查|问|定)|告诉我|"
    r"弄(?:亮|暗)|来(?:个|1个)[^,]*(?:闹钟|计时|提醒|倒数)|调(?:亮|暗|高|低)|(?:开|关)(?:个|1下|1盏)?灯|"
    r"(?:查|算|换算?|开|关|设|传|搜|问)(?:1下|1点)|(?:开|关|调|设|传|查|算|换|搜)[^,]{0,6}吧$)"
)
_OWN_STORY_ZH = re.compile(
    r"^(?:我(?!的|家|想|要|们?(?:之前|上次|以前))|他|她|它|昨|上次|去年|以前|小时候|每(?:天|次)|有时)[^,]*(?:了|过|都|就|才|常|总|每|很|好|超)"
)
"""What the speaker did. A request word in it belongs to the story."""


def is_remark(clause: str, *, is_chinese: bool) -> bool:
    """Return whether a clause states, exclaims or reports, although it may begin as a request or question does."""
    if is_chinese:
        return _is_remark_zh(clause)
    tagless = _TAG_EN.sub("", clause)
    if tagless != clause and not _ASKING_WORD_EN.match(tagless):
        return True
    return _REMARK_EN.search(clause) is not None or _OWN_WISH_EN.match(clause) is not None


def _is_remark_zh(clause: str) -> bool:
    tagless = _TAG_ZH.sub("", clause)
    asks = _QUESTION_WORD_ZH.search(_NO_QUESTION_ZH.sub("", tagless)) is not None
    if asks:
        return _REPORTED_ZH.match(clause) is not None and not clause.endswith(("吗", "?"))
    if tagless != clause or _NO_QUESTION_ZH.search(clause):
        return _ONSET_ZH.search(clause) is None
    return (_REPORTED_ZH.match(clause) or _REMARK_ZH.search(clause)) is not None


def is_rhetorical(clause: str) -> bool:
    """Return whether an English question wants an opinion or a fellow feeling."""
    return _RHETORICAL_EN.search(clause) is not None


def split_onset(clause: str, *, is_chinese: bool) -> str:
    """Return the request that begins within a clause without punctuation; "" without one."""
    if is_chinese:
        match = _ONSET_ZH.search(clause)
        if match is None or _REPORTED_ZH.match(clause) or _OWN_STORY_ZH.match(clause[: match.start()]):
            return ""
        return clause[match.start() :] if match.start() else ""
    for match in _ONSET_EN.finditer(clause):
        before = clause[: match.start()]
        if not _NO_ONSET_AFTER_EN.search(before) and not _REPORTED_EN.search(before):
            return clause[match.end() :]
    return ""
