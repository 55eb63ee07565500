/**
 * Every public entry of the package, read from its type declarations: what is exported is fuzzed, without a list that
 * somebody could forget to extend.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import ts from "typescript";

/** What a parameter may be, as far as a generator needs to know it. */
export type Shape =
  | { readonly is: "number" | "bigint" | "string" | "boolean" | "undefined" | "null" | "any" | "callback" }
  | { readonly is: "literal"; readonly value: string | number | boolean }
  | { readonly is: "class"; readonly name: string }
  | { readonly is: "array"; readonly of: Shape }
  | { readonly is: "union"; readonly of: readonly Shape[] }
  | { readonly is: "object"; readonly properties: readonly Parameter[] };

export interface Parameter {
  readonly name: string;
  readonly optional: boolean;
  readonly shape: Shape;
}

/** One way into the library. */
export interface Entry {
  /** "Vm.prototype.irqfd", "Host.create", "new Vm", "get Vm.prototype.id", "encodeMsi". */
  readonly name: string;
  /** Which entry point of the package has it. */
  readonly from: string;
  readonly how: "function" | "static" | "new" | "method" | "get" | "set";
  readonly owner: string;
  readonly member: string;
  readonly parameters: readonly Parameter[];
  /** Its doc comment, without the tags. */
  readonly doc: string;
}

/** What the entries of some entry points are called by; those of another one by its own name. */
const SHORT: Readonly<Record<string, string>> = { ".": "core" };

/** The entry points by name: all that `exports` has declarations of, and the explorer's. */
export const ENTRY_POINTS: Readonly<Record<string, string>> = {
  ...exported(),
  explore: "../../../atomics-explorer/build/src/index",
};

function exported(): Record<string, string> {
  const file = new URL("../../../package.json", import.meta.url);
  const { exports } = JSON.parse(readFileSync(file, "utf8")) as {
    exports: Record<string, string | { types?: string }>;
  };
  const found: Record<string, string> = {};
  for (const [key, target] of Object.entries(exports)) {
    if (typeof target === "string" || target.types === undefined) continue;
    const name = SHORT[key] ?? key.replace("./", "");
    found[name] = target.types.replace("./build/src/", "").replace(/\.d\.ts$/, "");
  }
  return found;
}

export interface Surface {
  readonly entries: readonly Entry[];
  /** Classes that an entry point exports, as a value or as a type: these are public. */
  readonly classes: readonly string[];
  /** Classes that can be reached from those, and that no entry point exports. */
  readonly reachable: readonly string[];
  /** Exported values that cannot be called. */
  readonly constants: readonly string[];
}

const DEEPEST = 5;

/** Interfaces that one class is meant by. */
const STRUCTURAL: Readonly<Record<string, string>> = { BypassHost: "Host", AbortSignalLike: "AbortSignal" };

/** The path of an entry point's declarations. */
const declarationsOf = (name: string) =>
  fileURLToPath(new URL(`../../../build/src/${name}.d.ts`, import.meta.url));

/** Reads the declarations of the built package. */
export function readSurface(): Surface {
  const files = Object.values(ENTRY_POINTS).map(declarationsOf);
  const program = ts.createProgram(files, {
    target: ts.ScriptTarget.ESNext,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    strict: true,
    lib: ["lib.esnext.d.ts"],
    types: ["node"],
  });
  return new Reader(program, program.getTypeChecker()).read();
}

class Reader {
  private readonly entries: Entry[] = [];
  private readonly constants: string[] = [];
  private readonly classes = new Set<string>();
  private readonly reachable = new Set<string>();

  constructor(
    private readonly program: ts.Program,
    private readonly checker: ts.TypeChecker,
  ) {}

  read(): Surface {
    for (const [from, file] of Object.entries(ENTRY_POINTS)) {
      const source = this.program.getSourceFiles().find(({ fileName }) => fileName === declarationsOf(file));
      const module = source === undefined ? undefined : this.checker.getSymbolAtLocation(source);
      if (source === undefined) throw new Error(`there is no ${file}.d.ts: build first`);
      if (module === undefined) continue; // it exports nothing: the module of a thread
      for (const exported of this.checker.getExportsOfModule(module)) this.readExport(exported, from);
    }
    const entries = this.entries.sort((a, b) => a.name.localeCompare(b.name));
    const reachable = [...this.reachable].filter((name) => !this.classes.has(name)).sort();
    return { entries, classes: [...this.classes].sort(), reachable, constants: this.constants };
  }

