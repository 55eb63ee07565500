/**
 * The rules of Prometheus' linter (`promtool check metrics`), by their names there, for text of the exposition format.
 */

/** Units that the linter knows, with the base unit of each. */
const UNITS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    "amperes bytes celsius grams joules kelvin meters metres seconds volts"
      .split(" ")
      .map((unit) => [unit, unit]),
  ),
  ...Object.fromEntries("minutes hours days weeks".split(" ").map((unit) => [unit, "seconds"])),
  ...Object.fromEntries("inches yards miles".split(" ").map((unit) => [unit, "meters"])),
  ...Object.fromEntries("fahrenheit rankine".split(" ").map((unit) => [unit, "celsius"])),
  ...Object.fromEntries("pounds ounces".split(" ").map((unit) => [unit, "grams"])),
  kelvins: "kelvin",
  bits: "bytes",
  calories: "joules",
};
const PREFIX =
  /^(pico|nano|micro|milli|centi|deci|deca|hecto|kilo|kibi|mega|mibi|giga|gibi|tera|tebi|peta|pebi)/;
const ABBREVIATIONS = /_(s|ms|us|ns|sec|b|kb|mb|gb|tb|pb|m|h|d)(_|$)/;
const TYPES = /_(counter|gauge|summary|histogram|gauge_histogram)(_|$)/;
const CAMEL = /[a-z][A-Z]/;

interface Family {
  help: string | undefined;
  type: string | undefined;
  readonly labels: Set<string>;
  readonly samples: Set<string>;
  twice: boolean;
}

/** What the linter would say: "NAME: RULE", in the order of the names. */
export function lint(text: string): string[] {
  const families = new Map<string, Family>();
  const of = (name: string): Family => {
    const found = families.get(name) ?? {
      help: undefined,
      type: undefined,
      labels: new Set(),
      samples: new Set(),
      twice: false,
    };
    families.set(name, found);
    return found;
  };
  for (const line of text.split("\n")) {
    const comment = /^# (HELP|TYPE) (\S+) ?(.*)$/.exec(line);
    const sample = /^([^{\s]+)(?:\{(.*)\})? \S+$/.exec(line);
    if (comment !== null) of(comment[2]!)[comment[1] === "HELP" ? "help" : "type"] = comment[3]!;
    else if (sample !== null) {
      const family = of(sample[1]!);
      const labels = sample[2] ?? "";
      for (const [, label] of labels.matchAll(/([^,=]+)="(?:[^"\\]|\\.)*"/g)) family.labels.add(label!);
      if (family.samples.has(labels)) family.twice = true;
      family.samples.add(labels);
    }
  }
  return [...families]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([name, family]) => problems(name, family).map((rule) => `${name}: ${rule}`));
}

function problems(name: string, { help, type, labels, twice }: Family): string[] {
  const lower = name.toLowerCase();
  const word = name.split("_").find((one) => baseOf(one) !== undefined);
  const has = (label: string) => labels.has(label);
  const rules: readonly (readonly [rule: string, broken: boolean])[] = [
    ["Help", help === undefined || help === ""],
    ["MetricUnits", word !== undefined && baseOf(word) !== word],
    ["Counter", (type === "counter") !== name.endsWith("_total")],
    [
      "HistogramSummaryReserved",
      type !== "histogram" &&
        type !== "summary" &&
        (/_(bucket|count|sum)$/.test(name) || has("le") || has("quantile")),
    ],
    ["MetricTypeInName", TYPES.test(lower)],
    ["ReservedChars", name.includes(":")],
    ["CamelCase", CAMEL.test(name) || [...labels].some((label) => CAMEL.test(label))],
    ["UnitAbbreviations", ABBREVIATIONS.test(lower)],
    ["DuplicateMetric", twice],
  ];
  return rules.filter(([, broken]) => broken).map(([rule]) => rule);
}

/** The base unit of a word of a name; undefined for what is no unit. */
function baseOf(word: string): string | undefined {
  return UNITS[word] ?? UNITS[word.replace(PREFIX, "")];
}
