// What the tests of this folder need, and why it is not there: the reason with which they are skipped.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { INSTALL, isInstalled } from "../scripts/install.mjs";
import { withLock } from "../scripts/lock.mjs";

const FOLDER = fileURLToPath(new URL(".", import.meta.url));
const OFFLINE =
  /npm error code (ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH)/;
/** Offline a test is to be skipped soon. */
const FEW_RETRIES = ["--prefer-offline", "--fetch-retries=1", "--fetch-retry-mintimeout=1000"];

/**
 * Installs what package-lock.json names, unless it is there. Returns false, or why it cannot be had: this machine is offline.
 * Throws for everything else that npm says.
 */
export async function whyNotInstalled(folder = FOLDER) {
  if (isInstalled(folder)) return false;
  return withLock(`install ${folder}`, () => {
    if (isInstalled(folder)) return false; // by whom we waited for
    const { status, error, stdout, stderr } = spawnSync("npm", [...INSTALL, ...FEW_RETRIES], {
      cwd: folder,
      encoding: "utf8",
    });
    if (error !== undefined) throw error;
    if (status === 0) return false;
    const code = OFFLINE.exec(stderr)?.[1];
    if (code === undefined) throw new Error(`npm ci in ${folder} ended with ${status}\n${stdout}${stderr}`);
    return `heavy/ is not installed and npm cannot reach its registry (${code})`;
  });
}

/** Debian's browsers: the package of each, which is the name of its program too. */
const PACKAGES = { chromium: "chromium", firefox: "firefox-esr" };

/** The one in which tests run. */
export const BROWSER = process.env.IRQBYPASS_BROWSER ?? "chromium";
if (!(BROWSER in PACKAGES))
  throw new Error(`IRQBYPASS_BROWSER is ${BROWSER}: one of ${Object.keys(PACKAGES).join(", ")}`);

export const executableOf = (browser) => `/usr/bin/${PACKAGES[browser]}`;

/** What a test passes as its options to be skipped, with the reason printed, where there is no such browser. */
export async function browserTests(browser = "chromium") {
  const executable = executableOf(browser);
  if (!existsSync(executable)) return { skip: `needs ${executable}: apt-get install ${PACKAGES[browser]}` };
  return { skip: await whyNotInstalled() };
}