  private readExport(exported: ts.Symbol, from: string): void {
    const symbol = exported.flags & ts.SymbolFlags.Alias ? this.checker.getAliasedSymbol(exported) : exported;
    const name = exported.name;
    if (symbol.flags & ts.SymbolFlags.Class) this.readClass(symbol, from, !isTypeOnly(exported));
    else if (symbol.flags & ts.SymbolFlags.Function) {
      const type = this.checker.getTypeOfSymbol(symbol);
      this.addCalls(type, { name, from, how: "function", owner: "", member: name });
    } else if (symbol.flags & ts.SymbolFlags.Variable) {
      const type = this.checker.getTypeOfSymbol(symbol);
      if (type.getCallSignatures().length > 0)
        this.addCalls(type, { name, from, how: "function", owner: "", member: name });
      else this.constants.push(name);
    }
  }

  private readClass(symbol: ts.Symbol, from: string, exported: boolean): void {
    const { name } = symbol;
    if (this.classes.has(name)) return;
    this.classes.add(name);
    const declaration = symbol.valueDeclaration as ts.ClassDeclaration;
    const abstract = (ts.getCombinedModifierFlags(declaration) & ts.ModifierFlags.Abstract) !== 0;
    const statics = this.checker.getTypeOfSymbol(symbol);
    if (exported) {
      for (const member of statics.getProperties()) {
        if (member.name === "prototype" || this.isHidden(member) || this.isForeign(member)) continue;
        const type = this.checker.getTypeOfSymbol(member);
        this.addCalls(type, {
          name: `${name}.${member.name}`,
          from,
          how: "static",
          owner: name,
          member: member.name,
        });
      }
      const constructors = declaration.members.filter(ts.isConstructorDeclaration);
      const open = constructors.length === 0 || constructors.some((one) => !this.isHiddenNode(one));
      if (open && !abstract) this.addConstructor(statics, name, from);
    }
    const instance = this.checker.getDeclaredTypeOfSymbol(symbol);
    for (const member of instance.getProperties()) {
      if (!this.isHidden(member) && !this.isForeign(member)) this.readMember(member, name, from);
    }
  }

  private addConstructor(statics: ts.Type, owner: string, from: string): void {
    for (const signature of statics.getConstructSignatures()) {
      const declared = signature.getDeclaration();
      if (declared !== undefined && this.isHiddenNode(declared)) continue;
      this.entries.push({
        name: `new ${owner}`,
        from,
        how: "new",
        owner,
        member: "constructor",
        parameters: this.parameters(signature),
        doc: this.doc(signature),
      });
    }
  }

  private readMember(member: ts.Symbol, owner: string, from: string): void {
    const name = member.name.startsWith("__@dispose") ? "@@dispose" : member.name;
    const type = this.checker.getTypeOfSymbol(member);
    const base = { from, owner, member: name, doc: this.doc(member) };
    if (type.getCallSignatures().length > 0) {
      this.addCalls(type, { ...base, name: `${owner}.prototype.${name}`, how: "method" });
      return;
    }
    this.note(type);
    this.entries.push({ ...base, name: `get ${owner}.prototype.${name}`, how: "get", parameters: [] });
    if (member.flags & ts.SymbolFlags.SetAccessor) {
      const parameters = [{ name: "value", optional: false, shape: this.shape(type, 0) }];
      this.entries.push({ ...base, name: `set ${owner}.prototype.${name}`, how: "set", parameters });
    }
  }

  private addCalls(type: ts.Type, entry: Omit<Entry, "parameters" | "doc">): void {
    for (const signature of type.getCallSignatures()) {
      this.entries.push({ ...entry, parameters: this.parameters(signature), doc: this.doc(signature) });
      this.note(signature.getReturnType());
    }
  }

  private doc(of: ts.Symbol | ts.Signature): string {
    return ts.displayPartsToString(of.getDocumentationComment(this.checker));
  }

  private parameters(signature: ts.Signature): Parameter[] {
    return signature.getParameters().map((parameter) => this.parameter(parameter, 0));
  }

