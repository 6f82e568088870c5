"""Request shape: remarks never reach the functions, and requests in any wording do, with and without punctuation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.support.tools.router_requests import NOW, read_declarations
from offline.tools.request_shape import is_remark, split_onset
from offline.tools.router import choose_tool, weakly_matching_tools

TOOLS = read_declarations()
ENDINGS = {"en": ("", ".", "!"), "zh": ("", "。", "!")}
REMARKS = {
    "en": [
        "Terrible weather today",
        "What a storm that was last night",
        "My alarm didn't go off this morning so I was late for work",
        "I love how the light falls into this room in the morning",
        "Isn't the weather lovely today",
        "It's such lovely weather, isn't it",
        "I have to write a message to my boss and I'm dreading it",
        "I'd love to see the northern lights one day",
        "I want to sleep until noon tomorrow",
        "Time really flies",
        "Rain again today",
        "Where did the time go",
        "Who needs an alarm clock when you have kids",
        "My mother told me to take an umbrella",
        "She asked me what time it was",
        "My boss keeps sending me messages at midnight",
        "I was never good at math",
        "The lights in the city are beautiful at night",
        "I set an alarm for six but slept right through it",
        "I lost five pounds since summer",
        "I wrote my notes by hand back in school",
        "It reminds me of my grandfather",
        "Don't you think winter is too dark",
        "My friend sent me a text and it made me laugh",
        "We ran for two hours in the rain",
        "I can't believe it's December already",
        "How time flies",
        "I hate waking up to an alarm",
        "I wish it would rain",
        "No wonder I'm cold, the window's open",
    ],
    "zh": [
        "今天天氣真好",
        "昨天下雨下得好大",
        "我最討厭下雨天了",
        "今天怎麼這麼熱",
        "時間過得好快喔",
        "我媽每天都提醒我帶傘",
        "我朋友昨天傳訊息給我說他要結婚了",
        "好想去北海道看雪",
        "昨天鬧鐘沒響害我遲到",
        "我的筆記本不見了",
        "老師說我的數學很好",
        "開了三個小時的車好累",
        "跟朋友聊天聊到半夜三點",
        "這個燈好漂亮喔",
        "最近天氣好冷對不對",
        "每次寫文件都寫到頭痛",
        "燈會人好多喔",
        "我瘦了兩公斤",
        "外面好吵我睡不著",
        "我覺得冬天的太陽很舒服",
        "太陽好大喔",
        "他問我現在幾點",
        "我爸說明天會下雨",
        "我不知道該怎麼跟他說",
        "一個人吃飯好無聊",
        "我以前很會算數學",
        "這幾天都在下雨",
        "放假在家看書最舒服",
        "她一百七十幾公分",
        "怎麼每次出門都下雨啊",
    ],
}
REQUESTS = [
    ("current_time", "I'd like to know the time in Tokyo"),
    ("timer", "I need a timer for five minutes"),
    ("timer", "I need five minutes on the clock"),
    ("current_time", "I was wondering what time it is in London"),
    ("get_weather", "I'd like to know whether it'll rain tomorrow"),
    ("set_lights", "It's too dark in here can you turn the lamp on"),
    ("timer", "I'm putting the cake in the oven please remind me in forty minutes"),
    ("get_weather", "We're going hiking tomorrow what's the weather going to be like"),
    ("send_message", "I'm late again please text Anna that I'm on my way"),
    ("calculate", "I want to know how much fifteen percent of eighty is"),
    ("convert_units", "I need to know how many grams are in five ounces"),
    ("search_notes", "I'd like you to look up the wifi code in my notes"),
    ("search_notes", "Could you see if my notes mention the landlord"),
    ("set_lights", "Would you mind dimming the lights"),
    ("set_lights", "I want the lights off"),
    ("timer", "麻煩你五分鐘後叫我"),
    ("current_time", "我想知道東京現在幾點"),
    ("timer", "提醒我十分鐘後關火"),
    ("get_weather", "我想知道明天會不會下雨"),
    ("get_weather", "我明天要去台南會下雨嗎"),
    ("set_lights", "我要睡了把燈關掉"),
    ("set_lights", "房間好暗麻煩開個燈"),
    ("send_message", "麻煩你跟小陳說我會晚到"),
    ("send_message", "我可能會遲到幫我傳訊息給阿明"),
    ("search_notes", "我想查一下筆記裡面的密碼"),
    ("search_notes", "可以幫我找找我筆記裡寫的食譜嗎"),
    ("calculate", "我想知道三百的百分之十五是多少"),
    ("convert_units", "我想知道五公里等於幾英里"),
    ("timer", "我需要一個五分鐘的計時器"),
    ("timer", "我要煮蛋幫我計時六分鐘"),
    ("current_time", "不好意思請問今天星期幾"),
    ("current_time", "你知道現在幾點嗎"),
]


def reached(message: str) -> set[str]:
    """Return the functions that a message calls, or that the language model is asked about."""
    route = choose_tool(message, TOOLS, NOW)
    return {route.tool.name} if route else {tool.name for tool in weakly_matching_tools(message, TOOLS, NOW)}


@pytest.mark.parametrize(
    "message", [remark + end for language, ends in ENDINGS.items() for remark in REMARKS[language] for end in ends]
)
def test_remark_with_or_without_punctuation_reaches_no_function(message: str) -> None:
    assert reached(message) == set()


@pytest.mark.parametrize(("tool", "request_text"), REQUESTS)
@pytest.mark.parametrize("end", ["", ".", "?"])
def test_request_in_any_wording_reaches_its_function(tool: str, request_text: str, end: str) -> None:
    assert tool in reached(request_text + end)


def test_wish_for_a_thing_is_left_to_the_model() -> None:
    message = "I need a new lamp for my desk"
    assert choose_tool(message, TOOLS, NOW) is None
    assert [tool.name for tool in weakly_matching_tools(message, TOOLS, NOW)] == ["set_lights"]


def test_keyword_in_a_few_words_starts_no_call_without_a_request() -> None:
    vacuum = {"name": "rx_17", "description": "Starts a device. Keywords: vacuum, robot"}
    assert choose_tool("A robot on Mars", [vacuum], NOW) is None
    assert choose_tool("Send the robot", [vacuum], NOW) is not None


@pytest.mark.parametrize(
    ("clause", "request_text"),
    [
        ("it's dark in here can you turn the lamp on", "can you turn the lamp on"),
        ("i never know what is going on", ""),
        ("my boss asked can you send it", ""),
        ("can you send it", ""),
        ("房间好暗麻烦开个灯", "麻烦开个灯"),
        ("朋友昨天帮我搬家", ""),
        ("帮我开灯", ""),
    ],
)
def test_request_within_a_clause_is_split_off(clause: str, request_text: str) -> None:
    assert split_onset(clause, is_chinese=not clause.isascii()) == request_text


@given(st.text(max_size=300), st.booleans())
def test_request_shape_takes_any_text(clause: str, is_chinese: bool) -> None:
    assert is_remark(clause, is_chinese=is_chinese) in (True, False)
    assert clause.endswith(split_onset(clause, is_chinese=is_chinese))
