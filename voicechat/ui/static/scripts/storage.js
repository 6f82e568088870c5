/* Storage: the browser's key-value storage. Where the visitor has blocked site data, or it is full, a value is not kept. */
(() => {
  "use strict";
  let isFrozen = false;
  const wrap = (storage) => ({
    /** Return the text of a key; null without one. */
    read(key) {
      try {
        return storage().getItem(key);
      } catch {
        return null;
      }
    },
    /** Keep a text, or remove the key for null. Return whether that was done; if not, the key has its older text. */
    write(key, value) {
      if (isFrozen && value !== null) return false;
      try {
        if (value === null) storage().removeItem(key);
        else storage().setItem(key, value);
        return true;
      } catch {
        return false;
      }
    },
    /** Return all keys with their texts. */
    entries() {
      try {
        return Object.entries(storage());
      } catch {
        return [];
      }
    },
    clear() {
      try {
        storage().clear();
      } catch {
        // nothing was kept
      }
    },
  });
  window.voiceStorage = {
    local: wrap(() => localStorage),
    session: wrap(() => sessionStorage),
    /** Keep no further text until the page is reloaded: what is kept here is being erased. */
    freeze() {
      isFrozen = true;
    },
    /** Return `bytes` random bytes in hexadecimal digits. */
    randomId: (bytes) => Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) => byte.toString(16).padStart(2, "0")).join(""),
  };
})();