  private parameter(symbol: ts.Symbol, depth: number): Parameter {
    const declaration = symbol.valueDeclaration;
    const isOptional =
      (symbol.flags & ts.SymbolFlags.Optional) !== 0 ||
      (declaration !== undefined &&
        ts.isParameter(declaration) &&
        (declaration.questionToken !== undefined || declaration.initializer !== undefined));
    const type = this.checker.getTypeOfSymbol(symbol);
    return { name: symbol.name, optional: isOptional, shape: this.shape(type, depth) };
  }

  private shape(type: ts.Type, depth: number): Shape {
    if (depth > DEEPEST) return { is: "any" };
    if (type.isStringLiteral() || type.isNumberLiteral()) return { is: "literal", value: type.value };
    if (type.flags & ts.TypeFlags.BooleanLiteral) {
      return { is: "literal", value: this.checker.typeToString(type) === "true" };
    }
    if (type.isUnion()) return { is: "union", of: type.types.map((one) => this.shape(one, depth + 1)) };
    if (type.isIntersection()) return this.shape(type.types[0]!, depth); // a handle: a number that says what it opens
    if (type.flags & ts.TypeFlags.NumberLike) return { is: "number" };
    if (type.flags & ts.TypeFlags.BigIntLike) return { is: "bigint" };
    if (type.flags & ts.TypeFlags.StringLike) return { is: "string" };
    if (type.flags & ts.TypeFlags.BooleanLike) return { is: "boolean" };
    if (type.flags & ts.TypeFlags.Undefined) return { is: "undefined" };
    if (type.flags & ts.TypeFlags.Null) return { is: "null" };
    if (type.getCallSignatures().length > 0) return { is: "callback" };
    const element = this.checker.getIndexTypeOfType(type, ts.IndexKind.Number);
    if (this.checker.isArrayLikeType(type) && element !== undefined) {
      return { is: "array", of: this.shape(element, depth + 1) };
    }
    const { symbol } = type;
    if (symbol !== undefined && (symbol.flags & ts.SymbolFlags.Class || this.isForeign(symbol))) {
      return { is: "class", name: symbol.name };
    }
    const standsFor = STRUCTURAL[symbol?.name ?? ""];
    if (standsFor !== undefined) return { is: "class", name: standsFor };
    if (type.flags & ts.TypeFlags.Object) {
      const properties = type.getProperties().map((one) => this.parameter(one, depth + 1));
      return { is: "object", properties };
    }
    return { is: "any" };
  }

  /** Something of the language or the platform: AbortSignal, Uint32Array. */
  private isForeign(symbol: ts.Symbol): boolean {
    return (symbol.declarations ?? []).some((one) => {
      const { fileName } = one.getSourceFile();
      return fileName.includes("/node_modules/") && symbol.name !== "__type";
    });
  }

  /** Notes the classes that come out of a call or a property. */
  private note(type: ts.Type): void {
    const types = type.isUnion()
      ? type.types
      : [type, ...this.checker.getTypeArguments(type as ts.TypeReference)];
    for (const { symbol } of types) {
      if (symbol === undefined || !(symbol.flags & ts.SymbolFlags.Class) || this.isForeign(symbol)) continue;
      const ours =
        symbol.declarations?.some((one) => one.getSourceFile().fileName.includes("/build/src/")) === true;
      if (ours) this.reachable.add(symbol.name);
    }
  }

  private isHidden(member: ts.Symbol): boolean {
    return (member.declarations ?? []).some((one) => this.isHiddenNode(one));
  }

  private isHiddenNode(node: ts.Declaration & { readonly name?: ts.Node }): boolean {
    const flags = ts.getCombinedModifierFlags(node);
    if (node.name !== undefined && ts.isPrivateIdentifier(node.name)) return true;
    if (flags & (ts.ModifierFlags.Private | ts.ModifierFlags.Protected)) return true;
    return ts.getJSDocTags(node).some(({ tagName }) => tagName.text === "internal");
  }
}

/** Is it exported as a type, so that no value of the name is there at run time? */
function isTypeOnly(exported: ts.Symbol): boolean {
  return (exported.declarations ?? []).some(
    (one) => ts.isExportSpecifier(one) && (one.isTypeOnly || one.parent.parent.isTypeOnly),
  );
}
