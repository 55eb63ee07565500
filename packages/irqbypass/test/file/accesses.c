// Accesses of each width, data and globals, for explored.test.ts.
#define EXPORT(name) __attribute__((export_name(#name))) name

static const char text[] = "if";
static int kept = 7;

int EXPORT(data)(int at) { return ((const volatile char *)text)[at] + kept++; }
int EXPORT(byte_or)(unsigned char *byte, int bits) { return __atomic_fetch_or(byte, (unsigned char)bits, 5); }
int EXPORT(byte_swap)(unsigned char *byte, int expected, int value) {
  unsigned char seen = (unsigned char)expected;
  return __atomic_compare_exchange_n(byte, &seen, (unsigned char)value, 0, 5, 5);
}
int EXPORT(short_add)(unsigned short *half, int value) { return __atomic_fetch_add(half, (unsigned short)value, 5); }
int EXPORT(wide_add)(long long *wide, int value) { return (int)__atomic_fetch_add(wide, (long long)value, 5); }
int EXPORT(wide_swap)(long long *wide, int expected, int value) {
  long long seen = expected;
  return __atomic_compare_exchange_n(wide, &seen, (long long)value, 0, 5, 5);
}
