/* Forget: "Forget me" erases what this browser keeps at once, in all its tabs. The server gets the request too, or, when it does not
 * answer, with the next load of a page. */
(() => {
  "use strict";
  const { local, session } = window.voiceStorage;
  const DUE = "voice-forget-due"; // localStorage: the server has not had the request
  const channel = window.BroadcastChannel ? new BroadcastChannel("voice-forget") : null;
  let forgetting = false; // nothing is kept from here on
  let pressing = false;

  const erase = async () => {
    forgetting = true;
    window.voiceStorage.freeze();
    session.clear();
    window.voiceOutbox.erase();
    await Promise.all([window.voiceHistory.eraseAll(), window.voiceLeftPages.erase()]);
  };
  const begin = () => {
    channel?.postMessage("erase");
    if (!forgetting) { // the storage is not frozen yet
      local.clear();
      local.write(DUE, "yes");
    }
    return erase();
  };
  const press = () => {
    pressing = true;
    document.getElementById("forget-me")?.click();
    pressing = false;
  };
  document.addEventListener(
    "click",
    (event) => {
      if (!(event.target instanceof Element && event.target.closest("#forget-me"))) return;
      if (pressing || confirm(window.voiceTexts.forget_confirm)) return void begin();
      event.preventDefault();
      event.stopImmediatePropagation();
    },
    true,
  );
  if (channel) {
    channel.onmessage = async ({ data }) => {
      await erase();
      if (data === "reload") location.reload();
    };
  }
  window.voiceForget = {
    isForgetting: () => forgetting,
    /** Called with every load, once the server knows the page. */
    tellServerIfDue() {
      if (local.read(DUE)) press();
    },
    /** The server has forgotten this browser: reload all tabs. */
    async finish() {
      await erase(); // what was kept meanwhile
      local.clear();
      channel?.postMessage("reload");
      location.reload();
    },
  };
})();
