"""Every sentence a visitor reads, in English and in Traditional Chinese (Taiwan).

Static labels go through Gradio's own translation in the browser (`I18N`); sentences made on the server are looked up
here by code, in the language the visitor's browser asked for (`locale_of`). A code without a sentence is a bug, and a
test says so.
"""

from __future__ import annotations

from typing import Literal

import gradio as gr

Locale = Literal["en", "zh-TW"]

LABELS: dict[str, dict[str, str]] = {
    "en": {
        "app_title": "# Realtime Voice Chat",
        "other_language": "中文",
        "voice_chat": "Conversation",
        "voice_placeholder": "Press the green button and talk; your browser asks for the microphone first. "
        "It listens only while the button is red. You can interrupt at any time.",
        "voice_input": "Type during the call (Shift+Enter: new line)",
        "voice_send": "Send",
        "voice_clear": "Clear",
        "voice_volume": "Volume (%)",
        "voice_export": "Save this conversation",
        "voice_export_md": "Text (Markdown)",
        "voice_export_json": "Data (JSON)",
        "voice_export_srt": "Subtitles (SRT)",
        "voice_export_wav": "Recording (WAV)",
        "voice_export_note": "The recording is kept for this page only, you on the left and the model on the right. "
        "Clear, or closing the page, erases it.",
        "voice_export_note_text": "Calls are not recorded here.",
        "voice_tab": "Voice",
        "text_tab": "Text",
        "text_chat": "Text chat",
        "text_placeholder": "Press Connect, or just type a message.",
        "text_input": "Message (Enter: send, Shift+Enter: new line)",
        "text_stop": "Stop",
        "text_connect": "Connect",
        "wishes_title": "How it talks and listens",
        "wishes_note": "For your own calls. Each change says when it counts.",
        "wish_model": "Model",
        "wish_voice": "Voice",
        "wish_language": "You speak",
        "wish_pace": "End of your turn",
        "wish_noise": "Noise filter",
        "wish_speed": "Speed",
        "wish_cost": "A call may cost (US$, 0: as set)",
        "wish_preset": "Who it is",
        "wish_words": "What it is told to be",
        "devices_title": "Microphone and loudspeaker",
        "key_title": "Your own API key",
        "key_placeholder": "OpenAI API key",
        "key_use": "Use",
        "key_forget": "Forget",
        "key_note": "Kept in the memory of this page's session only; used for calls and chats you start from then on.",
    },
    "zh-TW": {
        "app_title": "# 即時語音對話",
        "other_language": "English",
        "voice_chat": "對話內容",
        "voice_placeholder": "按下綠色按鈕就能開始說話，瀏覽器會先詢問麥克風權限。"
        "只有按鈕變成紅色時才會收音，隨時可以打斷。",
        "voice_input": "通話中也能打字（Shift+Enter 換行）",
        "voice_send": "送出",
        "voice_clear": "清除",
        "voice_volume": "音量（%）",
        "voice_export": "儲存這段對話",
        "voice_export_md": "文字（Markdown）",
        "voice_export_json": "資料（JSON）",
        "voice_export_srt": "字幕（SRT）",
        "voice_export_wav": "錄音（WAV）",
        "voice_export_note": "錄音只會暫存在這個網頁，左聲道是你，右聲道是模型。按「清除」或關閉網頁就會刪除。",
        "voice_export_note_text": "這裡不會錄下通話。",
        "voice_tab": "語音",
        "text_tab": "文字",
        "text_chat": "文字對話",
        "text_placeholder": "按「連線」，或直接輸入訊息。",
        "text_input": "輸入訊息（Enter 送出，Shift+Enter 換行）",
        "text_stop": "停止",
        "text_connect": "連線",
        "wishes_title": "說話與聆聽的方式",
        "wishes_note": "只影響你自己的通話，每項變更都會說明何時生效。",
        "wish_model": "模型",
        "wish_voice": "聲音",
        "wish_language": "你說的語言",
        "wish_pace": "多久算說完",
        "wish_noise": "噪音過濾",
        "wish_speed": "語速",
        "wish_cost": "每通費用上限（美元，0：預設）",
        "wish_preset": "角色",
        "wish_words": "給模型的指示",
        "devices_title": "麥克風與喇叭",
        "key_title": "使用自己的 API 金鑰",
        "key_placeholder": "OpenAI API 金鑰",
        "key_use": "使用",
        "key_forget": "移除",
        "key_note": "金鑰只留在這個網頁的工作階段裡，之後開始的通話與對話才會使用。",
    },
}

