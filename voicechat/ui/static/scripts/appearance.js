/* Appearance: as the device, light or dark. Gradio puts `dark` on the body; the tokens need it on <html>, before the
 * first paint. */
(() => {
  "use strict";
  const KEY = "voice-appearance";
  const device = matchMedia("(prefers-color-scheme: dark)");
  const { local } = window.voiceStorage;
  let choice = local.read(KEY) ?? "auto";
  const isDark = () => choice === "dark" || (choice !== "light" && device.matches);
  const apply = () => {
    document.documentElement.classList.toggle("dark", isDark());
    if (document.body && document.body.classList.contains("dark") !== isDark()) document.body.classList.toggle("dark", isDark());
    document.querySelector('meta[name="theme-color"]')?.setAttribute("content", isDark() ? "#0e111f" : "#f6f7fc");
  };
  apply();
  device.addEventListener("change", apply);
  document.addEventListener("DOMContentLoaded", () => {
    apply();
    new MutationObserver(apply).observe(document.body, { attributeFilter: ["class"] }); // Gradio sets the class at its start
  });
  document.addEventListener("change", ({ target }) => {
    if (!target.matches?.('#page-display input[name="appearance"]')) return;
    choice = target.value;
    local.write(KEY, choice);
    apply();
  });
  window.voiceAppearance = () => choice;
})();
