/* Page language: the stored choice, else the browser's language. Runs before all other scripts.
 * Gradio translates its labels by `navigator.language`; the server receives `window.voiceLocale`. */
(() => {
  "use strict";
  const LOCALES = Object.keys(window.voiceTextsByLocale);
  const KEY = "voice-language";
  let stored = null;
  try {
    stored = localStorage.getItem(KEY);
  } catch {
    // The visitor has blocked site data: the browser decides.
  }
  const isChinese = (navigator.language || "").toLowerCase().startsWith("zh");
  const locale = LOCALES.includes(stored) ? stored : isChinese ? "zh-TW" : "en";
  window.voiceLocale = locale;
  window.voiceTexts = window.voiceTextsByLocale[locale];
  document.documentElement.lang = locale === "zh-TW" ? "zh-Hant-TW" : "en";
  Object.defineProperty(navigator, "language", { get: () => locale });
  Object.defineProperty(navigator, "languages", { get: () => [locale] });

  /** Reload the page in the other language. A conversation would be lost, so its visitor has to confirm first. */
  window.voiceSwitchLanguage = () => {
    const hasMessages = document.querySelector("#voice-chat [data-testid], #text-chat [data-testid]");
    if ((hasMessages || window.voiceCallControl.isWanted()) && !confirm(window.voiceTexts.language_confirm)) return;
    try {
      localStorage.setItem(KEY, LOCALES.find((other) => other !== locale));
    } catch {
      return;
    }
    location.reload();
  };
})();