I18N = gr.I18n(**LABELS)


def label(key: str) -> gr.i18n.I18nData:
    """A static label, translated in the browser."""
    if key not in LABELS["en"]:
        raise KeyError(key)
    return I18N(key)


# ------------------------------------------------------------------ sentences by code: (English, Traditional Chinese)

STAGES: dict[str, tuple[str, str]] = {
    "idle": ("Ready. Press the green button to talk.", "準備好了，按綠色按鈕開始通話。"),
    "loading": ("Getting ready: the voice models are loading…", "準備中：正在載入語音模型…"),
    "waiting": (
        "All lines are busy: you are number {place} in line. Your call connects by itself.",
        "目前線路滿載，您排在第 {place} 位，輪到時會自動接通。",
    ),
    "connecting": ("Connecting…", "連線中…"),
    "listening": ("Connected. I'm listening, go ahead.", "已接通，請說，我在聽。"),
    "hearing": ("Listening to you…", "正在聽你說…"),
    "thinking": ("Thinking…", "思考中…"),
    "speaking": ("Speaking. You can interrupt.", "說話中，可以直接打斷。"),
    "reconnecting": ("The connection was lost. Reconnecting…", "連線中斷，正在重新連線…"),
    "ended": ("Call ended. The microphone is off.", "通話結束，麥克風已關閉。"),
    "failed": ("The call could not go on.", "通話無法繼續。"),
}

