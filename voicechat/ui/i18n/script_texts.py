"""Texts of the page's scripts: button names, devices, hints and the sound check."""

from __future__ import annotations

from .locale import Locale, TranslationTable

SCRIPT_TEXTS: TranslationTable = {
    "language_confirm": (
        "The page reloads in the other language, and this conversation will be lost. Continue?",
        "切換語言會重新載入網頁，這段對話會消失。要繼續嗎？",
    ),
    "word_start": ("Call", "通話"),
    "word_wait": ("Connecting…", "連線中…"),
    "word_queue": ("In the queue…", "排隊中…"),
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
    "hold_to_talk": ("Hold to talk (space bar)", "按住說話（空白鍵）"),
    "keys": (
        "During a call: M mutes the microphone, Esc stops the voice. With push to talk on, hold the space bar to talk.",
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
