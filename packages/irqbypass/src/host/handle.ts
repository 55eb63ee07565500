declare const opens: unique symbol;

/**
 * What `open` takes in another thread: a safe integer, so that it can go wherever a number can, `workerData` and typed arrays
 * too. Its type says what it opens, and a handle of something else does not compile; what has become a mere number meanwhile
 * does, and the call looks at it.
 */
export type Handle<Of extends string> = number & { readonly [opens]?: Of };