NOTICES: dict[str, tuple[str, str]] = {
    "not_in_call": (
        "Start a call first: press the green button, then send your message.",
        "請先按綠色按鈕開始通話，再送出訊息。",
    ),
    "over_web": (
        "The direct way is blocked; the call goes over the web connection.",
        "直接連線被擋住了，通話改走網頁連線。",
    ),
    "models_missing": (
        "The voice models are missing. Run start.sh (or start.bat), or: python -m offline.models fetch.",
        "缺少語音模型。請執行 start.sh（或 start.bat），或：python -m offline.models fetch。",
    ),
    "models_fetching": (
        "Getting ready: the voice models are being downloaded. The first time takes some minutes.",
        "準備中：正在下載語音模型，第一次需要幾分鐘。",
    ),
    "english_only": (
        "Ready, in English only: the Mandarin voice files are missing.",
        "準備好了，但目前只有英語：缺少中文語音檔。",
    ),
    # ---- why a call could not start or go on (realtime.connection.Failure)
    "wrong_key": (
        "The server did not accept the API key. Whoever runs this app has to check it.",
        "伺服器不接受 API 金鑰，請管理這個程式的人檢查金鑰。",
    ),
    "wrong_own_key": (
        "The server did not accept your API key. Check it, or go on without it.",
        "伺服器不接受你的 API 金鑰，請檢查金鑰，或改為不使用它。",
    ),
    "wrong_address": (
        "What answers there is no Realtime server. Whoever runs this app has to check the address.",
        "該位址不是 Realtime 伺服器，請管理這個程式的人檢查位址。",
    ),
    "model_not_found": (
        "The server does not have the chosen model. Whoever runs this app has to choose another.",
        "伺服器沒有所選的模型，請管理這個程式的人改選其他模型。",
    ),
    "day_spent": (
        "As much as this app may spend in a day is spent. Come back tomorrow.",
        "今天的費用額度已經用完，請明天再來。",
    ),
    "quota": ("The account has no credit left.", "帳戶的額度已經用完。"),
    "server_full": (
        "All lines of the server are busy. Try again in a moment.",
        "伺服器目前滿線，請稍後再試。",
    ),
    "server_busy": ("All lines are busy. Try again in a moment.", "目前滿線，請稍後再試。"),
    "visitor_busy": (
        "You already have as many calls as one visitor may have. Hang up one of them first.",
        "你同時進行的通話已達上限，請先掛斷其中一通。",
    ),
    "visitor_day": (
        "You have talked as long as one visitor may in a day. Come back tomorrow.",
        "你今天的通話時間已經用完，請明天再來。",
    ),
    "closing": (
        "The server is closing for maintenance. Try again in a few minutes.",
        "伺服器正在關閉維護，請過幾分鐘再試。",
    ),
    "closing_soon": (
        "The server is closing for maintenance: this call ends within {seconds} seconds.",
        "伺服器即將關閉維護，這通電話會在 {seconds} 秒內結束。",
    ),
    "unreachable": (
        "The server cannot be reached. Check the network, then call again.",
        "連不到伺服器，請檢查網路後再通話。",
    ),
    "lost": (
        "The connection to the server was lost. Call again to go on.",
        "與伺服器的連線中斷了，請重新撥打，繼續對話。",
    ),
    "expired": (
        "This call reached the server's time limit. Call again to go on.",
        "通話已達伺服器的時間上限，請重新撥打，繼續對話。",
    ),
    "refused_settings": (
        "The server refused the call's settings. The log says which one.",
        "伺服器拒絕了通話設定，細節請看程式的紀錄。",
    ),
    "server_error": ("The server had a problem. Call again in a moment.", "伺服器發生問題，請稍後再通話。"),
    # ---- what else a call may have to say (realtime.call.Notice)
    "idle_timeout": (
        "Nobody said anything for a while, so the call was ended.",
        "太久沒有人說話，通話已自動結束。",
    ),
    "no_microphone": (
        "No sound came from your microphone any more, so the call was ended.",
        "麥克風已經沒有聲音傳來，通話已自動結束。",
    ),
    "time_limit": ("The call reached its time limit. Call again to go on.", "通話已達時間上限，請重新撥打，繼續對話。"),
    "reply_failed": ("There was no answer this time. Please say it again.", "這次沒有得到回答，請再說一次。"),
    "renewing": ("Renewing the connection; the conversation goes on…", "正在更新連線，對話會繼續…"),
    "wish_refused": (
        "The server does not take that setting. The call goes on as it was.",
        "伺服器不接受這項設定，通話維持原本的設定。",
    ),
    "call_spent": (
        "As much as one call may cost is spent. Thank you for talking.",
        "這通電話的費用額度已經用完，謝謝你的通話。",
    ),
    "message_too_long": ("That message is too long to send.", "這則訊息太長，無法送出。"),
    "internal_error": ("Something went wrong here. Call again to go on.", "程式發生問題，請重新撥打，繼續對話。"),
    "loading": ("The voice models are still loading. Try again in a few seconds.", "語音模型還在載入，請過幾秒再試。"),
}


# ------------------------------------------------------------------ the text chat: the same codes, in its own words

CHAT_STAGES: dict[str, tuple[str, str]] = {
    **STAGES,
    "idle": ("Not connected. Press Connect, or just type.", "尚未連線。按「連線」，或直接輸入訊息。"),
    "waiting": (
        "All places are taken: you are number {place} in line. The chat connects by itself.",
        "目前連線已滿，您排在第 {place} 位，輪到時會自動連線。",
    ),
    "listening": ("Connected. Type a message.", "已連線，請輸入訊息。"),
    "hearing": ("Connected. Type a message.", "已連線，請輸入訊息。"),
    "thinking": ("Writing…", "回覆中…"),
    "speaking": ("Writing…", "回覆中…"),
    "ended": ("Disconnected. What was said stays here.", "已中斷連線，對話內容會保留。"),
    "failed": ("The chat could not go on.", "對話無法繼續。"),
}

