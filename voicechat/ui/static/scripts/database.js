/* Database: stores of entries with an `id`, in IndexedDB. */
(() => {
  "use strict";
  /** Return the result of an IndexedDB request. Rejects with its error. */
  const request = (asked) =>
    new Promise((resolve, reject) => {
      asked.onsuccess = () => resolve(asked.result);
      asked.onerror = () => reject(asked.error);
    });
  /** Return a function that runs `work` on stores of the database `name` in one transaction, and resolves when it is on
   * disk. `upgrade`: fills the stores from those of an older version. Rejects where the browser keeps none, and with QuotaExceededError when it is full. */
  window.voiceDatabase = (name, stores, { version = 1, upgrade = () => {} } = {}) => {
    const open = () => {
      const opening = indexedDB.open(name, version);
      opening.onupgradeneeded = ({ oldVersion }) => {
        const database = opening.result;
        for (const store of stores) if (!database.objectStoreNames.contains(store)) database.createObjectStore(store, { keyPath: "id" });
        if (oldVersion) upgrade(...stores.map((store) => opening.transaction.objectStore(store)));
      };
      return request(opening);
    };
    return async (mode, work) => {
      const database = await open();
      try {
        const transaction = database.transaction(stores, mode);
        const isDone = new Promise((resolve, reject) => {
          transaction.oncomplete = resolve;
          transaction.onabort = () => reject(transaction.error ?? new DOMException("aborted", "AbortError"));
        });
        isDone.catch(() => {}); // `work` may fail first
        const result = await work(...stores.map((store) => transaction.objectStore(store)));
        await isDone;
        return result;
      } finally {
        database.close();
      }
    };
  };
  window.voiceDatabase.request = request;
})();
