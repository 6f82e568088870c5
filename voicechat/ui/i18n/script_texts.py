"""Texts of the page's scripts: button names, devices, hints and the sound check."""

from __future__ import annotations

from .choices import PREFERENCE_MESSAGES
from .locale import Locale, TranslationTable
from .picture_texts import PICTURE_TEXTS

SCRIPT_TEXTS: TranslationTable = {
    "app_title": ("Realtime Voice Chat", "即時語音對話"),
    "skip_link": ("Skip to the conversation", "跳到對話內容"),
    "other_language": ("中文", "EN"),
    "other_language_name": ("中文（繁體）", "English"),
    "large_captions": ("Large captions", "大字幕"),
    "large_captions_note": ("The last two turns, readable from across a room", "只顯示最後兩句，遠遠也看得清楚"),
    "settings": ("Settings", "設定"),
    "settings_close": ("Close settings", "關閉設定"),
    "close": ("Close", "關閉"),
    "welcome_voice": ("What shall we talk about?", "今天想聊什麼？"),
    "welcome_voice_lead": (
        "Press the green button and speak, in English or Mandarin.\n"
        "What you hear is written here; what you cut off is struck out.",
        "按綠色按鈕就能開口，中文、英語都可以。\n聽到的話會寫在這裡，被你打斷、沒聽到的會劃掉。",
    ),
    "welcome_text": ("What would you like to know?", "想知道什麼？"),
    "welcome_text_lead": (
        "This chat has a memory of its own. It knows nothing of your calls, and they know nothing of it.",
        "這裡的對話有自己的記憶，和語音通話互不相通。",
    ),
    "suggest_title": ("Say, for example", "可以這樣說"),
    "suggest_text_title": ("Ask, for example", "可以這樣問"),
    "suggest_tides": ("How do tides work?", "為什麼會有潮汐？"),
    "suggest_bedtime": ("Tell me a bedtime story", "講一個睡前故事"),
    "suggest_tainan": ("Plan a day in Tainan", "幫我排台南一日遊"),
    "suggest_coffee": ("Order coffee with me", "陪我練習點咖啡"),
    "suggest_table": ("Compare pour-over and French press in a table", "用表格比較手沖和法式濾壓"),
    "suggest_function": ("Write a function that converts °C to °F", "寫一個把攝氏換成華氏的函式"),
    "suggest_email": ("How do I ask for a day off by e-mail?", "怎麼寫信請一天假？"),
    "persona_title": ("Who you talk to", "和誰說話"),
    "overlay_connecting": ("Connecting…", "連線中…"),
    "overlay_connecting_note": (
        "If your browser asks for the microphone, choose “Allow”.",
        "瀏覽器詢問麥克風時，請按「允許」。",
    ),
    "overlay_waiting": ("You are number {position} in the queue", "你排在第 {position} 位"),
    "overlay_waiting_note": (
        "All call slots are in use. Your call connects by itself: just leave this page open.",
        "目前通話名額已滿。輪到你時會自動接通，請讓這個網頁開著。",
    ),
    "write_meanwhile": ("Write in the text chat meanwhile", "先用文字聊"),
    "line_ended": ("Call ended after {time}", "通話結束，共 {time}"),
    "line_lost": (
        "Connection lost at {time}. What was heard is kept.",
        "{time} 連線中斷，聽到的內容都還在。",
    ),
    "newest": ("Go to the newest message", "跳到最新的訊息"),
    "volume": ("Volume", "音量"),
    "volume_percent": ("Volume {percent} %", "音量 {percent}%"),
    "more": ("More", "更多"),
    "word_mute": ("Mute", "靜音"),
    "word_muted": ("Muted", "已靜音"),
    "check_word": ("Test", "測試"),
    "check_name": ("Sound check", "聲音測試"),
    "check_short": ("Sound check", "聲音測試"),
    "check_title": ("Sound check", "聲音測試"),
    "save_title": ("Save this conversation", "儲存這段對話"),
    "history_title": ("Past conversations", "對話紀錄"),
    "history_keep": ("Keep past conversations", "保留對話紀錄"),
    "history_keep_note": (
        "In this browser only; sent only to go on from it",
        "只存在這個瀏覽器，接著聊的時候才會傳給伺服器",
    ),
    "history_search": ("Search", "搜尋"),
    "history_export": ("Export", "匯出"),
    "history_delete": ("Delete", "刪除"),
    "history_untitled": ("Conversation", "對話"),
    "history_empty": ("Nothing is kept yet.", "還沒有任何對話紀錄。"),
    "history_off": (
        "Keeping is off (settings, “Reading and display”).",
        "目前沒有保留，可以在設定的「閱讀與顯示」開啟。",
    ),
    "history_in_call": ("Hang up first, then open a past conversation.", "請先掛斷，再開啟對話紀錄。"),
    "history_refused": (
        "This conversation cannot be opened now. Nothing has changed.",
        "現在無法開啟這段對話，目前的內容不變。",
    ),
    "history_open_confirm": (
        "The conversation on the page is replaced. If it was recorded, the recording is erased. Continue?",
        "頁面上的對話會換成這一段；如果有錄音，錄音會刪除。要繼續嗎？",
    ),
    "history_full": (
        "This browser has no room left: the present conversation is not kept. Delete past ones to make room.",
        "這個瀏覽器的空間不夠，目前的對話沒有保留。可以刪除以前的對話來騰出空間。",
    ),
    "history_you": ("You", "你"),
    "history_model": ("Model", "模型"),
    "keys_title": ("Keyboard shortcuts", "鍵盤快速鍵"),
    "key_space": ("Space", "空白鍵"),
    "key_mute": ("mute the microphone, during a call", "通話中：麥克風靜音"),
    "key_stop": ("stop the voice, or close what is open", "停止模型的聲音，或關閉開著的視窗"),
    "key_talk": ("hold to talk, with push to talk on", "按住就能說話（要先開啟「按住說話」）"),
    "key_send": ("send the message", "送出訊息"),
    "key_line": ("start a new line", "換行"),
    "key_help": ("show these keys", "顯示這份清單"),
    "clear_conversation": ("Clear the conversation", "清除對話"),
    "type_instead": ("Type instead", "改用打字"),
    "talk_instead": ("Hold to talk instead", "改用按住說話"),
    "tools_note": (
        "Switch off what the model shall not use. Only the operator can add a tool.",
        "關掉不想讓模型使用的工具。只有管理員能新增工具。",
    ),
    "tool_seconds": ("{seconds} s", "{seconds} 秒"),
    **PICTURE_TEXTS,
    "outbox_title": ("Messages that wait for a connection", "等待連線的訊息"),
    "outbox_waiting": ("waits for the connection", "等待連線"),
    "outbox_sending": ("being sent", "傳送中"),
    "outbox_refused": ("not sent", "沒有送出"),
    "outbox_held": ("waits for your choice of key", "等你選擇金鑰"),
    "outbox_take_back": ("Take back", "收回"),
    "offline_voices": (
        "Each voice is for one language. In the other one, the most similar voice speaks.",
        "每個聲音說一種語言，遇到另一種語言時由最相近的聲音來說。",
    ),
    "forget_confirm": (
        "Both conversations, the recording and the past conversations in this browser are erased. Continue?",
        "語音和文字的對話、錄音，以及這個瀏覽器裡的對話紀錄都會清除。要繼續嗎？",
    ),
    "forget_me_note": (
        "Erases both conversations, the recording, the settings, and the past conversations in this browser.",
        "清除語音和文字的對話、錄音、設定，以及這個瀏覽器裡的對話紀錄。",
    ),
    "server_gone": (
        "The server does not answer. Waiting for it…",
        "伺服器沒有回應，正在等它恢復…",
    ),
    "server_draining": (
        "The server is being shut down. When it is back, this page goes on by itself.",
        "伺服器正要關閉，等它恢復後，這個網頁會自動接著繼續。",
    ),
    "server_moving": (
        "Another server takes over. The conversation goes on there in a moment.",
        "馬上會換一台伺服器，對話會接著繼續。",
    ),
    "resume_cut": (
        "The call was cut off. What was heard is kept.",
        "通話中斷了，聽到的內容都還在。",
    ),
    "resume_own_key": (
        "The call was cut off. It used your own key, which a reloaded page no longer has. Enter it again, or go on "
        "with the key of this site.",
        "通話中斷了。剛才用的是你自己的金鑰，重新載入後不會保留：請重新輸入，或改用本站的金鑰繼續。",
    ),
    "own_key_lost": (
        "The page was loaded again, and it does not keep your own key: enter it again, or go on with the key of this "
        "site.",
        "頁面重新載入了，不會保留你自己的金鑰：請重新輸入，或改用本站的金鑰繼續。",
    ),
    "own_key_enter": ("Enter the key", "輸入金鑰"),
    "own_key_go_on": ("Go on with this site's key", "改用本站的金鑰"),
    "resume_go_on": ("Go on with the call", "繼續通話"),
    "appearance": ("Appearance", "外觀"),
    "appearance_auto": ("Auto", "自動"),
    "appearance_light": ("Light", "淺色"),
    "appearance_dark": ("Dark", "深色"),
    "key_summary": ("For your own calls only", "只用在你自己的通話"),
    "no_microphone": ("Calls without a microphone", "不用麥克風通話"),
    "no_microphone_note": ("You type, and the answers are spoken", "你打字，模型用語音回答"),
    "push_to_talk_note": ("Hold the space bar while you speak", "說話時按住空白鍵"),
    "web_only_note": ("For networks that block UDP", "適用於封鎖 UDP 的網路"),
    "language_confirm": (
        "The page reloads in the other language. What was said is kept, but a call is cut off. Continue?",
        "切換語言會重新載入網頁。對話內容會保留，但通話會中斷。要繼續嗎？",
    ),
    "word_start": ("Call", "通話"),
    "word_wait": ("Connecting…", "連線中…"),
    "word_queue": ("Leave the queue", "取消排隊"),
    "word_stop": ("Hang up", "掛斷"),
    "name_start": ("Call", "開始通話"),
    "name_wait": ("Stop connecting", "停止連線"),
    "name_queue": ("Leave the queue", "取消排隊"),
    "name_stop": ("Hang up", "掛斷"),
    "name_mute_microphone": ("Mute the microphone", "麥克風靜音"),
    "name_unmute_microphone": ("Unmute the microphone", "取消麥克風靜音"),
    "name_mute_speaker": ("Mute the loudspeaker", "喇叭靜音"),
    "name_unmute_speaker": ("Unmute the loudspeaker", "取消喇叭靜音"),
    "name_reset": ("Reset to default value", "恢復預設值"),
    "device_microphone": ("Microphone", "麥克風"),
    "device_speaker": ("Loudspeaker", "喇叭"),
    "device_default": ("System default", "系統預設"),
    "device_unnamed": ("Device", "裝置"),
    "push_to_talk": ("Push to talk", "按住說話"),
    "counts_now": PREFERENCE_MESSAGES["now"],
    "counts_next_call": PREFERENCE_MESSAGES["next_call"],
    "hold_to_talk": ("Hold to talk (space bar)", "按住說話（空白鍵）"),
    "web_only": ("Web connection only", "只用網頁連線"),
    "check_privacy": (
        "When you call, your browser asks for the microphone. It is on only while the button is red, and your voice "
        "goes only to this page's server and the model service named at the bottom right.",
        "通話時瀏覽器會先詢問能不能使用麥克風。只有按鈕是紅色的時候才會收音，聲音只會傳到這個網頁的伺服器，"
        "以及右下角所示的模型服務。",
    ),
    "check_privacy_offline": (
        "When you call, your browser asks for the microphone. It is on only while the button is red, and your voice "
        "stays on this server.",
        "通話時瀏覽器會先詢問能不能使用麥克風。只有按鈕是紅色的時候才會收音，聲音只留在這台伺服器。",
    ),
    "check_privacy_network": (
        "When you call, your browser asks for the microphone. It is on only while the button is red, and your voice "
        "goes only to this page's server and to models in its operator's own network.",
        "通話時瀏覽器會先詢問能不能使用麥克風。只有按鈕是紅色的時候才會收音，聲音只會傳到這個網頁的伺服器，"
        "以及管理員自己網路裡的模型。",
    ),
    "check_privacy_text": (
        "When you call, your browser asks for the microphone. It is on only while the button is red, and your voice "
        "stays on this server. Text of the conversation goes to services that its operator has chosen.",
        "通話時瀏覽器會先詢問能不能使用麥克風。只有按鈕是紅色的時候才會收音，聲音只留在這台伺服器，"
        "對話的文字會傳到管理員選用的服務。",
    ),
    "check_start": ("Sound check (10 seconds)", "聲音測試（10 秒）"),
    "check_later": ("Not now", "先不用"),
    "check_close": ("Close", "關閉"),
    "check_again": ("Try again", "再試一次"),
    "check_use": ("Use:", "改用："),
    "check_yes": ("Yes", "有"),
    "check_no": ("No", "沒有"),
    "check_meter": ("How loud you are", "音量大小"),
    "check_title_microphone": ("Microphone", "麥克風"),
    "check_title_level": ("Your voice", "你的聲音"),
    "check_title_echo": ("Loudspeaker and echo", "喇叭與回音"),
    "check_title_network": ("Network", "網路"),
    "check_allow": (
        "Your browser may ask for the microphone now: allow it.",
        "瀏覽器現在可能會詢問能不能使用麥克風，請按「允許」。",
    ),
    "check_microphone": ("The microphone works.", "麥克風可以使用。"),
    "check_denied": (
        "The microphone is blocked for this page. Allow it with the icon beside the address.",
        "這個網頁的麥克風被封鎖了。請按網址旁的圖示，改成「允許」。",
    ),
    "check_framed": (
        "The surrounding page does not allow this page to use the microphone.",
        "外層的網頁不讓這個網頁使用麥克風。",
    ),
    "check_own_tab": ("Open in a new tab", "在新分頁開啟"),
    "check_missing": ("No microphone was found. Connect one.", "找不到麥克風，請接上麥克風。"),
    "check_busy": (
        "The microphone could not be opened. Close other programs that use it.",
        "無法開啟麥克風，請關閉其他正在使用麥克風的程式。",
    ),
    "check_insecure": (
        "Browsers allow the microphone only on https pages and on localhost.",
        "瀏覽器只允許 https 網頁或 localhost 使用麥克風。",
    ),
    "check_no_https": (
        "Browsers allow the microphone only on https pages and on localhost, and this address has no https. Ask the "
        "administrator for a public link (SHARE=1).",
        "瀏覽器只允許 https 網頁或 localhost 使用麥克風，而這個網址沒有 https。請向管理員索取公開連結（SHARE=1）。",
    ),
    "check_https": ("Open with https", "改用 https 開啟"),
    "check_say": (
        "Say a sentence, for example: “Hello, can you hear me?”",
        "請說一句話，例如：「哈囉，聽得到嗎？」",
    ),
    "check_heard": ("Your voice is clear.", "聲音很清楚。"),
    "check_silent": (
        "The microphone sends no sound at all. It may be switched off, or the wrong microphone is selected.",
        "麥克風完全沒有聲音。它可能關著，或是選錯了麥克風。",
    ),
    "check_quiet": (
        "Your voice is too quiet. Move closer, or use another microphone.",
        "聲音太小了。請靠近一點，或換一支麥克風。",
    ),
    "check_loud": (
        "Your voice is so loud that it is distorted. Move away from the microphone a little.",
        "聲音太大，已經破音了。請離麥克風遠一點。",
    ),
    "check_tune": ("A short melody is playing now.", "現在會播放一小段旋律。"),
    "check_asked": (
        "No echo reaches the microphone. Did you hear the melody?",
        "麥克風沒有收到回音。你有聽到旋律嗎？",
    ),
    "check_asked_only": ("Did you hear the melody?", "你有聽到旋律嗎？"),
    "check_loudspeaker": ("You can hear the loudspeaker.", "聽得到喇叭的聲音。"),
    "check_no_echo": (
        "You can hear the loudspeaker, and it does not disturb the microphone.",
        "聽得到喇叭的聲音，也不會干擾麥克風。",
    ),
    "check_echo": (
        "The microphone picks up the loudspeaker: the model could interrupt itself. Headphones help most.",
        "麥克風會收到喇叭的聲音，模型可能會被自己的聲音打斷。建議戴上耳機。",
    ),
    "check_fix_push": ("Use push to talk", "改用按住說話"),
    "check_push_chosen": (
        "Push to talk is on: the microphone is open only while you hold the space bar or the button.",
        "已開啟「按住說話」：只有按住空白鍵或按鈕時才會收音。",
    ),
    "check_unheard": (
        "Turn up the volume of this device, or use another loudspeaker.",
        "請把裝置本身的音量調大，或換一個喇叭。",
    ),
    "check_fix_loud": ("Set full volume and try again", "網頁音量調到最大，再試一次"),
    "check_network": ("Looking for the fastest connection to the server…", "正在尋找最快的連線方式…"),
    "check_udp": ("The fastest connection to the server (UDP) is available.", "可以使用最快的連線方式（UDP）。"),
    "check_web": (
        "This network blocks UDP. Calls switch to the web connection automatically after three seconds.",
        "這裡的網路擋住了 UDP。通話會在三秒後自動改走網頁連線。",
    ),
    "check_fix_web": ("Always use the web connection", "以後直接使用網頁連線"),
    "check_web_chosen": (
        "Calls use the web connection at once. The setting is under “Microphone and loudspeaker”.",
        "以後通話會直接使用網頁連線，可以在「麥克風與喇叭」裡改回來。",
    ),
    "check_unreachable": ("The server does not respond.", "伺服器沒有回應。"),
    "check_no_webrtc": (
        "This browser cannot make calls (it has no WebRTC). Use another one, or allow WebRTC in its settings.",
        "這個瀏覽器無法通話（沒有 WebRTC）。請改用其他瀏覽器，或在設定中允許 WebRTC。",
    ),
    "hint_denied": (
        "The microphone is blocked. Allow it for this page in the browser's address bar, then press the button again.",
        "麥克風被封鎖了。請在瀏覽器網址列允許這個網頁使用麥克風，再按一次按鈕。",
    ),
    "hint_missing": (
        "No microphone was found. Connect one, then press the button again.",
        "找不到麥克風。請接上麥克風，再按一次按鈕。",
    ),
    "hint_busy": (
        "The microphone could not be opened. Close other programs that use it, then press the button again.",
        "無法開啟麥克風。請關閉其他正在使用麥克風的程式，再按一次按鈕。",
    ),
    "hint_insecure": (
        "Browsers allow the microphone only on https pages and on localhost. Open this page at such an address.",
        "瀏覽器只允許 https 網頁或 localhost 使用麥克風，請改用這樣的網址。",
    ),
    "hint_no_webrtc": (
        "This browser cannot make calls (it has no WebRTC). Use another one, or allow WebRTC in its settings.",
        "這個瀏覽器無法通話（沒有 WebRTC）。請改用其他瀏覽器，或在設定中允許 WebRTC。",
    ),
    "hint_lost": (
        "The connection was lost. Press the button to call again.",
        "連線中斷了，請再按一次按鈕重新通話。",
    ),
    "hint_unplugged": (
        "The microphone was disconnected. Press the button to call again.",
        "麥克風已被拔除或停用，請再按一次按鈕重新通話。",
    ),
}


def script_texts_by_locale() -> dict[Locale, dict[str, str]]:
    """Return `SCRIPT_TEXTS` by locale, for the page's scripts."""
    return {
        "en": {code: english for code, (english, _) in SCRIPT_TEXTS.items()},
        "zh-TW": {code: chinese for code, (_, chinese) in SCRIPT_TEXTS.items()},
    }