CHAT_NOTICES: dict[str, tuple[str, str]] = {
    **NOTICES,
    "unreachable": (
        "The server cannot be reached. Check the network, then connect again.",
        "連不到伺服器，請檢查網路後再連線。",
    ),
    "lost": (
        "The connection to the server was lost. Connect again to go on.",
        "與伺服器的連線中斷了，請重新連線繼續。",
    ),
    "expired": (
        "This chat reached the server's time limit. Connect again to go on.",
        "對話已達伺服器的時間上限，請重新連線繼續。",
    ),
    "refused_settings": (
        "The server refused the chat's settings. The log says which one.",
        "伺服器拒絕了對話設定，細節請看程式的紀錄。",
    ),
    "server_error": ("The server had a problem. Connect again in a moment.", "伺服器發生問題，請稍後再連線。"),
    "server_busy": ("All places are taken. Try again in a moment.", "目前連線已滿，請稍後再試。"),
    "closing_soon": (
        "The server is closing for maintenance: this chat ends within {seconds} seconds.",
        "伺服器即將關閉維護，這段對話會在 {seconds} 秒內結束。",
    ),
    "call_spent": ("As much as one chat may cost is spent.", "這段對話的費用額度已經用完。"),
    "idle_timeout": (
        "Nobody wrote anything for a while, so the connection was closed. Type to go on.",
        "太久沒有訊息，連線已自動中斷。輸入訊息就能繼續。",
    ),
    "time_limit": (
        "The chat reached its time limit. Connect again to go on.",
        "對話已達時間上限，請重新連線繼續。",
    ),
    "reply_failed": ("There was no answer this time. Please send it again.", "這次沒有得到回答，請再送一次。"),
    "internal_error": ("Something went wrong here. Connect again to go on.", "程式發生問題，請重新連線繼續。"),
}

# ------------------------------------------------------------------ what is saved of a conversation

EXPORT: dict[str, tuple[str, str]] = {
    "title": ("Conversation", "對話紀錄"),
    "user": ("You", "你"),
    "assistant": ("Model", "模型"),
    "nothing": ("There is nothing to save yet.", "目前還沒有可以儲存的內容。"),
}

# ------------------------------------------------------------------ what the page's own scripts say

