import ts from 'typescript'
import type { PrintedType } from '../../../../src/registry/json-schema/typescript/typescript.ts'

/** A type, and payloads to assign to it. */
export interface Case { topic: string, printed: PrintedType, payloads: unknown[] }

/** An error of the compiler, with the case and the index of the payload, or undefined if a type itself is wrong. */
export interface CompileError { topic: string | undefined, payload: number | undefined, message: string }

const options: ts.CompilerOptions = {
  strict: true, noEmit: true, target: ts.ScriptTarget.ES2022, lib: ['lib.es5.d.ts'], types: [], noUnusedLocals: false,
  module: ts.ModuleKind.ESNext, skipLibCheck: true
}

/**
 * Compiles all types in one strict program, and assigns each payload to its type. The declared type of a payload is its
 * own JSON, which is valid TypeScript: so tuples stay tuples, and surplus members are allowed as in a variable.
 */
export function compileCases (cases: readonly Case[]): CompileError[] {
  const lines: string[] = []
  const places: (readonly [Case, number] | undefined)[] = []
  const add = (text: string, place?: readonly [Case, number]): void => {
    for (const line of text.split('\n')) { lines.push(line); places.push(place) }
  }
  for (const one of cases) {
    add(`interface TopicMap { '${one.topic}': ${one.printed.type} }`)
    for (const declaration of one.printed.declarations) add(declaration)
  }
  for (const [i, one] of cases.entries()) {
    for (const [j, payload] of one.payloads.entries()) {
      const name = `p${i}_${j}`
      add(`declare const ${name}: ${JSON.stringify(payload)}; const _${name}: TopicMap['${one.topic}'] = ${name}`, [
        one, j
      ])
    }
  }
  return diagnosticsOf(lines.join('\n')).map(({ line, message }) => {
    const place = places[line]
    return { topic: place?.[0].topic, payload: place?.[1], message: `${message} in ${lines[line]?.slice(0, 300)}` }
  })
}

const host = ts.createCompilerHost(options)
const libraries = new Map<string, ts.SourceFile | undefined>()

/** Returns the errors of a file in strict mode. */
export function diagnosticsOf (text: string): { line: number, message: string }[] {
  const getSourceFile: typeof host.getSourceFile = (name, ...rest) => {
    if (name === 'types.ts') return ts.createSourceFile(name, text, ts.ScriptTarget.ES2022)
    if (!libraries.has(name)) libraries.set(name, host.getSourceFile(name, ...rest))
    return libraries.get(name)
  }
  const program = ts.createProgram(['types.ts'], options, {
    ...host, getSourceFile,
    fileExists: name => name === 'types.ts' || host.fileExists(name),
    readFile: name => name === 'types.ts' ? text : host.readFile(name)
  })
  const file = program.getSourceFile('types.ts')
  return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)].map(error => ({
    line: file?.getLineAndCharacterOfPosition(error.start ?? 0).line ?? 0,
    message: `TS${error.code}: ${ts.flattenDiagnosticMessageText(error.messageText, ' ')}`.slice(0, 500)
  }))
}
