"""Texts of the note on the models: which of them answer, and what happens with better ones."""

from __future__ import annotations

from .locale import TranslationTable

MODEL_TEXTS: TranslationTable = {
    "own_key": (
        "With your own key a model of OpenAI answers, not the one of this server.",
        "使用你的金鑰時，由 OpenAI 的模型回答，不使用這台伺服器上的模型。",
    ),
    "built_in": ("The built-in language model answers: {model}.", "由內建的語言模型回答：{model}。"),
    "built_in_unnamed": ("The built-in language model is not loaded yet.", "內建的語言模型還沒有載入。"),
    "endpoint": (
        "A language model that the operator has chosen answers: {model}.",
        "由管理員指定的語言模型回答：{model}。",
    ),
    "endpoint_unnamed": ("A language model that the operator has chosen answers.", "由管理員指定的語言模型回答。"),
    "llm_private": ("Its address is in the operator's own network.", "它的位址在管理員自己的網路裡。"),
    "llm_public": (
        "It is an outside service, which receives the text of the conversation.",
        "它是外部服務，對話的文字會傳到那裡。",
    ),
    "fallback": (
        "When it cannot answer, the built-in one does: {model}.",
        "它無法回答時，改由內建的語言模型回答：{model}。",
    ),
    "fallback_unnamed": ("When it cannot answer, the built-in one does.", "它無法回答時，改由內建的語言模型回答。"),
    "llm_local": (
        "At the moment it cannot answer, and the built-in one does: {model}.",
        "它目前無法回答，暫時由內建的語言模型回答：{model}。",
    ),
    "llm_local_unnamed": (
        "At the moment it cannot answer, and the built-in one does.",
        "它目前無法回答，暫時由內建的語言模型回答。",
    ),
    "stt_local": (
        "At the moment it does not work, and the built-in recognition takes its place.",
        "它目前無法使用，暫時改用內建的語音辨識。",
    ),
    "tts_local": (
        "At the moment it does not work, and the built-in voice takes its place.",
        "它目前無法使用，暫時改用內建的聲音。",
    ),
    "stt_private": (
        "Speech is recognised by a service in the operator's own network.",
        "語音辨識由管理員自己網路裡的服務負責。",
    ),
    "stt_public": (
        "Speech is recognised by an outside service that the operator has chosen. It receives the sound of your voice.",
        "語音辨識由管理員指定的外部服務負責，你的聲音會傳到那裡。",
    ),
    "tts_private": (
        "The voice comes from a service in the operator's own network.",
        "說話的聲音由管理員自己網路裡的服務產生。",
    ),
    "tts_public": (
        "The voice comes from an outside service that the operator has chosen. It receives the text of the answers.",
        "說話的聲音由管理員指定的外部服務產生，回答的文字會傳到那裡。",
    ),
}
"""Sentences on the models in use."""

MODEL_NEWS_TEXTS: TranslationTable = {
    "fetching": (
        "A better {kind} is being downloaded: {percent} % of {megabytes} MB.",
        "正在下載更好的{kind}（{megabytes} MB），已完成 {percent}%。",
    ),
    "loading": ("A better {kind} is being loaded.", "正在載入更好的{kind}。"),
    "after_call": (
        "A better {kind} is loaded, and waits until nobody is talking.",
        "更好的{kind}已經載入，會等到沒有人在對話時再試用。",
    ),
    "not_used": ("A better {kind} is not used, because {reason}.", "沒有使用更好的{kind}，因為{reason}。"),
    "not_used_unknown": ("A better {kind} is not used.", "目前沒有使用更好的{kind}。"),
    "few_processors": (
        "A better {kind} needs {needed_processors} processor cores, and this server has {processors}.",
        "更好的{kind}需要 {needed_processors} 個處理器核心，這台伺服器只有 {processors} 個。",
    ),
    "chosen_missing": (
        "The chosen model {model} is missing. The administrator has to run: python -m offline.models fetch.",
        "缺少指定的模型 {model}，請管理員執行：python -m offline.models fetch。",
    ),
}
"""Sentences on better models, by `ModelNewsStage`."""

MODEL_KINDS: TranslationTable = {
    "llm": ("language model", "語言模型"),
    "stt": ("speech recognition model", "語音辨識模型"),
}
"""Names in the sentences on better models, by `ModelKind`."""

NOT_USED_REASONS: TranslationTable = {
    "too_slow": ("it is too slow on this server", "在這台伺服器上跑得太慢"),
    "no_memory": ("it needs more free memory", "可用的記憶體不夠"),
    "no_disk": ("it needs more room on the disk", "磁碟空間不夠"),
    "not_fetched": ("it could not be downloaded", "下載沒有成功"),
    "failed": ("it could not be loaded", "無法載入"),
}
"""Reasons in the sentence `not_used`, by `NotUsedReason`."""