PAGE: dict[str, tuple[str, str]] = {
    "language_confirm": (
        "The page is drawn anew in the other language, and this conversation is gone then. Go on?",
        "切換語言會重新載入網頁，這段對話會消失。要繼續嗎？",
    ),
    "word_start": ("Call", "通話"),
    "word_wait": ("Connecting…", "連線中…"),
    "word_line": ("In line…", "排隊中…"),
    "word_stop": ("Hang up", "掛斷"),
    "name_start": ("Call", "開始通話"),
    "name_wait": ("Stop connecting", "停止連線"),
    "name_line": ("Leave the line", "取消排隊"),
    "name_stop": ("Hang up", "掛斷"),
    "name_mute_microphone": ("Mute the microphone", "麥克風靜音"),
    "name_unmute_microphone": ("Unmute the microphone", "取消麥克風靜音"),
    "name_mute_speaker": ("Mute the loudspeaker", "喇叭靜音"),
    "name_unmute_speaker": ("Unmute the loudspeaker", "取消喇叭靜音"),
    "device_microphone": ("Microphone", "麥克風"),
    "device_speaker": ("Loudspeaker", "喇叭"),
    "device_default": ("The computer's own choice", "系統預設"),
    "device_unnamed": ("Device", "裝置"),
    "push_to_talk": ("Push to talk", "按住說話"),
    "hold_to_talk": ("Hold to talk (space bar)", "按住說話（空白鍵）"),
    "keys": (
        "During a call: M mutes the microphone, Esc stops the voice, the space bar talks when push to talk is on.",
        "通話中：M 鍵靜音，Esc 鍵停止語音，開啟「按住說話」後按住空白鍵說話。",
    ),
    "web_only": (
        "Web connection only (for networks that block UDP)",
        "只用網頁連線（適用於封鎖 UDP 的網路）",
    ),
    "check_privacy": (
        "When you call, your browser asks for the microphone. It is on only while the button is red, and your voice "
        "goes only to this page's server and the model service named at the bottom right.",
        "通話時瀏覽器會先詢問能不能使用麥克風。只有按鈕是紅色的時候才會收音，聲音只會傳到這個網頁的伺服器，"
        "以及右下角所示的模型服務。",
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
    "check_microphone": ("The microphone opens.", "麥克風可以使用。"),
    "check_denied": (
        "The microphone is blocked for this page. Allow it with the icon beside the address.",
        "這個網頁的麥克風被封鎖了。請按網址旁的圖示，改成「允許」。",
    ),
    "check_framed": (
        "The page around this one keeps the microphone from it.",
        "外層的網頁不讓這個網頁使用麥克風。",
    ),
    "check_own_tab": ("Open in a tab of its own", "在新分頁開啟"),
    "check_missing": ("No microphone was found. Connect one.", "找不到麥克風，請接上麥克風。"),
    "check_busy": (
        "The microphone could not be opened. Close other programs that use it.",
        "無法開啟麥克風，請關閉其他正在使用麥克風的程式。",
    ),
    "check_insecure": (
        "Browsers give the microphone only to https pages and to localhost.",
        "瀏覽器只允許 https 網頁或 localhost 使用麥克風。",
    ),
    "check_no_https": (
        "Browsers give the microphone only to https pages and to localhost, and this address has no https. Ask whoever "
        "runs this page for a public link (SHARE=1).",
        "瀏覽器只允許 https 網頁或 localhost 使用麥克風，而這個網址沒有 https。"
        "請向架設這個網頁的人要公開連結（SHARE=1）。",
    ),
    "check_https": ("Open with https", "改用 https 開啟"),
    "check_say": (
        "Say a sentence, for example: “Hello, can you hear me?”",
        "請說一句話，例如：「哈囉，聽得到嗎？」",
    ),
    "check_heard": ("You are heard well.", "聲音很清楚。"),
    "check_silent": (
        "The microphone sends no sound at all. It may have a switch of its own, or another one is meant.",
        "麥克風完全沒有聲音。它可能有自己的開關，或是選錯了麥克風。",
    ),
    "check_quiet": (
        "You are hardly heard. Come nearer, or take another microphone.",
        "聲音太小了。請靠近一點，或換一支麥克風。",
    ),
    "check_loud": (
        "You are so loud that the sound breaks up. Move away from the microphone a little.",
        "聲音太大，已經破音了。請離麥克風遠一點。",
    ),
    "check_tune": ("You hear a short melody now.", "現在會播放一小段旋律。"),
    "check_asked": (
        "No echo reaches the microphone. Did you hear the melody?",
        "麥克風沒有收到回音。你有聽到旋律嗎？",
    ),
    "check_asked_only": ("Did you hear the melody?", "你有聽到旋律嗎？"),
    "check_loudspeaker": ("The loudspeaker is heard.", "聽得到喇叭的聲音。"),
    "check_no_echo": (
        "The loudspeaker is heard, and the microphone is not disturbed by it.",
        "聽得到喇叭的聲音，也不會干擾麥克風。",
    ),
    "check_echo": (
        "The microphone hears the loudspeaker: answers could interrupt themselves. Headphones help most.",
        "麥克風會收到喇叭的聲音，模型可能會被自己的聲音打斷。建議戴上耳機。",
    ),
    "check_fix_push": ("Use push to talk", "改用按住說話"),
    "check_push_chosen": (
        "Push to talk is on: the microphone hears you only while you hold the space bar or the button.",
        "已開啟「按住說話」：只有按住空白鍵或按鈕時才會收音。",
    ),
    "check_unheard": (
        "Turn this device's own volume up, or take another loudspeaker.",
        "請把裝置本身的音量調大，或換一個喇叭。",
    ),
    "check_fix_loud": ("Page at full volume, and again", "網頁音量調到最大，再試一次"),
    "check_network": ("Looking for the fastest way to the server…", "正在尋找最快的連線方式…"),
    "check_udp": ("The fastest way to the server (UDP) is free.", "可以使用最快的連線方式（UDP）。"),
    "check_web": (
        "UDP does not get through here. Calls go over the web connection by themselves after three seconds.",
        "這裡的網路擋住了 UDP。通話會在三秒後自動改走網頁連線。",
    ),
    "check_fix_web": ("Take it at once from now on", "以後直接使用網頁連線"),
    "check_web_chosen": (
        "Calls take the web connection at once. The switch is under “Microphone and loudspeaker”.",
        "以後通話會直接使用網頁連線，可以在「麥克風與喇叭」裡改回來。",
    ),
    "check_unreachable": ("The server does not answer.", "伺服器沒有回應。"),
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
        "Browsers give the microphone only to https pages and to localhost. Open this page there.",
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
        "The microphone went away. Press the button to call again.",
        "麥克風已被拔除或停用，請再按一次按鈕重新通話。",
    ),
}


