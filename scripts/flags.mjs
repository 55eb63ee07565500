/** The flags that a script was called with. Any that is not of `allowed` ends it with exit code 2, and a line that names these. */
export function readFlags(script, ...allowed) {
  const args = process.argv.slice(2);
  const unknown = args.filter((arg) => !allowed.includes(arg));
  if (unknown.length > 0) {
    console.error(`${script}: there is no option ${unknown.join(" ")}; allowed: ${allowed.join(", ")}`);
    process.exit(2);
  }
  return new Set(args);
}
