/* Which language the page speaks, decided before anything else runs: the one chosen here before, else the browser's.
 * Gradio words its labels by `navigator.language`, and the server is told by `window.voiceLanguage`. */
(() => {
  "use strict";
  const LANGUAGES = Object.keys(window.voiceTables);
  const KEY = "voice-language";
  let chosen = null;
  try {
    chosen = localStorage.getItem(KEY);
  } catch {
    // Site data is blocked: the browser's own language it is.
  }
  const chinese = (navigator.language || "").toLowerCase().startsWith("zh");
  const language = LANGUAGES.includes(chosen) ? chosen : chinese ? "zh-TW" : "en";
  window.voiceLanguage = language;
  window.voiceTexts = window.voiceTables[language];
  document.documentElement.lang = language === "zh-TW" ? "zh-Hant-TW" : "en";
  Object.defineProperty(navigator, "language", { get: () => language });
  Object.defineProperty(navigator, "languages", { get: () => [language] });

  /** The page is drawn anew: what was said would be gone, so whoever has said something, or is in a call, is asked. */
  window.voiceOtherLanguage = () => {
    const something = document.querySelector("#voice-chat [data-testid], #text-chat [data-testid]");
    if ((something || window.voiceCall.wanted()) && !confirm(window.voiceTexts.language_confirm)) return;
    try {
      localStorage.setItem(KEY, LANGUAGES.find((each) => each !== language));
    } catch {
      return;
    }
    location.reload();
  };
})();
