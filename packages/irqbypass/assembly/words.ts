/**
 * `Words` (src/host/words.ts) as AssemblyScript: what the compiled functions call. A reference to it is no object but the
 * byte address at which the host starts. A word is at four times its index from there; addresses wrap at 4 GiB, and so
 * does this sum. What is missing here cannot be compiled.
 */
@unmanaged
export class Words {
  @inline
  load(word: i32): i32 {
    return atomic.load<i32>(changetype<usize>(this) + ((<usize>word) << 2));
  }

  @inline
  store(word: i32, value: i32): void {
    atomic.store<i32>(changetype<usize>(this) + ((<usize>word) << 2), value);
  }

  @inline
  or(word: i32, value: i32): i32 {
    return atomic.or<i32>(changetype<usize>(this) + ((<usize>word) << 2), value);
  }

  @inline
  and(word: i32, value: i32): i32 {
    return atomic.and<i32>(changetype<usize>(this) + ((<usize>word) << 2), value);
  }

  @inline
  add(word: i32, value: i32): i32 {
    return atomic.add<i32>(changetype<usize>(this) + ((<usize>word) << 2), value);
  }

  @inline
  exchange(word: i32, value: i32): i32 {
    return atomic.xchg<i32>(changetype<usize>(this) + ((<usize>word) << 2), value);
  }

  @inline
  compareExchange(word: i32, expected: i32, value: i32): i32 {
    return atomic.cmpxchg<i32>(changetype<usize>(this) + ((<usize>word) << 2), expected, value);
  }

  @inline
  load64(word: i32): i64 {
    return atomic.load<i64>(changetype<usize>(this) + ((<usize>word) << 2));
  }

  @inline
  compareExchange64(word: i32, expected: i64, value: i64): i64 {
    return atomic.cmpxchg<i64>(changetype<usize>(this) + ((<usize>word) << 2), expected, value);
  }

  @inline
  relax(): void {}

  @inline
  notify(word: i32, count: i32 = -1): i32 {
    return atomic.notify(changetype<usize>(this) + ((<usize>word) << 2), count);
  }

  @inline
  get(word: i32): i32 {
    return load<i32>(changetype<usize>(this) + ((<usize>word) << 2));
  }

  @inline
  set(word: i32, value: i32): void {
    store<i32>(changetype<usize>(this) + ((<usize>word) << 2), value);
  }
}

/** What is used of `Math`, which has it for 64-bit floats alone. */
// biome-ignore lint/suspicious/noShadowRestrictedNames: it stands in for the global
// biome-ignore lint/complexity/noStaticOnlyClass: a function by itself is not called as the global's is
export class Math {
  @inline
  static clz32(bits: i32): i32 {
    return clz<i32>(bits);
  }
}
