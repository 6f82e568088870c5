"""Texts of the status bar: stages and notices of calls and of chats, by the same codes."""

from __future__ import annotations

from .locale import Locale, TranslationTable, localize

CALL_STAGE_TEXTS: TranslationTable = {
    "idle": ("Ready. Press the green button to talk.", "準備好了，按綠色按鈕開始通話。"),
    "loading": ("Getting ready: the voice models are loading…", "準備中：正在載入語音模型…"),
    "waiting": (
        "All call slots are in use: you are number {position} in the waiting queue. Your call connects automatically.",
        "目前通話名額已滿，你排在第 {position} 位，輪到時會自動接通。",
    ),
    "connecting": ("Connecting…", "連線中…"),
    "listening": ("Connected. I'm listening, go ahead.", "已接通，請說，我在聽。"),
    "hearing": ("Listening to you…", "正在聽你說…"),
    "thinking": ("Thinking…", "思考中…"),
    "speaking": ("Speaking. You can interrupt.", "說話中，可以直接打斷。"),
    "reconnecting": ("The connection was lost. Reconnecting…", "連線中斷，正在重新連線…"),
    "ended": ("Call ended. The microphone is off.", "通話結束，麥克風已關閉。"),
    "failed": ("The call could not continue.", "通話無法繼續。"),
}

