/** What a test passes as its options to be skipped, with the reason printed, where Linux calls cannot be made. */
import { IrqBypassError } from "#src/host/errors.js";
import { loadFfi } from "#src/linux/koffi.js";

function reason(): string | false {
  try {
    loadFfi();
    return false;
  } catch (error) {
    if (error instanceof IrqBypassError) return error.message;
    throw error;
  }
}

export const linux = { skip: reason() };
