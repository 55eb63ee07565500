// In a page: has its worker measure, and returns what that reports.
export default function measure(what) {
  const sender = new Worker(new URL("sender.js", import.meta.url), { type: "module" });
  return new Promise((resolve, reject) => {
    sender.onmessage = ({ data }) => resolve(data);
    sender.onerror = ({ message }) => reject(new Error(message));
    sender.postMessage(what);
  }).finally(() => sender.terminate());
}