def page_tables() -> dict[Locale, dict[str, str]]:
    """`PAGE` by language, for the page's scripts."""
    return {
        "en": {code: english for code, (english, _) in PAGE.items()},
        "zh-TW": {code: chinese for code, (_, chinese) in PAGE.items()},
    }


# ------------------------------------------------------------------ how a visitor wants their calls


LANGUAGES: dict[str, tuple[str, str]] = {
    "en": ("English", "英語"),
    "zh": ("Chinese", "中文"),
}
PACES: dict[str, tuple[str, str]] = {
    "quick": ("Quick: answers as soon as you pause", "快：一停頓就回答"),
    "balanced": ("Balanced", "適中"),
    "patient": ("Patient: lets you think", "慢：讓你慢慢想"),
}
NOISES: dict[str, tuple[str, str]] = {
    "none": ("None", "不處理"),
    "near_field": ("Headset", "耳機麥克風"),
    "far_field": ("Laptop or loudspeaker", "筆電或桌上型麥克風"),
}

PRESETS: dict[str, tuple[str, str, str]] = {
    "english": (
        "English tutor",
        "英文老師",
        "You are a patient English tutor on a phone call. Speak simple English, one or two short sentences at a time. "
        "Correct one mistake at a time, kindly, and ask a question to keep the learner talking.",
    ),
    "mandarin": (
        "Mandarin tutor (Taiwan)",
        "華語老師（台灣）",
        "You are a patient teacher of Taiwanese Mandarin on a phone call. Speak slowly, in short sentences, and "
        "explain in the learner's language when they are lost. 一律使用台灣國語與繁體中文。",
    ),
    "interview": (
        "Job interviewer",
        "模擬面試官",
        "You are a friendly but demanding job interviewer. Ask one question at a time, listen, and follow up on what "
        "was said. Answer in the language you are spoken to.",
    ),
    "story": (
        "Storyteller",
        "說故事的人",
        "You are a storyteller for children. Tell the story in small pieces, and let the listener decide what happens "
        "next. Answer in the language you are spoken to. 說中文時使用台灣國語。",
    ),
}
"""By name: (English, Traditional Chinese, what the model is told)."""

WISHES: dict[str, tuple[str, str]] = {
    "as_set": ("As set", "預設"),
    "own_words": ("My own words", "自己寫"),
    "now": ("Counts from now on.", "現在開始生效。"),
    "next_turn": ("Counts from the next answer on.", "從下一次回答開始生效。"),
    "next_call": ("Counts from the next call on.", "從下一通電話開始生效。"),
    "nothing": ("Nothing has changed.", "沒有變更。"),
    "model_needs_key": (
        "That model needs your own API key; until then calls use the usual one.",
        "這個模型需要你自己的 API 金鑰；在那之前會使用原本的模型。",
    ),
}

