// The public items of all packages as TypeDoc reads them from the sources, under the specifiers by which programs import them, and
// which of them say nothing of themselves.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { Application, Converter, ReflectionKind } from "typedoc";
import { PACKAGES, ROOT, readPackage } from "../pack/packages.mjs";

/** What others write down or call; a function type is described by what has it. */
const DESCRIBED =
  ReflectionKind.Module |
  ReflectionKind.Class |
  ReflectionKind.Interface |
  ReflectionKind.Enum |
  ReflectionKind.EnumMember |
  ReflectionKind.Variable |
  ReflectionKind.Function |
  ReflectionKind.Constructor |
  ReflectionKind.Property |
  ReflectionKind.Method |
  ReflectionKind.Accessor |
  ReflectionKind.TypeAlias;

/** The entry points of the packages: the specifier of each by its source. Modules of threads, which export nothing, are none. */
export function entryPoints() {
  const found = new Map();
  for (const name of PACKAGES) {
    const { folder, entries, workers } = readPackage(name);
    const threads = new Set(Object.values(workers));
    for (const [entry, module] of Object.entries(entries))
      if (!threads.has(module))
        found.set(join(folder, "src", `${module}.ts`), entry === "index" ? name : `${name}/${entry}`);
  }
  return found;
}

/** Reads what `sources`, a map as of {@link entryPoints}, export. Warnings of TypeDoc, such as a link to nothing, go to its logger. */
export async function readReference(sources, options = {}) {
  // Each item is linked to its source where the checkout says where it came from.
  const { status } = spawnSync("git", ["remote", "get-url", "origin"], { cwd: ROOT });
  const app = await Application.bootstrap({
    entryPoints: [...sources.keys()],
    tsconfig: join(ROOT, "tsconfig.json"),
    name: "irqbypass and its tools",
    readme: "none",
    excludeInternal: true,
    excludePrivate: true,
    excludeExternals: true,
    disableSources: status !== 0,
    sort: ["static-first", "alphabetical"],
    ...options,
  });
  app.converter.on(Converter.EVENT_CREATE_DECLARATION, (context, reflection) => {
    if (!reflection.kindOf(ReflectionKind.Module)) return;
    const source = context.getSymbolFromReflection(reflection)?.declarations?.[0]?.getSourceFile().fileName;
    reflection.name = sources.get(source) ?? reflection.name;
  });
  const project = await app.convert();
  if (project === undefined) throw new Error("TypeDoc cannot read the sources");
  app.validate(project);
  return { app, project };
}

/** The full names of the public items without a text, the keys of parameter objects among them. */
export function undocumented(project) {
  return Object.values(project.reflections)
    .filter((one) => one.kindOf(DESCRIBED) && !isDescribed(one))
    .map((one) => one.getFullName().replaceAll(".__type", ""))
    .sort();
}

const isDescribed = (one) =>
  [one, ...(one.signatures ?? []), one.getSignature, one.setSignature].some((part) => part?.hasComment());
