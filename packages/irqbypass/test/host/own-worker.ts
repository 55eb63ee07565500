/** A caller's module that runs whatever thread of the library it is told to, in one file. */
import "irqbypass/relay-worker";
import "irqbypass/linux-relay-worker";
import "irqbypass/kvm-vcpu-worker";
