/**
 * /proc/sys/kernel/osrelease: which versions of mainline Linux a kernel may behave like. A number alone does not say it:
 * enterprise kernels carry later parts under an old number, Ubuntu and Debian do not tell the patch level, and a
 * developer's build is somewhere between two releases. So a release stands for an interval of versions.
 */
import { FormatError } from "../source/error.js";

/** Major, minor, patch. */
export type Version = readonly [major: number, minor: number, patch: number];

/** The versions that a kernel may behave like: `low` to `high`, both included. */
export interface KernelRelease {
  readonly text: string;
  readonly low: Version;
  readonly high: Version;
  /** Why these are several versions, as a clause; undefined where they are one. */
  readonly because: string | undefined;
}

/** Any kernel at all: what is known of one whose release could not be read. */
export const ANY_RELEASE: KernelRelease = {
  text: "unknown",
  low: [0, 0, 0],
  high: [Number.POSITIVE_INFINITY, 0, 0],
  because: "its version is not known",
};

type Kind = "own number" | "later parts" | "hidden patch level" | "between releases";

/** What the rest of a release says about its number; the first row that matches counts. */
const SUFFIXES: readonly (readonly [pattern: RegExp, kind: Kind])[] = [
  // ELRepo builds mainline for enterprise distributions, whose name it carries.
  [/\.elrepo\b/, "own number"],
  // Red Hat and its kin, Oracle, Amazon, Virtuozzo, CloudLinux, Anolis and Alibaba, openEuler, Tencent, OpenCloudOS, Kylin,
  // Uniontech, ByteDance, Azure Linux.
  [
    /[._]el\d|uek\b|\.amzn|\.vz\d|\.lve\.|\.an\d|\.al\d|\.oe\d|\.tl\d|tlinux|\.oc\d|\.ky\d|\.u(les|el)\w*\d|\.bsk\.|\.(cm|azl)\d/i,
    "later parts",
  ],
  // SUSE Linux Enterprise and Leap: a build number with dots, or more than the one digit of Tumbleweed.
  [/-(lp)?\d+(\.\d+)+-(default|azure|rt|preempt|kvmsmall|xen|64kb)\b|-\d{2,}-default\b/, "later parts"],
  // Android, XCP-ng and Citrix, WSL, NVIDIA's of Ubuntu, ChromeOS with its thousands of commits above a release.
  [/-android\d|-xcp\b|\.xs\d|^\+\d|-microsoft\b|-nvidia\b|^-[1-9]\d{4,}-g[0-9a-f]{7,}/, "later parts"],
  // Fedora and Ubuntu build candidates as 6.12.0-0.rc4 and 6.14.0-061400rc7; git counts the commits since the last tag.
  [/[-.~\d]rc\d|-next\b|\+$|-dirty\b|-g[0-9a-f]{7,}/, "between releases"],
  // What is packaged with rpm has a build number with dots; all but Fedora's may be an enterprise's, or one built anew from its
  // sources. Red Hat's own build numbers have three digits and more; Debian's backports and SUSE's daily builds look alike.
  [/^-\d+\.(?!deb|bpo|g[0-9a-f]{7}|.*\bfc\d)|^-\d{3,}$/, "later parts"],
  // Ubuntu, Debian, old Proxmox: always patch level 0, then a number of their own.
  [/^-\d+(?:[-.]|$)/, "hidden patch level"],
];

/** Parses a release such as "6.12.41", "5.15.0-130-generic" or "4.18.0-553.el8_10.x86_64".
 * @throws FormatError if it does not begin with a version. */
export function parseKernelRelease(file: string): KernelRelease {
  const text = file.trim();
  const match = /^(\d{1,3})\.(\d{1,3})(?:\.(\d{1,4}))?(?!\d)(.*)$/.exec(text);
  if (match === null) throw new FormatError("does not begin with a version");
  const version: Version = [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)];
  const [major, minor, patch] = version;
  const kind = SUFFIXES.find(([pattern]) => pattern.test(match[4]!))?.[1] ?? "own number";
  const last = Number.POSITIVE_INFINITY;
  switch (kind) {
    case "later parts":
      return {
        text,
        low: version,
        high: [last, 0, 0],
        because: "an enterprise kernel, which carries later parts under its number",
      };
    case "between releases":
      return {
        text,
        low: minor > 0 ? [major, minor - 1, 0] : [major - 1, last, 0],
        high: [major, minor + 1, last],
        because: "a kernel between two releases",
      };
    case "hidden patch level":
      if (patch === 0)
        return {
          text,
          low: version,
          high: [major, minor, last],
          because: "a distribution's kernel, which does not tell its patch level",
        };
      break;
    case "own number":
  }
  return { text, low: version, high: version, because: undefined };
}

/** Below 0 if `a` is the older, 0 if they are the same. */
export function compareVersions(a: Version, b: Version): number {
  for (const part of [0, 1, 2] as const) if (a[part] !== b[part]) return a[part] < b[part] ? -1 : 1;
  return 0;
}

/** "6.3" or "5.10.84" as rules write it. */
export function parseVersion(text: string): Version {
  const [major, minor, patch] = text.split(".").map(Number);
  return [major ?? 0, minor ?? 0, patch ?? 0];
}
