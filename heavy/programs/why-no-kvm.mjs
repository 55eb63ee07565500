// A program for every place: it asks for KVM, and hears in a page that there is none.
import { whyNoKvm } from "irqbypass/kvm";

export default () => whyNoKvm().message;
