// A caller's own worker for the relay.
import "../../packages/irqbypass/build/src/vm/relay-worker.js";
