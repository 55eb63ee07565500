// What a page may do that the harness must report.
export default async function main({ fail = false } = {}) {
  console.log("from the page");
  const code = 'console.warn("from a worker"); setTimeout(() => { throw new Error("nobody caught it"); });';
  const worker = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  await new Promise((resolve) => worker.addEventListener("error", resolve));
  if (fail) throw new RangeError("the module failed");
  return { isolated: crossOriginIsolated, big: 2n ** 64n, list: [1, undefined, { deep: null }] };
}
