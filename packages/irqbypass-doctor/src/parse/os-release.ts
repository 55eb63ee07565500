/**
 * /etc/os-release: which distribution it is.
 */

/** `ID` first, then what it is like, nearest first: "ubuntu", "debian". Never fails. */
export function parseOsRelease(text: string): readonly string[] {
  const values = ["ID", "ID_LIKE"].flatMap((key) => {
    const match = new RegExp(`^${key}=(["']?)([\\w.\\- ]{1,200})\\1\\s*$`, "m").exec(text);
    return match === null ? [] : match[2]!.toLowerCase().split(" ");
  });
  return values.filter((word) => word !== "");
}
