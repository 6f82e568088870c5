"""What the status bar says of a call, and of a chat: the same codes, in each one's own words."""

from __future__ import annotations

from .locale import TranslationTable

CALL_STAGE_TEXTS: TranslationTable = {
    "idle": ("Ready. Press the green button to talk.", "準備好了，按綠色按鈕開始通話。"),
    "loading": ("Getting ready: the voice models are loading…", "準備中：正在載入語音模型…"),
    "waiting": (
        "All lines are busy: you are number {place} in line. Your call connects by itself.",
        "目前線路滿載，你排在第 {place} 位，輪到時會自動接通。",
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

CALL_NOTICE_TEXTS: TranslationTable = {
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
    # ---- why a call could not start or go on (voicechat.upstream.connection.Failure)
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
        "You already have as many calls, or chats in line, as one visitor may have. End one of them first.",
        "你的通話或排隊中的對話已達上限，請先結束其中一個。",
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
    # ---- what else a call may have to say (voicechat.turn_taking.call.Notice)
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

CHAT_STAGE_TEXTS: TranslationTable = {
    **CALL_STAGE_TEXTS,
    "idle": ("Not connected. Press Connect, or just type.", "尚未連線。按「連線」，或直接輸入訊息。"),
    "waiting": (
        "All places are taken: you are number {place} in line. The chat connects by itself.",
        "目前連線已滿，你排在第 {place} 位，輪到時會自動連線。",
    ),
    "listening": ("Connected. Type a message.", "已連線，請輸入訊息。"),
    "hearing": ("Connected. Type a message.", "已連線，請輸入訊息。"),
    "thinking": ("Writing…", "回覆中…"),
    "speaking": ("Writing…", "回覆中…"),
    "ended": ("Disconnected. What was said stays here.", "已中斷連線，對話內容會保留。"),
    "failed": ("The chat could not go on.", "對話無法繼續。"),
}

CHAT_NOTICE_TEXTS: TranslationTable = {
    **CALL_NOTICE_TEXTS,
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
