/**
 * How a change is made to last on the host at hand: a word of the kernel's command line, or a parameter of a module. One
 * way, the one that the host shows that it uses; several are for whoever has no host.
 */
import type { Host } from "../../facts/host.js";
import type { ModuleName } from "../../parse/modules.js";
import { known } from "../../source/source.js";

/** A boot loader's way to change the kernel's command line, on the hosts that it fits. */
interface BootWay {
  readonly fits: (boot: BootSigns) => boolean;
  readonly add: (words: string) => readonly string[];
  readonly remove: (words: string) => readonly string[];
}

/** What tells boot loaders apart. */
interface BootSigns {
  readonly like: (...names: string[]) => boolean;
  readonly proxmox: boolean;
  /** GRUB puts the kernel's path on the command line. */
  readonly grub: boolean;
  /** EFI starts the kernel itself, as systemd-boot has it, with the initramfs named by a path with backslashes. */
  readonly efi: boolean;
  readonly ostree: boolean;
  readonly kernelCmdline: boolean;
}

/** `or`: what follows `where` when a word is taken out, for it may stand in others of that kind too. */
function edit(file: string, where: string, then: string, or = ""): Pick<BootWay, "add" | "remove"> {
  return {
    add: (words) => [`${file}: add ${words} to ${where}`, then],
    remove: (words) => [`${file}: take ${words} out of ${where}${or}`, then],
  };
}

const GRUB_FILE = "/etc/default/grub";
const GRUB_LINE = "GRUB_CMDLINE_LINUX";
const GRUB_OR = "*";

/** The first that fits counts. */
const BOOT_WAYS: readonly BootWay[] = [
  {
    fits: ({ ostree }) => ostree,
    add: (words) => [`rpm-ostree kargs --append-if-missing=${words}`],
    remove: (words) => [`rpm-ostree kargs --delete-if-present=${words}`],
  },
  {
    fits: ({ like }) => like("nixos"),
    ...edit("configuration.nix", "boot.kernelParams", "nixos-rebuild boot"),
  },
  {
    fits: ({ proxmox, efi }) => proxmox && efi,
    ...edit("/etc/kernel/cmdline", "its one line", "proxmox-boot-tool refresh"),
  },
  {
    fits: ({ grub, like }) => grub && like("fedora", "rhel", "centos"),
    add: (words) => [`grubby --update-kernel=ALL --args=${words}`],
    remove: (words) => [`grubby --update-kernel=ALL --remove-args=${words}`],
  },
  {
    fits: ({ grub, like, proxmox }) => grub && (proxmox || like("debian", "ubuntu")),
    ...edit(GRUB_FILE, GRUB_LINE, "update-grub", GRUB_OR),
  },
  {
    fits: ({ grub, like }) => grub && like("suse", "opensuse"),
    ...edit(GRUB_FILE, GRUB_LINE, "grub2-mkconfig -o /boot/grub2/grub.cfg", GRUB_OR),
  },
  {
    fits: ({ grub, like }) => grub && like("arch", "gentoo"),
    ...edit(GRUB_FILE, GRUB_LINE, "grub-mkconfig -o /boot/grub/grub.cfg", GRUB_OR),
  },
  {
    fits: ({ grub }) => grub,
    ...edit(
      GRUB_FILE,
      GRUB_LINE,
      "then write GRUB's configuration anew with the distribution's tool",
      GRUB_OR,
    ),
  },
  {
    fits: ({ efi, kernelCmdline }) => efi && kernelCmdline,
    ...edit("/etc/kernel/cmdline", "its one line", "kernel-install add-all"),
  },
  {
    fits: ({ efi }) => efi,
    ...edit("the entry under loader/entries on the EFI partition", 'its line "options"', "bootctl list"),
  },
  {
    fits: () => true,
    add: (words) => [`kernel command line: add ${words}`],
    remove: (words) => [`kernel command line: take ${words} out`],
  },
];

function signsOf({ boot, cmdline, kernel }: Host): BootSigns {
  const line = known(cmdline) ?? [];
  const has = (test: (text: string) => boolean) => line.some(({ text }) => test(text));
  return {
    like: (...names) => boot.distribution.some((name) => names.some((one) => name.startsWith(one))),
    proxmox: boot.proxmoxBoot || /-pve\b/.test(known(kernel)?.text ?? ""),
    grub: has((text) => text.startsWith("BOOT_IMAGE=")),
    efi: has((text) => text.startsWith("initrd=\\")),
    ostree: has((text) => text.startsWith("ostree=")),
    kernelCmdline: boot.kernelCmdline,
  };
}

function wayOf(host: Host): BootWay {
  const signs = signsOf(host);
  return BOOT_WAYS.find(({ fits }) => fits(signs))!;
}

/** Steps that put words on the kernel's command line for good. */
export function addWords(host: Host, words: string): readonly string[] {
  return wayOf(host).add(words);
}

/** Steps that take words off it. */
export function removeWords(host: Host, words: string): readonly string[] {
  return wayOf(host).remove(words);
}

/** Steps that make the initramfs anew, which may hold KVM's module and its options. */
function initramfs({ like, proxmox }: BootSigns): string {
  if (proxmox || like("debian", "ubuntu")) return "update-initramfs -u";
  if (like("fedora", "rhel", "centos", "suse", "opensuse")) return "dracut --force";
  if (like("arch")) return "mkinitcpio -P";
  return "then make the initramfs anew with the distribution's tool";
}

/**
 * Steps that give a module of KVM a parameter for good: in modprobe.d where the module is one that is loaded, and on the
 * kernel's command line where it is built in or where that is not known, which serves both.
 */
export function setParameter(
  host: Host,
  module: ModuleName,
  parameter: string,
  value: string,
): readonly string[] {
  const signs = signsOf(host);
  const loadable = host.modules.find(({ name }) => name === module)?.loadable === true;
  if (!loadable || signs.ostree) return addWords(host, `${module}.${parameter}=${value}`);
  if (signs.like("nixos"))
    return [
      `configuration.nix: add options ${module} ${parameter}=${value} to boot.extraModprobeConfig`,
      "nixos-rebuild boot",
    ];
  const given = host.boot.options.find((one) => one.module === module && one.parameter === parameter);
  const line = `options ${module} ${parameter}=${value}`;
  const file = given?.file ?? `/etc/modprobe.d/${module}.conf`;
  return [
    given === undefined
      ? `echo '${line}' >> ${file}`
      : `${file}: make ${parameter}=${given.value} ${parameter}=${value}`,
    initramfs(signs),
    `modprobe -r ${module}; modprobe ${module}     # while no VM runs`,
  ];
}
