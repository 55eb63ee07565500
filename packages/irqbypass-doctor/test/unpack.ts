/**
 * Unpacks a test host into a directory that `irqbypass-doctor --from` reads:
 *
 *     node build/test/unpack.js intel-nopost /tmp/intel-nopost
 */
import { existsSync } from "node:fs";
import { hostNames, loadHost, unpack } from "./tree.js";

const [name, dir] = process.argv.slice(2);
if (name === undefined || dir === undefined || !hostNames().includes(name) || existsSync(dir)) {
  console.error("unpack: give the name of a host and a directory that is not there yet; the hosts are:");
  console.error(`  ${hostNames().join(" ")}`);
  process.exit(2);
}
unpack(loadHost(name), dir);
