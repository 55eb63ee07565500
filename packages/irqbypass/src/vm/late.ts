/** What a host of `irqbypass/slim` loads late, and one of `irqbypass` has from the start. */
export { compiledFor } from "../host/compiled.js";
export { beginRepair } from "./whole.js";