CALL_NOTICE_TEXTS: TranslationTable = {
    "not_in_call": (
        "Start a call first: press the green button, then send your message.",
        "請先按綠色按鈕開始通話，再送出訊息。",
    ),
    "over_web": (
        "The direct connection is blocked; the call continues over the web connection.",
        "直接連線被擋住了，通話改走網頁連線。",
    ),
    "models_missing": (
        "The voice models are missing. Run start.sh (or start.bat), or: python -m offline.models fetch.",
        "缺少語音模型。請執行 start.sh（或 start.bat），或：python -m offline.models fetch。",
    ),
    "embedded_unreachable": (
        "The speech server does not answer. The page goes on by itself as soon as it does.",
        "語音伺服器沒有回應，恢復後頁面會自動接上。",
    ),
    "models_fetching": (
        "Getting ready: the voice models are being downloaded. The first time takes some minutes.",
        "準備中：正在下載語音模型，第一次需要幾分鐘。",
    ),
    "english_only": (
        "Ready, in English only: the Mandarin voice models are missing or could not be loaded.",
        "準備好了，但目前只能說英語：中文語音模型不存在，或無法載入。",
    ),
    "mandarin_only": (
        "Ready, in Mandarin only: the English voice models are missing or could not be loaded.",
        "準備好了，但目前只能說中文：英語語音模型不存在，或無法載入。",
    ),
    # ---- failures: why a call could not start or continue (voicechat.protocol.failures)
    "wrong_key": (
        "The server did not accept the API key. The administrator has to check it.",
        "伺服器不接受 API 金鑰，請管理員檢查金鑰。",
    ),
    "wrong_own_key": (
        "The server did not accept your API key. Check it, or continue without it.",
        "伺服器不接受你的 API 金鑰，請檢查金鑰，或改為不使用它。",
    ),
    "forbidden": (
        "The server denied access. The administrator has to check the account, the key's permissions and the network.",
        "伺服器拒絕存取，請管理員檢查帳戶、金鑰的權限和網路。",
    ),
    "forbidden_own_key": (
        "The server denied access with your API key. Check its permissions and your account, or continue without it.",
        "伺服器拒絕以你的 API 金鑰存取，請檢查金鑰的權限和你的帳戶，或改為不使用它。",
    ),
    "region": (
        "The server is not available in the country or region of this app.",
        "伺服器不在這個應用程式所在的國家或地區提供服務。",
    ),
    "untrusted_certificate": (
        "The server's certificate is not trusted. The administrator has to check the certificate and the address.",
        "伺服器的憑證不受信任，請管理員檢查憑證和位址。",
    ),
    "unanswered": (
        "The server accepted the connection but never answered. The administrator has to check the address.",
        "伺服器接受了連線，卻一直沒有回應，請管理員檢查位址。",
    ),
    "refused": (
        "The server refused the connection because of its rules. The administrator has to check the account.",
        "伺服器依其規定拒絕了連線，請管理員檢查帳戶。",
    ),
    "refused_own_key": (
        "The server refused the connection because of its rules. Check the account of your API key, "
        "or continue without the key.",
        "伺服器依其規定拒絕了連線，請檢查你的 API 金鑰所屬的帳戶，或改為不使用金鑰。",
    ),
    "closed": ("The server closed the connection. Call again to continue.", "伺服器關閉了連線，請重新撥打，繼續對話。"),
    "inactive": (
        "The server closed the connection after a silence. Call again to continue.",
        "太久沒有聲音，伺服器關閉了連線，請重新撥打，繼續對話。",
    ),
    "wrong_address": (
        "There is no Realtime server at this address. The administrator has to check the address.",
        "該位址不是 Realtime 伺服器，請管理員檢查位址。",
    ),
    "model_not_found": (
        "The server does not have the chosen model. The administrator has to choose another.",
        "伺服器沒有所選的模型，請管理員改選其他模型。",
    ),
    "model_not_found_own_key": (
        "Your API key has no access to the chosen model. Choose another, or continue without the key.",
        "你的 API 金鑰不能使用所選的模型，請改選其他模型，或改為不使用金鑰。",
    ),
    "key_needed": (
        "A key is needed, because the embedded server does not run on this computer. The administrator has to set one.",
        "這台電腦無法執行內建伺服器，需要 API 金鑰，請管理員設定。",
    ),
    "day_spent": (
        "Today's spending limit is reached. Come back tomorrow.",
        "今天的費用額度已經用完，請明天再來。",
    ),
    "quota": ("The account has no credit left.", "帳戶的額度已經用完。"),
    "quota_own_key": (
        "The account of your API key has no credit left. Add credit, or continue without the key.",
        "你的 API 金鑰所屬帳戶的額度已經用完，請加值，或改為不使用金鑰。",
    ),
    "server_full": (
        "The server has no free connection. Try again in a moment.",
        "伺服器目前沒有空位，請稍後再試。",
    ),
    "server_busy": ("All call slots are in use. Try again in a moment.", "目前通話名額已滿，請稍後再試。"),
    "visitor_busy": (
        "You have reached the limit of calls, or of queued chats, for one visitor. End one of them first.",
        "你的通話或排隊中的對話已達上限，請先結束其中一個。",
    ),
    "visitor_day": (
        "You have used up your call time for today. Come back tomorrow.",
        "你今天的通話時間已經用完，請明天再來。",
    ),
    "closing": (
        "The server is closing for maintenance. Try again in a few minutes.",
        "伺服器即將停機維護，請過幾分鐘再試。",
    ),
    "closing_soon": (
        "The server is closing for maintenance: this call ends within {seconds} seconds.",
        "伺服器即將停機維護，這通電話會在 {seconds} 秒內結束。",
    ),
    "unreachable": (
        "The server cannot be reached. Check the network, then call again.",
        "連不到伺服器，請檢查網路後再通話。",
    ),
    "proxy_refused": (
        "The proxy of the network refuses the connection to the server. Its address, login or rules have to change.",
        "網路的代理伺服器（proxy）拒絕連線到伺服器，需要調整它的位址、帳號密碼或規則。",
    ),
    "lost": (
        "The connection to the server was lost. Call again to continue.",
        "與伺服器的連線中斷了，請重新撥打，繼續對話。",
    ),
    "expired": (
        "This call reached the server's time limit. Call again to continue.",
        "通話已達伺服器的時間上限，請重新撥打，繼續對話。",
    ),
    "refused_settings": (
        "The server refused the call's settings. The log has the details.",
        "伺服器拒絕了通話設定，細節請看程式的紀錄。",
    ),
    "server_error": ("The server had a problem. Call again in a moment.", "伺服器發生問題，請稍後再通話。"),
    # ---- other notices (voicechat.protocol.notices)
    "idle_timeout": (
        "The call was ended after a long silence.",
        "太久沒有人說話，通話已自動結束。",
    ),
    "no_microphone": (
        "The microphone stopped sending sound, so the call was ended.",
        "麥克風已經沒有聲音傳來，通話已自動結束。",
    ),
    "time_limit": (
        "The call reached its time limit. Call again to continue.",
        "通話已達時間上限，請重新撥打，繼續對話。",
    ),
    "reply_failed": ("There was no answer this time. Please say it again.", "這次沒有得到回答，請再說一次。"),
    "reply_too_long": (
        'The answer was cut off at the length limit. Say "go on" to hear the rest.',
        "回答太長，到了長度上限就被截斷。說「請繼續」可以聽後面的部分。",
    ),
    "reply_out_of_tokens": (
        "The model reached its length limit before the first word. Ask for something shorter.",
        "模型還沒開始回答就達到長度上限，請換個簡短一點的問法。",
    ),
    "reply_filtered": (
        "The server's content filter stopped the answer. Ask in another way.",
        "伺服器的內容過濾機制擋下了這次的回答，請換個方式問。",
    ),
    "reply_rate_limited": (
        "The server has had too many requests. Wait a little, then say it again.",
        "伺服器收到太多要求，請稍等一下再說一次。",
    ),
    "reply_broken_off": (
        "The server broke off the answer. Ask again to hear the rest.",
        "伺服器中途停止了回答，請再問一次。",
    ),
    "reply_lost": (
        "The connection was lost during the answer. Ask again to hear the rest.",
        "回答到一半時連線中斷，請再問一次。",
    ),
    "local_unreachable": (
        "The chosen language model cannot be reached: the built-in one answered.",
        "連不上指定的語言模型，這次由內建模型回答。",
    ),
    "local_key_refused": (
        "The chosen language model refuses the key: the built-in one answered.",
        "指定的語言模型不接受金鑰，這次由內建模型回答。",
    ),
    "local_no_credit": (
        "The chosen language model has no credit left: the built-in one answered.",
        "指定的語言模型額度已經用完，這次由內建模型回答。",
    ),
    "local_rate_limited": (
        "The chosen language model has had too many requests: the built-in one answered.",
        "指定的語言模型收到太多要求，這次由內建模型回答。",
    ),
    "local_late": (
        "The chosen language model took too long: the built-in one answered.",
        "指定的語言模型太久沒有回應，這次由內建模型回答。",
    ),
    "local_loading": (
        "The chosen language model is still loading: the built-in one answered.",
        "指定的語言模型還在載入，這次由內建模型回答。",
    ),
    "local_no_model": (
        "The chosen language model does not exist at its address: the built-in one answered.",
        "找不到指定的語言模型，這次由內建模型回答。",
    ),
    "local_failed": (
        "The chosen language model failed: the built-in one answered.",
        "指定的語言模型發生問題，這次由內建模型回答。",
    ),
    "local_recognition": (
        "The chosen speech recognition failed: the built-in one has taken over.",
        "指定的語音辨識發生問題，已改用內建的語音辨識。",
    ),
    "local_voice": (
        "The chosen voice failed: the built-in one has taken over.",
        "指定的語音合成發生問題，已改用內建的聲音。",
    ),
    "awaiting_server": (
        "The server has no free connection at the moment. Trying again.",
        "伺服器目前沒有空位，正在重試。",
    ),
    "server_silent": (
        "Connected, but the server has not answered yet. It may be loading its model.",
        "已接通，但伺服器還沒有回應，可能正在載入模型。",
    ),
    "renewing": ("Renewing the connection; the conversation continues…", "正在更新連線，對話會繼續…"),
    "wish_refused": (
        "The server does not support this setting. The call continues without the change.",
        "伺服器不接受這項設定，通話維持原本的設定。",
    ),
    "call_spent": (
        "This call has reached its spending limit. Thank you for talking.",
        "這通電話的費用額度已經用完，謝謝你的通話。",
    ),
    "message_too_long": ("That message is too long to send.", "這則訊息太長，無法送出。"),
    "picture_unseen": (
        "This server cannot see that picture. Your words were sent without it.",
        "這台伺服器看不到這張圖片，只送出了文字。",
    ),
    "internal_error": ("The app had an error. Call again to continue.", "程式發生問題，請重新撥打，繼續對話。"),
    "awaiting_models": (
        "The voice models are loading. The call goes on by itself as soon as they are ready.",
        "語音模型正在載入，好了之後通話會自動繼續。",
    ),
    "loading": ("The voice models are still loading. Try again in a few seconds.", "語音模型還在載入，請過幾秒再試。"),
}

