// The declarations of what is published: without what is marked @internal, one file for each entry point, and what they
// share in common files, so that a type is one type wherever it is imported from.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { rollup } from "rollup";
import { dts } from "rollup-plugin-dts";
import ts from "typescript";

/** `Disposable` is of a library that a project with plain `lib` does not name. */
const LIBRARY = '/// <reference lib="esnext.disposable" />';

/** Compiles the declarations of a package's src/ without what is internal; returns where they are. */
export function stripInternal({ folder }) {
  const outDir = join(folder, "build/types");
  rmSync(outDir, { recursive: true, force: true });
  const host = { ...ts.sys, onUnRecoverableConfigFileDiagnostic: (diagnostic) => fail([diagnostic]) };
  const options = {
    stripInternal: true,
    emitDeclarationOnly: true,
    declarationMap: false,
    sourceMap: false,
    composite: false,
    incremental: false,
    tsBuildInfoFile: undefined,
    outDir,
  };
  const config = ts.getParsedCommandLineOfConfigFile(join(folder, "src/tsconfig.json"), options, host);
  const program = ts.createProgram(config.fileNames, config.options);
  const { diagnostics } = program.emit();
  if (diagnostics.length > 0) fail(diagnostics);
  return outDir;
}

/** The rolled-up declarations of `inputs`, by file name. */
export async function rollDeclarations(types, inputs) {
  const input = Object.fromEntries(
    Object.entries(inputs).map(([name, module]) => [name, join(types, `${module}.d.ts`)]),
  );
  const bundle = await rollup({ input, plugins: [dts()], external: (id) => !/^[./]/.test(id) });
  const { output } = await bundle.generate({
    format: "es",
    entryFileNames: "[name].d.ts",
    chunkFileNames: "[name].d.ts",
  });
  await bundle.close();
  return new Map(
    output.map(({ fileName, code, isEntry }) => [fileName, isEntry ? `${LIBRARY}\n${code}` : code]),
  );
}

function fail(diagnostics) {
  throw new Error(
    ts.formatDiagnostics(diagnostics, {
      getCanonicalFileName: (name) => name,
      getCurrentDirectory: () => "",
      getNewLine: () => "\n",
    }),
  );
}
