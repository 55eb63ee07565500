/**
 * Which interrupts can be irqbypass producers at all. Two places of the kernel register one, vfio-pci for MSI and MSI-X
 * and vhost-vdpa for what the driver gives as the interrupt of a virtqueue; nothing else ever did.
 */
import type { Family, InterruptKind } from "../parse/action.js";
import type { KernelRelease } from "../parse/kernel-release.js";
import { claim, type Row } from "./row.js";

/** "never": by what it is, so that it is no fault. "no": it could be, and this driver, pin or kernel does not. */
export type Producing = "yes" | "no" | "never";

interface Producer extends Row {
  readonly family: Family;
  readonly kind: InterruptKind;
  readonly producing: Producing;
  /** Why not, as a clause; undefined where it is one. */
  readonly because?: string;
}

const VFIO =
  "irq_bypass_register_producer() is called in vfio_pci_intrs.c and vhost/vdpa.c alone, 4.4 to 7.3.4";
const PIN = "INTx is level-triggered: only MSI and MSI-X can be posted";
const CONFIG = "vhost-vdpa registers the interrupts of queues only";
const SETUP = "vhost_vdpa_setup_vq_irq(), 5.9 to 7.3.4";

/** vfio-platform, vfio-amba, vfio-fsl-mc and vfio-cdx, whatever the interrupt is. */
function elsewhere(kind: InterruptKind): Producer {
  const because =
    "of the VFIO drivers only vfio-pci registers producers: this one has no way around the host";
  return { family: "vfio", kind, from: "0", until: null, producing: "no", because, source: VFIO };
}

/** The interrupt of a queue, given by get_vq_irq() from `from` on. */
function queue(family: Family, from: string, source: string): Producer {
  return { family, kind: "queue", from, until: null, stays: true, producing: "yes", source };
}

function notYet(family: Family, from: string, until: string, source: string): Producer {
  const because = `${family} does not tell vhost-vdpa its interrupts before Linux ${until}`;
  return { family, kind: "queue", from, until, producing: "no", because, source };
}

function config(family: Family): Producer {
  return {
    family,
    kind: "config",
    from: "0",
    until: null,
    producing: "never",
    because: CONFIG,
    source: SETUP,
  };
}

function shared(family: Family, source: string): Producer {
  const because = `${family} got too few vectors, so that its queues share one, which is no producer`;
  return { family, kind: "other", from: "0", until: null, producing: "no", because, source };
}

export const PRODUCERS: readonly Producer[] = [
  { family: "vfio-pci", kind: "msi", from: "4.4", until: null, stays: true, producing: "yes", source: VFIO },
  {
    family: "vfio-pci",
    kind: "intx",
    from: "0",
    until: null,
    stays: true,
    producing: "no",
    because: PIN,
    source: "vfio_intx_set_signal() registers none, to 7.3.4",
  },
  elsewhere("other"),
  elsewhere("msi"),
  elsewhere("intx"),
  // The change was posted in October 2021 and was in 6.1.192; releases between were not read.
  notYet("vp-vdpa", "5.13", "5.16", "vp_vdpa.c has no get_vq_irq() when it came"),
  queue("vp-vdpa", "5.19", "vp_vdpa_get_vq_irq(), read in 6.1.192, 6.12.117 and 7.3.4"),
  config("vp-vdpa"),
  queue("ifcvf", "5.9", "ifcvf_vdpa_get_vq_irq(), read in 5.10.262 to 7.3.4"),
  config("ifcvf"),
  shared("ifcvf", "ifcvf_vdpa_get_vq_irq() gives -EINVAL with vqs_reused_irq, 6.1.192 to 7.3.4"),
  queue("eni-vdpa", "5.16", "eni_vdpa_get_vq_irq(), from its first version on; read in 6.1.192 to 7.3.4"),
  config("eni-vdpa"),
  queue("snet", "6.3", "snet_get_vq_irq(), from its first version on; read in 6.12.117 and 7.3.4"),
  config("snet"),
  queue("mlx5_vdpa", "6.4", "bc9a2b3e686e; mlx5_get_vq_irq() gives -EOPNOTSUPP in 5.10 and 6.1"),
  queue("pds_vdpa", "6.5", "pds_vdpa_get_vq_irq(), from its first version on; read in 6.12.117 and 7.3.4"),
];

export interface ProducerClaim {
  readonly producing: Producing;
  readonly because: string;
}

/** Whether an interrupt can be a producer; undefined where no row says so for this kernel. */
export function producerOf(
  family: Family,
  kind: InterruptKind,
  release: KernelRelease,
): ProducerClaim | undefined {
  const rows = PRODUCERS.filter((row) => row.family === family && row.kind === kind);
  const producing = claim(rows, release, (row) => row.producing);
  if (producing === undefined) return undefined;
  return { producing, because: claim(rows, release, (row) => row.because ?? "") ?? "" };
}