# ------------------------------------------------------------------ by `Endpoint.name`

SERVERS: dict[str, tuple[str, str]] = {
    "offline": ("Offline", "離線"),
    "openai": ("OpenAI", "OpenAI"),
    "openai_own_key": ("OpenAI (own key)", "OpenAI（自己的金鑰）"),
    "custom": ("Custom", "自訂伺服器"),
    "custom_own_key": ("Custom (own key)", "自訂伺服器（自己的金鑰）"),
}

CONNECT_BUTTON: dict[str, tuple[str, str]] = {
    "connect": ("Connect", "連線"),
    "disconnect": ("Disconnect", "中斷連線"),
}

# ------------------------------------------------------------------ time and money

FIGURES: dict[str, tuple[str, str]] = {
    "waited": ("waited for you to finish", "等你說完"),
    "model": ("model", "模型"),
    "rest": ("network and playback", "網路與播放"),
    "p50": ("half of the answers came within", "一半的回答不超過"),
    "p95": ("95 of 100 answers came within", "95% 的回答不超過"),
    "picture": ("The last answers, in seconds", "最近幾次回答（秒）"),
    "span_spoke": ("you spoke", "你說話"),
    "span_waited": ("silence waited", "等待靜音"),
    "span_transcribing": ("transcribing", "語音轉文字"),
    "span_thinking": ("thinking", "思考"),
    "span_speaking": ("speaking", "生成語音"),
    "span_heard": ("heard", "聽到"),
    "free": ("US$0: the embedded server runs here", "US$0：內建伺服器在本機執行"),
    "unknown": ("Cost unknown: this model is not in the price table", "費用不明：價目表沒有這個模型"),
    "audio": ("audio", "語音"),
    "text": ("text", "文字"),
    "image": ("image", "影像"),
    "in": ("in", "輸入"),
    "cached": ("cached", "快取"),
    "out": ("out", "輸出"),
    "transcription": ("transcription", "語音轉文字"),
    "prices": ("list prices of", "定價日期"),
    "call_near": ("80 % of what one call may cost is spent.", "這通電話的費用額度已用掉 80%。"),
    "day_near": ("80 % of what a day may cost is spent.", "今天的費用額度已用掉 80%。"),
    "call_spent": ("What one call may cost is spent: it ends now.", "這通電話的費用額度已用完，即將結束。"),
    "day_spent": ("What a day may cost is spent: the call ends now.", "今天的費用額度已用完，通話即將結束。"),
}

KEY_STATES: dict[str, tuple[str, str]] = {
    "used": (
        "Your key is used for calls and chats you start from now on.",
        "從現在起開始的通話與對話會使用你的金鑰。",
    ),
    "none": ("No key of yours is used.", "目前沒有使用你的金鑰。"),
    "bad": (
        "That is not a key: it holds a space or a character that no key has.",
        "這不是金鑰：其中有空格或金鑰不會有的字元。",
    ),
}


def pick(words: tuple[str, str], locale: Locale) -> str:
    """(English, Traditional Chinese) -> the one asked for."""
    return words[1] if locale == "zh-TW" else words[0]


def as_locale(word: str) -> Locale | None:
    """One of the page's languages by its name; None for anything else."""
    return "en" if word == "en" else "zh-TW" if word == "zh-TW" else None


def locale_of(accept_language: str | None) -> Locale:
    """The page language for a browser's Accept-Language header: Chinese readers get zh-TW, all others English."""
    first = (accept_language or "").split(",")[0].strip().lower()
    return "zh-TW" if first.startswith("zh") else "en"


def sentence(table: dict[str, tuple[str, str]], code: str, locale: Locale) -> str:
    """The sentence for `code`. Raises KeyError for an unknown code."""
    return pick(table[code], locale)
