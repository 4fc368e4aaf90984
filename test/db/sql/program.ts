import { join } from 'node:path'
import ts from 'typescript'
import { root } from '../../support/repository.ts'

/** The folders with hand-written SQL. */
const folders = ['db', 'src', 'plugins', 'routes']

/** The sources with their types, as the compiler reads them. */
export interface Sources { checker: ts.TypeChecker, files: ts.SourceFile[] }

export function readSources (): Sources {
  const configPath = join(root, 'tsconfig.json')
  const { options, fileNames } = ts.parseJsonConfigFileContent(
    ts.readConfigFile(configPath, path => ts.sys.readFile(path)).config, ts.sys, root
  )
  const ours = fileNames.filter(name => folders.some(folder => name.startsWith(join(root, folder, '/'))))
  const { tsBuildInfoFile, incremental, ...others } = options
  const program = ts.createProgram(ours, { ...others, noEmit: true })
  const files = program.getSourceFiles().filter(({ fileName }) => ours.includes(fileName))
  return { checker: program.getTypeChecker(), files }
}

/** Visits a node and everything below it. */
export function walk (node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node)
  ts.forEachChild(node, child => walk(child, visit))
}

/** Returns where a node is, as `src/file.ts:12`. */
export function placeOf (node: ts.Node): string {
  const file = node.getSourceFile()
  const { line } = file.getLineAndCharacterOfPosition(node.getStart())
  return `${pathOf(file)}:${line + 1}`
}

export const pathOf = (file: ts.SourceFile): string => file.fileName.slice(root.length + 1)
