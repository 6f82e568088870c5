"""Names of the embedded server's voices in the voice menu, by their ids in the protocol."""

from __future__ import annotations

from .locale import TranslationTable

EMBEDDED_VOICES: TranslationTable = {
    "hibari": ("English: Hibari, a woman", "英語：Hibari，女聲"),
    "af_bella": ("English: Bella, a woman; slower to start", "英語：Bella，女聲，開口較慢"),
    "af_kore": ("English: Kore, a woman; slower to start", "英語：Kore，女聲，開口較慢"),
    "af_sarah": ("English: Sarah, a woman; slower to start", "英語：Sarah，女聲，開口較慢"),
    "bf_emma": ("English: Emma, a British woman; slower to start", "英語：Emma，英國腔女聲，開口較慢"),
    "am_fenrir": ("English: Fenrir, a man; slower to start", "英語：Fenrir，男聲，開口較慢"),
    "am_michael": ("English: Michael, a man; slower to start", "英語：Michael，男聲，開口較慢"),
    "am_puck": ("English: Puck, a man; slower to start", "英語：Puck，男聲，開口較慢"),
    "bm_george": ("English: George, a British man; slower to start", "英語：George，英國腔男聲，開口較慢"),
    "zf_xiaoxiao": ("Mandarin: Xiaoxiao, a woman", "中文：曉曉，女聲"),
    "zf_xiaobei": ("Mandarin: Xiaobei, a woman", "中文：曉北，女聲"),
    "zf_xiaoni": ("Mandarin: Xiaoni, a woman", "中文：曉妮，女聲"),
    "zf_xiaoyi": ("Mandarin: Xiaoyi, a woman", "中文：曉伊，女聲"),
    "zm_yunjian": ("Mandarin: Yunjian, a man; slower to start in English", "中文：雲健，男聲，說英語時開口較慢"),
    "zm_yunxi": ("Mandarin: Yunxi, a man; slower to start in English", "中文：雲希，男聲，說英語時開口較慢"),
    "zm_yunxia": ("Mandarin: Yunxia, a man; slower to start in English", "中文：雲夏，男聲，說英語時開口較慢"),
    "zm_yunyang": ("Mandarin: Yunyang, a man; slower to start in English", "中文：雲揚，男聲，說英語時開口較慢"),
}
"""English voices first, then Mandarin ones. Those of Kokoro are slower to start than hibari, which needs a hundredth of
the time."""
