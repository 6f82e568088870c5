"""Concepts: what people say when they want one of the usual functions, in English and Mandarin. Pure.

A clause is in lower case and Simplified characters, without polite frames, and with its numbers as digits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Concept:
    """Kind of function that many programs declare."""

    named_by: re.Pattern[str]
    """Names and descriptions of such functions."""
    asked_by: re.Pattern[str]
    """Clauses that ask for it by their own form."""
    about: re.Pattern[str]
    """Clauses about its subject, which ask for it if they are requests or questions."""
    never: re.Pattern[str] | None = None
    """Clauses that mean something else."""


def _words(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns))


_DURATION = (
    r"\d+(?:\.\d+)?(?: and a half)?[- ]?(?:s|secs?|seconds?|mins?|minutes?|hours?|hrs?|h)\b|"
    r"half an hour|an hour|a minute|a quarter of an hour"
)
_DURATION_ZH = r"(?:\d+(?:\.\d+)?个?半?|半个?|一刻)(?:小时|钟头|分钟|分|秒钟|秒|钟)(?:半)?"
_UNIT = (
    r"(?:kilo|centi|milli)?(?:met(?:er|re)s?|grams?|lit(?:er|re)s?)|km|cm|mm|kg|mg|ml|miles?|feet|foot|ft|"
    r"inch(?:es)?|yards?|"
    r"pounds?|lbs?|ounces?|oz|gallons?|pints?|quarts?|cups?|tablespoons?|teaspoons?|stones?|acres?|hectares?|celsius|"
    r"fahrenheit|kelvin|centigrade|mph|km/h|kph|knots?|kilos?|tons?|tonnes?|bytes?|megabytes?|gigabytes?|"
    r"degrees [cf]\b|"
    r"square (?:feet|met(?:er|re)s?)|seconds?|minutes?|hours?|days?|weeks?"
)
_UNIT_ZH = (
    r"公里|公尺|公分|毫米|厘米|米|英里|英尺|英寸|英吋|码|海里|公斤|公克|毫克|克|磅|盎司|台斤|斤|吨|两|公升|毫升|升|加仑|品脱|杯|汤匙|茶匙|"
    r"摄氏|华氏|坪|平方(?:公尺|米|英尺)|公顷|英亩|甲|时速|km|kg|cm|ml|g\b|度|mb|gb|小时|分钟|秒|天|周"
)

TIME = Concept(
    _words(r"\b(?:time|clock|date)\b", r"时间|几点|时钟"),
    _words(
        r"\bwhat time (?:is it|it is|do (?:we|you) have)\b|\bwhat(?:'s| is) the (?:current |exact |local |"
        r"correct )?time\b",
        r"^what(?:'s| is)? time\b(?! to| do| does| did| should| will| are)|\b(?:got|have) the time\b|"
        r"\bcurrent (?:local )?time\b",
        r"^(?:the )?(?:local |exact |current )?time (?:right now|now|here|please|in \w+|is it)\b|"
        r"\bhow late is it\b|\btime is it\b",
        r"\bwhat(?:'s| is)? (?:the )?(?:day|date)(?: is it| is today| today|'s today)\b|\bwhat day (?:is it|"
        r"of the week)\b|\btoday's date\b",
        r"\b(?:which|what) (?:day|date|month|weekday|year)\b.{0,16}\b(?:is it|today|are we|it is)\b|"
        r"^is it (?:already |still )?(?:past |before |after )?(?:noon|midnight|morning|\d+ ?(?:am|pm|o'clock))",
        r"^(?:is|isn't) it (?:already |still |even )?(?:past|after|before|nearly|almost) (?:\d+|noon|"
        r"midnight)|是不是(?:已经)?(?:过|超过|快|快要)?.{0,2}\d+点|(?:已经|过|快)\d+点了吗",
        r"\bwhat's the date\b|\btime in \w+(?: right)?(?: now)?$|\bwhat hour\b|\bcheck the (?:time|clock)\b",
        r"(?:现在|目前|那边|当地|这里|那里).{0,6}(?:几点|时间|什么时间)|几点(?:钟|几分)?(?:了|啦)|^.{0,6}几点(?:钟|几分)?$|报时",
        r"(?:今天|今日)(?:是)?.{0,3}(?:几号|几月几|星期几|礼拜几|周几|日期)|什么时间了|(?:现在|当地|目前)的?时间|^现在几",
    ),
    _words(r"\bwhat.*\btime\b", r"几点"),
    _words(
        r"\btime (?:does|did|do|will|should|to|for|off|of)\b|\b(?:first|last|next|long|good|great|hard|bed|"
        r"best) ?time\b",
        r"几点(?:起|睡|出|见|下|上|开|关|吃|到|回|结|打|来|去|集|的)",
    ),
)
TIMER = Concept(
    _words(r"\b(?:timers?|alarms?|countdown|stopwatch|remind\w*)\b", r"计时|倒数|闹钟|提醒"),
    _words(
        r"^(?:set|start|put|run|begin|create|make|give me|get|add|schedule|have)\b.*\b(?:timer|alarm|countdown|"
        r"reminder)\b",
        r"^(?:a |an )?(?:new )?(?:\d.* )?(?:timer|alarm|countdown|reminder)\b.*\d|^(?:a |an |"
        r"the )?(?:" + _DURATION + r").{0,14}(?:timer|alarm|countdown)",
        r"^count(?: me)? down\b|^remind me\b|^(?:don't )?(?:let me )?forget to\b.*\bin\b|^time (?:me|this|my|"
        r"the|\d+|an?)\b",
        r"^(?:wake|alert|notify|ping|buzz|nudge|call|poke|warn|tell|let) (?:me|us)\b.*(?:" + _DURATION + r"|\bat \d)",
        r"\b(?:wake|remind|alert|buzz|nudge|ping|warn|notify) me\b.*\b(?:in|after|at|when)\b|"
        r"^in (?:" + _DURATION + r").{0,8}(?:remind|wake|tell|alert|ring|beep)",
        r"^give me a (?:shout|call|nudge|poke|ring|heads[- ]up|signal|reminder)\b.*(?:"
        + _DURATION
        + r")|\b(?:shout|yell|holler)\b.*\bin (?:"
        + _DURATION
        + r")",
        r"(?:时间到|到时候?|时间一到|等会|好了|"
        + _DURATION_ZH
        + r").{0,4}(?:跟我说|告诉我|叫我|提醒我|通知我|喊我)|^(?:叫|喊)我.{0,6}(?:"
        + _DURATION_ZH
        + r")",
        r"\b(?:warn|remind|wake|alert|ring|rings|beep|buzz|tell|call|ping|notify|nudge)\b(?: me|"
        r" us)?\b.*(?:in|after) (?:" + _DURATION + r")",
        r"(?:" + _DURATION + r")\b.*\b(?:warn|remind|wake|alert|ping|nudge|notify|tell) me\b|\b(?:timer|alarm|"
        r"countdown)\b.*\d|\d.*\b(?:timer|alarm|countdown)\b",
        r"(?:"
        + _DURATION_ZH
        + r").*(?:提醒|叫醒|叫我|通知我|闹钟|计时|倒数)|(?:闹钟|计时器?|倒数).*(?:"
        + _DURATION_ZH
        + r")",
        r"^(?:beep|ring|buzz)\b.*(?:" + _DURATION + r")|(?:" + _DURATION + r").*\bon the clock\b",
        r"^(?:设|定|开|开始|启动|来|计|倒|调).{0,12}(?:计时|倒数|闹钟|闹铃|定时|提醒)|^(?:计时|倒数|定时)|^.{0,12}(?:计时器?|倒数|定时器?|闹钟)$",
        r"(?:"
        + _DURATION_ZH
        + r").{0,2}(?:之?后|以后|到了?(?:就|的时候)?).{0,4}(?:提醒|叫|通知|告诉|跟我说|响|喊)|^提醒我|^(?:记得|别忘了?|"
        r"到时候?).{0,6}(?:提醒|叫)",
        r"(?:"
        + _DURATION_ZH
        + r")(?:的)?(?:计时|倒数|闹钟|定时)|计(?:时)?(?:"
        + _DURATION_ZH
        + r")|叫我(?:起床|起来)|(?:设|"
        r"定)(?:个|一个)?(?:" + _DURATION_ZH + r")",
        r"^叫我.{0,8}\d|\d.{0,6}叫我|^(?:明天|早上|晚上|下午).{0,10}(?:叫我|提醒我)",
    ),
    _words(r"\b(?:timer|alarm|countdown|reminder)\b", r"计时|倒数|闹钟|定时"),
)
WEATHER = Concept(
    _words(r"\b(?:weather|forecast)\b", r"天气|气象"),
    _words(
        r"^(?:will|is|does|is it|do|should|going|did|has|are we)\b.*\b(?:rain|raining|rainy|snow|snowing|sunny|"
        r"windy|umbrella|raincoat|humid|"
        r"storm|stormy|typhoon|thunderstorms?|cloudy|foggy|freezing)\b",
        r"\bhow (?:hot|cold|warm|windy|humid|chilly|wet)\b.*\b(?:is it|will it|outside|today|tomorrow|tonight|"
        r"there)\b",
        r"^(?:is|will|was) it (?:be |going to be |too |very |really )?(?:hot|cold|warm|cool|chilly|nice|sunny|"
        r"wet|dry|windy)\b.*"
        r"\b(?:outside|out|today|tomorrow|tonight|weekend|in \w+|later)\b",
        r"\b(?:do|should|will) (?:i|we) (?:need|take|bring|wear|pack)\b.*\b(?:umbrella|jacket|coat|raincoat|"
        r"sunscreen|boots|scarf)\b",
        r"\bwhat(?:'s| is| will)?(?: it)? (?:it )?(?:be )?like (?:outside|out there)\b|\bchance of (?:rain|"
        r"snow)|\btemperature (?:in|outside|today|tomorrow|right now)\b",
        r"\bwhat(?:'s| is| will)? it (?:going to|gonna) be like\b|^what will it be like\b|\b(?:sunny|rainy|"
        r"windy|hot or cold|warm or cold|dry or wet)\b.*\b(?:today|tomorrow|tonight|weekend|there|outside|"
        r"week|\w+day)\b",
        r"会(?:不会)?(?:变|转|很|比较|更|回|开始)?(?:冷|热|凉|暖|湿|闷|晴)|(?:需要|要|该|得)(?:不?要)?(?:带|穿|准备).{0,4}(?:雨|伞|外套|大衣|羽绒|"
        r"短袖)|会(?:不会)?(?:有)?(?:台风|雷|大雨|下雪|起雾)",
        r"^any (?:rain|snow|sun|wind|storms?)\b|\b(?:rain|snow|sunshine|storms?)\b.*\b(?:today|tomorrow|"
        r"tonight|afternoon|morning|weekend|coming|\w+day)\b|\bhow (?:hot|cold|warm|windy) (?:will|does|is|would)\b",
        r"(?:最高|最低)?(?:气温|温度|高温|低温|降雨)|(?:今|明|后|外面|周末|星期.|礼拜.).{0,10}几度|会(?:不会)?有(?:雨|风|雪|太阳)",
        r"\bhow many degrees\b.*\b(?:outside|is it|today|tomorrow)\b|\b(?:weather|forecast) (?:for|in|today|"
        r"tomorrow|this|like|report|now)\b|\bhow's the weather\b",
        r"会不会(?:下雨|下雪|很?冷|很?热|变冷|变热|出太阳|放晴)|会(?:下雨|下雪|冷|热|变天|放晴)吗|要不要带(?:雨?伞|外套)|(?:需要|要|该)(?:不?要)?带(?:雨?伞|外套)",
        r"(?:今|明|后|外面|周末|现在|下午|晚上|早上|台|高|北|东).{0,6}(?:几度|冷不冷|热不热|会冷|会热|有雨|下雨)|气温|降雨|天气(?:怎|如何|预报|好不好|会|好吗|怎样|$)|"
        r"有没有(?:下雨|台风)",
    ),
    _words(r"\b(?:weather|forecast)\b", r"天气|气象|台风|下雨"),
)
CALCULATE = Concept(
    _words(r"\b(?:calculat\w*|arithmetic|math\w*|compute)\b", r"计算|算式|算术"),
    _words(
        r"\d\s*(?:\+|-|\*|/|x|×|÷|\^|plus|minus|times|multiplied|divided|over|to the power|and)\s*(?:by |of )?\d.*",
        r"\d+(?:\.\d+)?\s*(?:%|percent|per cent)\s*(?:of|off|tip|discount)|\bpercent of\b|\b(?:square|"
        r"cube) root\b|\bsquared\b|\bcubed\b",
        r"\b(?:multiply|divide|add|subtract|take|double|halve)\b.{0,12}\d.*\b(?:by|and|to|from|with|off|"
        r"into)\b.{0,6}\d",
        r"\d.*\b(?:each|per person|everyone|every one of us|apiece|altogether|in total|all together|left|"
        r"change)\b|\b(?:each|altogether|in total)\b.*\d.*\d",
        r"^(?:calculate|compute|work out|sum|add(?: up)?|subtract|multiply|divide)\b.*\d",
        r"\b(?:split|divide|share)\b.*\d.*\b(?:ways|people|between|among|by|friends)\b|\btip (?:on|for)\b.*\d|"
        r"\d.*\btip\b|\b(?:half|twice|double|a third) of \d",
        r"\d.*\b(?:what|how much)\b.*\b(?:per (?:year|month|week|day|hour|person)|altogether|in total|"
        r"together|left|total|come to|make)\b",
        r"\bhow much (?:is|are|would|do|does|will)\b.*\d.*\b(?:at|each|times|for|per|off|months?|apiece)\b.*\d|"
        r"\btotal of\b.*\d|\bsum of\b|\bdifference between \d",
        r"\d\s*(?:\+|-|\*|/|x|×|÷|加|减|乘以?|乘上|除以?|除|的|去除)\s*\d|\d.{0,4}(?:次方|平方|立方|开根号)|根号|百分之\d|\d%|打\d+折|平分|"
        r"平均(?:每|分)",
        r"^(?:算|计算|算算|加总).*\d|\d.*(?:等于多少|一共多少|总共多少|多少钱|是多少钱|每人|每个人|一共是|加起来)|\d.*的(?:\d+分之\d+|一半|两倍|\d+倍)",
    ),
    _words(r"^(?:calculate|compute)\b", r"算一下|^计算"),
    _words(r"\b(?:timer|alarm|remind|wake me)\b", r"提醒|计时|倒数|闹钟"),
)
CONVERT = Concept(
    _words(r"\b(?:convert\w*|conversion|units?)\b", r"换算|单位|转换"),
    _words(
        r"^(?:convert|change|turn|express|translate)\b.*\d.*\b(?:to|into|in)\b.*\b(?:" + _UNIT + r")\b|"
        r"^convert\b.*\b(?:" + _UNIT + r")\b",
        r"\bhow (?:many|much)\b.*\b(?:" + _UNIT + r")\b.*\b(?:are|is|in|make|equal|to|per)\b.*\b(?:" + _UNIT + r")\b",
        r"\bhow (?:many|much)\b.*\b(?:"
        + _UNIT
        + r")\b.*\b(?:go|fit|does|do|would)\b.*\b(?:"
        + _UNIT
        + r")\b|\bwhat(?:'s| is| would) (?:that|it|this|the same)(?: be)? in (?:"
        + _UNIT
        + r")\b",
        r"(?:"
        + _UNIT_ZH
        + r"|呎|吋|哩).{0,8}(?:是|等于|有|合|大概|大约|约|相当于|换|=)+.{0,6}(?:几|多少).{0,2}(?:"
        + _UNIT_ZH
        + r"|呎|吋|哩)",
        r"\d.{0,8}\b(?:" + _UNIT + r")\b.*\b(?:i need|need|want|give me|what's|what is|in|into|"
        r"to)\b.{0,14}\b(?:" + _UNIT + r")\b",
        r"\d.{0,12}\b(?:" + _UNIT + r")\b.*\b(?:in|to|into|as|equal)\b.*\b(?:" + _UNIT + r")\b|"
        r"\bin (?:" + _UNIT + r")\b.*\d.{0,10}(?:" + _UNIT + r")\b",
        r"^(?:what's|what is|how (?:tall|far|heavy|hot|cold|long|fast|big) is|"
        r"how much is)\b.*\d.{0,12}\b(?:" + _UNIT + r")\b.* in \w+",
        r"换算|换成|转(?:换)?成|折合|折算|\d+(?:\.\d+)?个?(?:"
        + _UNIT_ZH
        + r").{0,6}(?:是|等于|有|合|大概|大约|约|相当于|=)+.{0,6}(?:几|"
        r"多少).{0,2}(?:" + _UNIT_ZH + r")",
        r"(?:华氏|摄氏)\d+.*(?:华氏|摄氏|几度|多少)|(?:几|多少)(?:" + _UNIT_ZH + r").{0,4}(?:是|等于).{0,4}\d|"
        r"用(?:" + _UNIT_ZH + r")(?:来)?(?:说|表示|算)",
    ),
    _words(r"\bconvert\b", r"换算"),
)
NOTES = Concept(
    _words(r"\b(?:notes?|documents?|docs|knowledge|files?|wiki)\b", r"笔记|文件|资料|文档|手册"),
    _words(
        r"\b(?:in|from|through|of|according to|to) (?:my|our|the|all my|these) (?:\w+ )?(?:notes?|documents?|"
        r"docs|files|handbook|manual|wiki|notebook|memos?|minutes|papers|pdfs?)\b",
        r"\b(?:my|our|the) (?:\w+ )?(?:notes?|documents?|docs|files|handbook|manual|wiki|notebook|memos?|"
        r"minutes|papers) "
        r"(?:say|says|mention|contain|have|about|on|for|from|tell|cover|include)\b",
        r"^(?:search|find|look (?:up|for|in|through)|check|browse|scan|go through|dig|pull up|open|read|show|"
        r"get|see)\b.*\b(?:notes?|documents?|docs|files|handbook|manual|wiki|notebook|memos?|minutes)\b",
        r"\b(?:what|where|when|which|who|did|how)\b.*\b(?:i|we) (?:write|wrote|note|noted|jot|jotted|save|saved|"
        r"put)\b(?: down)?|\bdo (?:i|we) have (?:any |some )?(?:notes?|anything|documents?)\b",
        r"\b(?:i|we) (?:wrote|noted|jotted|saved) (?:something|stuff|down)\b|我.{0,6}(?:写|记|存|抄)(?:过|下|"
        r"了).*(?:找|查|搜|看)",
        r"(?:我|我们)?(?:上次|之前|以前|那天|昨天|上个?礼拜|上个?月)(?:我|我们)?(?:所)?(?:记|写|存|抄)(?:的|下|过|了)|(?:记|写|存|抄)(?:下来)?在(?:哪|"
        r"什么)|(?:找找|查查|翻翻).{0,8}(?:记|写|抄|存)",
        r"(?:笔记|文件|资料|文档|手册|纪录|记录|备忘录|档案).{0,4}(?:里|中|上|内|有没有|有写|写|说|提|怎么|找|查|关于)|(?:查|找|搜|搜寻|搜索|翻|看|"
        r"翻翻).{0,10}(?:笔记|文件|资料|文档|手册|纪录|记录|备忘录|档案)",
        r"我(?:们)?(?:之前|上次|以前|有|是不是|昨天)?(?:有没有)?(?:写|记)(?:了|过|下)?.{0,4}(?:什么|哪|吗)|从(?:笔记|文件|资料)",
    ),
    _words(r"\b(?:notes?|documents?|docs)\b", r"笔记|文件|文档"),
    _words(
        r"^(?:take|make|write|add|create|jot)\b.*\b(?:note|down|notes)\b|\bon a (?:good|positive|side|"
        r"happy) note\b|\b(?:musical|love|high|bank|thank.you) notes?\b",
        r"^(?:记下|写下|做个?笔记|记笔记|帮我记)",
    ),
)
MESSAGE = Concept(
    _words(r"\b(?:messages?|sms|texts?|e-?mails?|chat)\b", r"讯息|消息|简讯|短信|邮件|信件|传讯"),
    _words(
        r"^(?:send|shoot|drop|write|fire off|compose|leave|forward|get|give)\b.*\b(?:message|texts?|sms|e-?mail|"
        r"mail|note to|line to|dm|word to)\b",
        r"^(?:send|shoot|drop)\s+(?!me\b|us\b)\w+(?: \w+)? (?:a |an |the |my |this )|^send\b.*\bto (?!me\b|"
        r"my (?:phone|device))\w+",
        r"^(?:text|message|e-?mail|dm|whatsapp|sms|inform|notify|ping|write to|write|reply to)\s+(?!me\b|us\b|"
        r"you\b|an?\b|some\b|the (?:story|code|time)|in\b|is\b|of\b|about\b|down\b|for\b)\w+",
        r"^(?:ask|invite|remind|warn|tell) (?!me\b|us\b|you\b|a\b|an\b|the (?:story|truth|joke|time)|"
        r"them apart|if\b|whether\b|what\b|"
        r"how\b|when\b)[\w']+(?: [\w']+)? "
        r"(?:that|to|i\b|i'm|i'll|we\b|we're|the|my|he|she|they|it|about|dinner|happy|not|her|him)",
        r"^(?:ask|tell|inform|invite|warn) (?!me\b|us\b|you\b)[\w']+(?: [\w']+){0,2} (?:by|via|in a|over|"
        r"on) (?:message|text|sms|e-?mail|whatsapp)|^(?:ask|tell) (?!me\b|us\b|you\b|for\b|"
        r"about\b)[\w']+(?: [\w']+)? (?:if|whether|to|when|where)\b",
        r"^(?:帮我)?(?:跟|和|告诉|通知|问|提醒)(?:我(?:的)?(?!说|讲)|他|她|他们).{1,6}?(?:说|讲|一声|会|要|不|今|明|晚|我)|^问(?:一下)?(?!我|你|"
        r"题).{1,6}(?:要不要|有没有|能不能|可不可以|什么时候|几点|会不会)",
        r"^let (?!me\b|us\b|'s)[\w']+(?: [\w']+)? know\b|^say .* to (?:my )?\w+ (?:by|in a|via)|"
        r"^pass (?:on )?(?:a|the) (?:message|word)",
        r"^(?:传|发|寄|送|写|留)(?:个|封|一个|一封|则|一则|条|一条|通)?.{0,10}(?:讯息|消息|信息|简讯|短信|邮件|信|email|e-mail|line|mail|赖)",
        r"^(?:传|发|寄|line|赖|用line).{0,12}给(?!我)|^(?:传|发|寄)[^,?]{1,16}给(?!我)|^(?:告诉|通知|转告|回复|回覆|跟|和|给)(?!我|你|"
        r"大家好|咱)[^,?]{1,8}?(?:说|讲(?!话)|一声|知道|我|"
        r"传|发|今|明|晚|已|会|不|可|要|别|开|改)",
        r"^(?:给)(?!我|你).{1,6}(?:传|发|寄|留)|^line(?!.*是)",
    ),
    _words(r"\b(?:message|email|sms)\b", r"讯息|简讯|短信"),
    _words(
        r"^(?:remind|wake)\b|\bwrite (?:a |an |me )+(?:poem|story|song|essay|haiku)", r"^提醒|^叫我|写(?:一)?(?:首|篇)"
    ),
)
LIGHTS = Concept(
    _words(r"\b(?:lights?|lamps?|bulbs?|lighting)\b", r"灯|照明"),
    _words(
        r"^(?:turn|switch|put|dim|brighten|shut|kill|set|flip|make|hit|change|lower|raise|adjust|cut|get|leave|"
        r"bring)\b.*\b(?:lights?|lamps?|bulbs?|lighting)\b",
        r"^(?:have|get|give|need|want)\b.{0,12}\b(?:lights?|lamps?)\b.*\b(?:in|on|at)\b|(?:开|点|关)(?:个|一下|盏)?灯",
        r"\b(?:lights?|lamps?) (?:on|off|out|up|down|to)\b(?! fire)|\b(?:lights?|lamps?)\b.*\b(?:on|off|"
        r"brighter|dimmer|\d+ ?(?:%|percent))$|^lights?,? please$",
        r"^(?:把|将)?.{0,8}(?:开|关|打开|关掉|关上|熄|调|切|点).{0,10}灯|^(?:把|将|让)?.{0,8}灯.{0,8}(?:开|关|打开|调|亮|暗|熄|设|变|切|换)",
    ),
    _words(r"\b(?:lights|lamps?)\b", r"灯"),
    _words(
        r"\b(?:traffic|northern|christmas) lights?\b|\blight (?:meal|snack|rain|of|year|reading)\b",
        r"灯(?:光节|会|节)|红绿灯",
    ),
)
CONCEPTS = (TIMER, LIGHTS, MESSAGE, CONVERT, CALCULATE, NOTES, WEATHER, TIME)
"""In the order in which a name is looked up: "set_timer" is a timer."""
