/* Page language: the stored choice, else the browser's language. Runs before all other scripts.
 * Gradio translates its labels by `navigator.language`; the server receives `window.voiceLocale`. */
(() => {
  "use strict";
  const LOCALES = Object.keys(window.voiceTextsByLocale);
  const KEY = "voice-language";
  const { local } = window.voiceStorage;
  const stored = local.read(KEY); // without one the browser decides
  const isChinese = (navigator.language || "").toLowerCase().startsWith("zh");
  const locale = LOCALES.includes(stored) ? stored : isChinese ? "zh-TW" : "en";
  window.voiceLocale = locale;
  window.voiceTexts = window.voiceTextsByLocale[locale];
  document.documentElement.lang = locale === "zh-TW" ? "zh-Hant-TW" : "en";
  Object.defineProperty(navigator, "language", { get: () => locale });
  Object.defineProperty(navigator, "languages", { get: () => [locale] });

  /** Reload the page in the other language. The conversation is kept (resume.js); a call ends, so its visitor has to confirm. */
  const switchLanguage = () => {
    if (window.voiceCallControl.isWanted() && !confirm(window.voiceTexts.language_confirm)) return;
    if (local.write(KEY, LOCALES.find((other) => other !== locale))) location.reload();
  };
  document.addEventListener("click", ({ target }) => target instanceof Element && target.closest("#other-language") && switchLanguage());
})();
