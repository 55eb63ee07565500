/** What a test passes as its options to be skipped, with the reason printed, where there is no KVM. */
import { whyNoKvm } from "#src/kvm/available.js";

export const kvmTests = { skip: whyNoKvm()?.message ?? false };
