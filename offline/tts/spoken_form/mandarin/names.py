"""Rules of Mandarin for addresses, dates, times and identifiers, in order."""

from __future__ import annotations

import re

from ..rule import rule
from ..web import DOTTED_NAME, EMAIL, URL, spell, split_url
from .forms import COLON, MEASURE, NA, NB, TO, N, date_words, month_day_words, time_range_words, time_words
from .numbers import digits_zh, number_zh, whole_zh, year_zh

RULES = (
    # ---- addresses of the network
    rule(
        "e-mail",
        EMAIL,
        lambda m: spell(m[0], "點", "小老鼠"),
        ("寄到 amy@example.com。", "寄到 amy小老鼠example點com。"),
        ("信箱是tom.lee@mail.example.tw。", "信箱是tom點lee小老鼠mail點example點tw。"),
    ),
    rule(
        "web address",
        URL,
        lambda m: spell(split_url(m[0])[0], "點", ""),
        ("網址是 www.example.com.tw。", "網址是 www點example點com點tw。"),
        ("看https://example.com/a/b?c=1吧", "看example點com吧"),
        ("上example.com.tw看看", "上example點com點tw看看"),
    ),
    rule("dotted name", DOTTED_NAME, lambda m: m[0].replace(".", "點"), ("改 main.py 吧", "改 main點py 吧")),
    rule(
        "convenience store",
        r"(?<![\d.])7-(?:11|ELEVEN|Eleven)(?![\d.]|\s*(?:" + MEASURE + r"))",
        "seven eleven",
        ("去 7-11 買", "去 seven eleven 買"),
        ("7-ELEVEN", "seven eleven"),
    ),
    rule(
        "name of a language",
        r"(?<![A-Za-z])C(\+\+|#)|(?<!\w)\.NET\b",
        lambda m: {"++": "C加加", "#": "C sharp"}.get(m[1], "點NET"),
        ("我會 C++ 和 C#。", "我會 C加加 和 C sharp。"),
        ("用 .NET 寫的", "用 點NET 寫的"),
    ),
    # ---- dates and times
    rule(
        "date",
        NB + r"(?P<roc>民國\s*)?(?P<y>\d{4}|\d{2,3}(?=/\d{1,2}/)|(?<=民國)\d{2,3}(?=\.)"
        r"|(?<=民國 )\d{2,3}(?=\.))[-/.](?P<m>\d{1,2})(?P<sep>[-/.])(?P<d>\d{1,2})" + NA,
        date_words,
        ("會議在 2026/11/26 舉行。", "會議在 二零二六年十一月二十六日 舉行。"),
        ("截止日是 2026-03-05。", "截止日是 二零二六年三月五日。"),
        ("115/11/26 交件", "民國一百一十五年十一月二十六日 交件"),
        ("民國115/1/2", "民國一百一十五年一月二日"),
    ),
    rule(
        "year of the republic",
        r"(民國\s*)(\d{1,3})(?=\s*年)",
        lambda m: m[1] + whole_zh(int(m[2])),
        ("今年是民國115年。", "今年是民國一百一十五年。"),
        ("民國 99 年 2 月 2 日", "民國 九十九 年 二 月 二 日"),
    ),
    rule(
        "range of years",
        NB + r"(1[5-9]\d\d|20\d\d)" + TO + r"(1[5-9]\d\d|20\d\d)(?=\s*(?:年|學年|$|[，。）]))",
        lambda m: f"{year_zh(m[1])}到{year_zh(m[2])}",
        ("2024-2026年", "二零二四到二零二六年"),
    ),
    rule(
        "decade",
        NB + r"(\d{4}|\d0)(?=\s*年代)",
        lambda m: digits_zh(m[1]),
        ("1990年代很流行。", "一九九零年代很流行。"),
        ("80 年代的歌", "八零 年代的歌"),
    ),
    rule(
        "year",
        NB + r"(\d{4})(?=\s*年(?!前|後|來|間|以))",
        lambda m: year_zh(m[1]),
        ("他1987年出生。", "他一九八七年出生。"),
        ("2000年前就有了", "兩千年前就有了"),
    ),
    rule(
        "year without 年",
        r"(?<=[在於自從到至元])(\s*)(1[89]\d\d|20\d\d)(?!\d|[.,/:-]\d|\s*(?:" + MEASURE + r"|[a-zA-Z%]))",
        lambda m: m[1] + year_zh(m[2]),
        ("他在 1987 出生", "他在 一九八七 出生"),
        ("漲到 2000 元", "漲到 兩千 元"),
    ),
    rule(
        "range of times",
        NB + rf"(\d{{1,2}}){COLON}(\d\d){TO}(\d{{1,2}}){COLON}(\d\d)(?![\d:])",
        time_range_words,
        ("營業時間 10:00-18:00。", "營業時間 十點到十八點。"),
        ("14:30 ~ 16:05", "十四點三十分到十六點零五分"),
    ),
    rule(
        "score",
        rf"((?:比分|比數|比例|匯率|終場|獲勝|勝|敗|領先|落後|以|輸|贏|打成)[^\d，。]{{0,4}})"
        rf"(\d{{1,3}}){COLON}(\d{{1,3}}(?:\.\d+)?)(?![\d:])",
        lambda m: f"{m[1]}{number_zh(m[2])}比{number_zh(m[3])}",
        ("以 21:15 獲勝", "以 二十一比十五 獲勝"),
        ("匯率是 1:32.5", "匯率是 一比三十二點五"),
    ),
    rule(
        "time",
        NB + rf"(?<!{COLON})(?P<h>\d{{1,2}}){COLON}(?P<min>\d\d)(?:{COLON}(?P<s>\d\d))?"
        rf"(?![\d:])(?:\s?(?P<half>[AaPp])\.?[Mm]\b)?",
        time_words,
        ("火車 19:30 開。", "火車 十九點三十分 開。"),
        ("我們下午 2:30 見。", "我們下午 兩點三十分 見。"),
        ("上午 9:05 出發。", "上午 九點零五分 出發。"),
        ("早上 8:00 開門。", "早上 八點 開門。"),
        ("2：30", "兩點三十分"),
        ("3:30PM 開會", "下午三點三十分 開會"),
    ),
    rule(
        "ratio",
        NB + rf"({N})\s?{COLON}\s?({N})(?:\s?{COLON}\s?({N}))?" + NA,
        lambda m: "比".join(number_zh(n) for n in m.groups() if n),
        ("比賽 3:2 結束", "比賽 三比二 結束"),
        ("16:9 的螢幕", "十六比九 的螢幕"),
        ("水和米 1.5:1", "水和米 一點五比一"),
    ),
    rule(
        "month and day",
        NB + r"(?P<before>(?:日期|生日|截止|活動|時間|從|在|於|到|至|今天|明天|後天|昨天)[是為]?\s?)?"
        r"(?<![\d/])(?P<m>\d{1,2})/(?P<d>\d{1,2})(?!\s*=|[\d/])"
        r"(?P<part>\s*(?:[杯的匙吋磅拍]|英寸|茶匙|大匙|以上|左右))?(?P<after>\s*(?:[（"
        r"(][一二三四五六日][）)]|週|星期|早上|上午|中午|下午|晚上|開|舉|出發|前|之前"
        r"|截止|當天))?",
        month_day_words,
        ("11/26 見", "十一月二十六日 見"),
        ("5/1 勞動節放假", "五月一日 勞動節放假"),
        ("生日是 2/3", "生日是 二月三日"),
        ("11/26（四）開會", "十一月二十六日（四）開會"),
    ),
    # ---- telephones and other identifiers
    rule(
        "extension",
        r"(?<=\d)\s*(?:#|分機|轉)\s*(\d{1,6})(?!\d)",
        lambda m: "轉" + digits_zh(m[1]),
        ("02-2345-6789 轉 105", "零二二三四五六七八九轉一零五"),
        ("02-2345-6789#12", "零二二三四五六七八九轉一二"),
    ),
    rule(
        "card number",
        r"(?<![\d.,])\d{4}(?:[ -]\d{4}){2,12}(?![ -]?\d)",
        lambda m: "，".join(map(digits_zh, re.split(r"\D", m[0]))),
        ("4111 1111 1111 1111", "四一一一，一一一一，一一一一，一一一一"),
    ),
    rule(
        "telephone",
        r"(?<![\d.,])(?:\+\d{1,3}[- ]?)?(?:\(0\d{1,3}\)\s?|0\d{1,3}[- ]|\d[- ](?=\d{4}-)"
        r"|9\d\d[- ](?=\d{3})|(?:\d-)?\d{3}-(?=\d{3}-\d{4}))\d{3,4}[- ]?\d{3,4}(?!\d)",
        lambda m: digits_zh(m[0]),
        ("電話是 0912-345-678。", "電話是 零九一二三四五六七八。"),
        ("請打 02-2345-6789。", "請打 零二二三四五六七八九。"),
        ("(02)2345-6789", "零二二三四五六七八九"),
        ("免付費電話 0800-080-123。", "免付費電話 零八零零零八零一二三。"),
        ("+886-2-2345-6789", "八八六二二三四五六七八九"),
        ("+886 912 345 678", "八八六九一二三四五六七八"),
        ("打 0912345678", "打 零九一二三四五六七八"),
        ("049-256-7890", "零四九二五六七八九零"),
    ),
    rule(
        "groups of digits",
        r"(?<![\d.,-])\d{1,20}(?:-\d{1,20}){2,12}(?![\d-])",
        lambda m: "，".join(map(digits_zh, re.split(r"\D", m[0]))),
        ("帳戶 012-34-5678901", "帳戶 零一二，三四，五六七八九零一"),
    ),
    rule(
        "network address",
        NB + r"\d{1,3}(?:\.\d{1,3}){3}(?:/\d+)?(?![\d.]\d)",
        lambda m: "點".join(digits_zh(n) for n in re.split(r"[./]", m[0])),
        ("伺服器在 192.168.1.1。", "伺服器在 一九二點一六八點一點一。"),
    ),
    rule(
        "version",
        NB + r"[vV]?(\d+)\.(\d+)\.(\d+)(?![\d]|\.\d)",
        lambda m: "點".join(whole_zh(int(n)) if len(n) < 5 else digits_zh(n) for n in m.groups()),
        ("Python 3.11.7 已發布。", "Python 三點十一點七 已發布。"),
    ),
    rule(
        "code",
        r"((?:電話|專線|熱線|直撥|撥打?|請打|驗證碼|密碼|房號|編號|代碼|代號|區號"
        r"|學號|統編|統一編號|卡號|帳號|單號|序號|號碼|車牌|車次|航班|分機|頻率|PIN"
        r"|通道)"
        r"(?:是|為|:|：|\s)*)(\d[\d -]*\d|\d)(?!\s*(?:折|次|通|個|組|支|位|%|[.:]\d))",
        lambda m: m[1] + digits_zh(m[2]),
        ("市民專線是 1999。", "市民專線是 一九九九。"),
        ("緊急時撥 119。", "緊急時撥 一一九。"),
        ("驗證碼 402918。", "驗證碼 四零二九一八。"),
        ("房號是 007。", "房號是 零零七。"),
        ("卡號 1234 5678 9012", "卡號 一二三四，五六七八，九零一二"),
    ),
    rule(
        "discount",
        r"(打\s*)?(?<![\d.])(\d{1,2})(?=\s*折)",
        lambda m: (m[1] or "") + digits_zh(m[2]),
        ("這件打 85 折。", "這件打 八五 折。"),
        ("全館 9 折", "全館 九 折"),
    ),
    rule(
        "bus line",
        NB + r"(\d{2,4})(?=\s*(?:號?公車|路公車|線公車))",
        lambda m: digits_zh(m[1]) if len(m[1]) > 2 else whole_zh(int(m[1])),
        ("搭 307 公車。", "搭 三零七 公車。"),
        ("搭 15 路公車", "搭 十五 路公車"),
    ),
    rule(
        "name of three digits",
        r"(?<=台北)\s*(101)(?!\d)|(?<=臺北)\s*(101)(?!\d)|"
        + NB
        + r"(\d{3})(?=\s*(?:大樓|大地震|地震|事件|紀念日|公園|連假|學運))",
        lambda m: digits_zh(m[0]),
        ("台北 101 大樓。", "台北一零一 大樓。"),
        ("921 地震", "九二一 地震"),
        ("228 連假", "二二八 連假"),
    ),
)
"""Rules in order."""
