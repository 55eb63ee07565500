/**
 * Releases as distributions write them: which of them is the number of a mainline kernel, and which is not. A kernel that is
 * newer than what was read is no nearest row's either.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  compareVersions,
  type KernelRelease,
  parseKernelRelease,
  type Version,
} from "#src/parse/kernel-release.js";
import { efrOf } from "#src/rules/amd-features.js";
import { containerOf } from "#src/rules/containers.js";
import { inhibitEffect, inhibitName } from "#src/rules/inhibits.js";
import { producerOf } from "#src/rules/producers.js";
import { UNREAD } from "#src/rules/row.js";
import { FormatError } from "#src/source/error.js";

const LAST = Number.POSITIVE_INFINITY;
const later = (low: Version): readonly [Version, Version] => [low, [LAST, 0, 0]];
const any = (major: number, minor: number): readonly [Version, Version] => [
  [major, minor, 0],
  [major, minor, LAST],
];
const own = (version: Version): readonly [Version, Version] => [version, version];
const between = (low: Version, high: Version): readonly [Version, Version] => [low, high];

const RELEASES: readonly (readonly [release: string, range: readonly [Version, Version]])[] = [
  // Debian: stable, cloud, backports of two kinds, experimental.
  ["6.1.0-18-amd64", any(6, 1)],
  ["5.10.0-28-cloud-amd64", any(5, 10)],
  ["6.1.0-0.deb11.13-amd64", any(6, 1)],
  ["4.19.0-0.bpo.5-amd64", any(4, 19)],
  ["6.12.12+bpo-amd64", own([6, 12, 12])],
  ["6.12.38+deb13-amd64", own([6, 12, 38])],
  ["6.13~rc7-amd64", between([6, 12, 0], [6, 14, LAST])],
  // Ubuntu and its flavours; NVIDIA's carries what came later.
  ["5.15.0-130-generic", any(5, 15)],
  ["6.8.0-1015-azure", any(6, 8)],
  ["6.14.0-061400rc7-generic", between([6, 13, 0], [6, 15, LAST])],
  ["6.8.0-1010-nvidia-64k", later([6, 8, 0])],
  // Red Hat 7 to 10, its kin, and what is built from its sources.
  ["3.10.0-1160.el7.x86_64", later([3, 10, 0])],
  ["4.18.0-553.el8_10.x86_64", later([4, 18, 0])],
  ["5.14.0-427.13.1.el9_4.aarch64+64k", later([5, 14, 0])],
  ["6.12.0-55.9.1.el10_0.x86_64", later([6, 12, 0])],
  ["4.18.0-305.rt7.72.el8.x86_64", later([4, 18, 0])],
  ["5.15.0-205.149.5.1.el9uek.x86_64", later([5, 15, 0])],
  ["4.18.0-553", later([4, 18, 0])],
  ["5.14.0-427.13.1.acme", later([5, 14, 0])],
  // Amazon, Azure Linux, WSL, Photon, OpenCloudOS, Uniontech, ByteDance.
  ["6.1.128-136.201.amzn2023.x86_64", later([6, 1, 128])],
  ["6.6.57.1-7.azl3", later([6, 6, 57])],
  ["5.15.153.1-microsoft-standard-WSL2", later([5, 15, 153])],
  ["6.1.83-2.ph5", later([6, 1, 83])],
  ["6.6.34-9.oc9.x86_64", later([6, 6, 34])],
  ["4.19.90-2211.5.0.0178.22.uelc20.x86_64", later([4, 19, 90])],
  ["5.15.120.bsk.3-amd64", later([5, 15, 120])],
  // SUSE: 12, 15, 16, Leap, Tumbleweed.
  ["4.12.14-122.222-default", later([4, 12, 14])],
  ["5.14.21-150500.55.44-default", later([5, 14, 21])],
  ["6.12.0-160000.5-default", later([6, 12, 0])],
  ["5.3.18-lp152.106-default", later([5, 3, 18])],
  ["6.12.8-1-default", own([6, 12, 8])],
  // Fedora, ELRepo, Arch, Proxmox, Gentoo, and one's own.
  ["6.11.4-301.fc41.x86_64", own([6, 11, 4])],
  ["6.13.0-0.rc4.36.fc42.x86_64", between([6, 12, 0], [6, 14, LAST])],
  ["6.12.0-65.eln144.x86_64", later([6, 12, 0])],
  ["6.12.8-1.el9.elrepo.x86_64", own([6, 12, 8])],
  ["6.12.1-arch1-1", own([6, 12, 1])],
  ["6.8.12-4-pve", own([6, 8, 12])],
  ["6.6.30-gentoo-dist", own([6, 6, 30])],
  ["6.12-mine", own([6, 12, 0])],
  ["7.1.2", own([7, 1, 2])],
  ["6.12.0-next-20241125", between([6, 11, 0], [6, 13, LAST])],
  ["7.0.0-rc1", between([6, LAST, 0], [7, 1, LAST])],
  ["6.10.0-00012-g1a2b3c4", between([6, 9, 0], [6, 11, LAST])],
  ["6.12.0-dirty", between([6, 11, 0], [6, 13, LAST])],
  // Android, ChromeOS, Google's, XCP-ng.
  ["5.10.198-android13-4-00050-g12345678", later([5, 10, 198])],
  ["5.15.108-18910-gab0e1cb584e1", later([5, 15, 108])],
  ["6.1.112+", between([6, 0, 0], [6, 2, LAST])],
  ["4.19.0+1", later([4, 19, 0])],
  // More of the same kinds.
  ["6.12.41", own([6, 12, 41])],
  ["6.12.41-arch1-1", own([6, 12, 41])],
  ["6.12", own([6, 12, 0])],
  ["6.6.13-200.fc39.x86_64", own([6, 6, 13])],
  ["6.5.4-1.el8.elrepo.x86_64", own([6, 5, 4])],
  ["6.11.2-1-default", own([6, 11, 2])],
  ["6.12.57+deb13-amd64", own([6, 12, 57])],
  ["5.15.0-1053-azure", any(5, 15)],
  ["4.18.0-553.16.1.el8_10.x86_64", later([4, 18, 0])],
  ["5.15.0-200.131.27.el9uek.x86_64", later([5, 15, 0])],
  ["4.14.35-1902.300.11.el7uek.x86_64", later([4, 14, 35])],
  ["4.12.14-122.150-default", later([4, 12, 14])],
  ["4.4.180-102-default", later([4, 4, 180])],
  ["6.1.79-99.164.amzn2023.x86_64", later([6, 1, 79])],
  ["5.10.134-16.3.an8.x86_64", later([5, 10, 134])],
  ["5.10.0-136.12.0.86.oe2203sp1.x86_64", later([5, 10, 0])],
  ["6.16.0-rc3", between([6, 15, 0], [6, 17, LAST])],
  ["6.0.0-rc1", between([5, LAST, 0], [6, 1, LAST])],
  ["5.15.133+", between([5, 14, 0], [5, 16, LAST])],
  ["6.12.0-0.rc4.39.fc42.x86_64", between([6, 11, 0], [6, 13, LAST])],
  ["6.12.41-00012-g1a2b3c4d5e6f", between([6, 11, 0], [6, 13, LAST])],
  ["6.12.0-65.fc41.x86_64", any(6, 12)],
  ["6.14.2-061402-generic", own([6, 14, 2])],
  ["5.14.0-427.13.1.acme.x86_64", later([5, 14, 0])],
  ["6.12.0-124.8.1.el10_1.x86_64", later([6, 12, 0])],
  ["5.15.0-1084-kvm", any(5, 15)],
];

describe("a release", () => {
  for (const [text, [low, high]] of RELEASES)
    it(text, () => {
      const release = parseKernelRelease(`${text}\n`);
      assert.deepEqual([release.low, release.high], [low, high]);
      assert.equal(release.because === undefined, compareVersions(low, high) === 0);
    });

  it("is a version at the least", () => {
    for (const text of ["", "linux", "6", "x6.1", "6.1234567"])
      assert.throws(() => parseKernelRelease(text), FormatError);
  });
});

describe("a kernel that is newer than any that was read", () => {
  const of = (text: string): KernelRelease => parseKernelRelease(text);
  const [major, minor] = UNREAD.split(".").map(Number) as [number, number];
  const read = of(`${major}.${minor - 1}.99`);

  for (const text of [
    UNREAD,
    `${major}.${minor + 3}.1`,
    `${major + 1}.0.0`,
    `${UNREAD}.0-1-generic`,
    `${UNREAD}.0-rc2`,
  ])
    it(`${text}: has no numbers, no order and no "never" of the newest row`, () => {
      const release = of(text);
      assert.equal(inhibitName(2, release), undefined);
      assert.equal(inhibitEffect("intel", release), undefined);
      assert.equal(inhibitEffect("amd", release), undefined);
      assert.equal(containerOf(release), undefined);
      assert.equal(efrOf([0x80n, 0x81n], release), undefined);
      assert.equal(producerOf("vfio", "other", release), undefined);
      assert.equal(producerOf("vp-vdpa", "config", release), undefined);
      // What a kernel can do it does not unlearn.
      assert.equal(producerOf("vfio-pci", "msi", release)?.producing, "yes");
      assert.equal(producerOf("vfio-pci", "intx", release)?.producing, "no");
    });

  it("while the newest that was read has them", () => {
    assert.equal(inhibitName(2, read), "ABSENT");
    assert.equal(inhibitEffect("amd", read), "off");
    assert.equal(producerOf("vp-vdpa", "config", read)?.producing, "never");
    // An enterprise kernel goes by its number, which is its least.
    assert.equal(inhibitEffect("amd", of("6.12.0-55.el10.x86_64")), "off");
  });
});