CHAT_STAGE_TEXTS: TranslationTable = {
    **CALL_STAGE_TEXTS,
    "idle": ("Not connected. Press Connect, or just type.", "尚未連線。按「連線」，或直接輸入訊息。"),
    "waiting": (
        "All chat slots are in use: you are number {position} in the waiting queue. The chat connects automatically.",
        "目前文字對話名額已滿，你排在第 {position} 位，輪到時會自動連線。",
    ),
    "listening": ("Connected. Type a message.", "已連線，請輸入訊息。"),
    "hearing": ("Connected. Type a message.", "已連線，請輸入訊息。"),
    "thinking": ("Writing…", "回覆中…"),
    "speaking": ("Writing…", "回覆中…"),
    "ended": ("Disconnected. The conversation is kept.", "已中斷連線，對話內容會保留。"),
    "failed": ("The chat could not continue.", "對話無法繼續。"),
}

CHAT_NOTICE_TEXTS: TranslationTable = {
    **CALL_NOTICE_TEXTS,
    "closed": ("The server closed the connection. Connect again to continue.", "伺服器關閉了連線，請重新連線繼續。"),
    "inactive": (
        "The server closed the connection after a time without messages. Connect again to continue.",
        "太久沒有訊息，伺服器關閉了連線，請重新連線繼續。",
    ),
    "unreachable": (
        "The server cannot be reached. Check the network, then connect again.",
        "連不到伺服器，請檢查網路後再連線。",
    ),
    "lost": (
        "The connection to the server was lost. Connect again to continue.",
        "與伺服器的連線中斷了，請重新連線繼續。",
    ),
    "expired": (
        "This chat reached the server's time limit. Connect again to continue.",
        "對話已達伺服器的時間上限，請重新連線繼續。",
    ),
    "refused_settings": (
        "The server refused the chat's settings. The log has the details.",
        "伺服器拒絕了對話設定，細節請看程式的紀錄。",
    ),
    "server_error": ("The server had a problem. Connect again in a moment.", "伺服器發生問題，請稍後再連線。"),
    "server_busy": ("All chat slots are in use. Try again in a moment.", "目前文字對話名額已滿，請稍後再試。"),
    "awaiting_models": (
        "The voice models are loading. The chat goes on by itself as soon as they are ready.",
        "語音模型正在載入，好了之後對話會自動繼續。",
    ),
    "closing_soon": (
        "The server is closing for maintenance: this chat ends within {seconds} seconds.",
        "伺服器即將停機維護，這段對話會在 {seconds} 秒內結束。",
    ),
    "call_spent": ("This chat has reached its spending limit.", "這段對話的費用額度已經用完。"),
    "idle_timeout": (
        "The connection was closed after a long time without messages. Type to continue.",
        "太久沒有訊息，連線已自動中斷。輸入訊息就能繼續。",
    ),
    "time_limit": (
        "The chat reached its time limit. Connect again to continue.",
        "對話已達時間上限，請重新連線繼續。",
    ),
    "reply_failed": ("There was no answer this time. Please send it again.", "這次沒有得到回答，請再送一次。"),
    "reply_too_long": (
        'The answer was cut off at the length limit. Write "go on" to read the rest.',
        "回答太長，到了長度上限就被截斷。輸入「請繼續」可以看後面的部分。",
    ),
    "reply_rate_limited": (
        "The server has had too many requests. Wait a little, then send it again.",
        "伺服器收到太多要求，請稍等一下再送一次。",
    ),
    "reply_broken_off": (
        "The server broke off the answer. Ask again to read the rest.",
        "伺服器中途停止了回答，請再問一次。",
    ),
    "reply_lost": (
        "The connection was lost during the answer. Ask again to read the rest.",
        "回答到一半時連線中斷，請再問一次。",
    ),
    "internal_error": ("The app had an error. Connect again to continue.", "程式發生問題，請重新連線繼續。"),
}

_QUOTED_SERVER_WORDS = (" The server says: “{words}”", "伺服器的說明是：「{words}」")


def quote_server(server_words: str, locale: Locale) -> str:
    """Return the sentence that quotes the server after a notice; "" for no words. Text, to be escaped for HTML."""
    return localize(_QUOTED_SERVER_WORDS, locale).format(words=server_words) if server_words else ""
