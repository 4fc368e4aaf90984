import ts from 'typescript'
import { placeOf, walk, type Sources } from './program.ts'
import { StatementTexts, UnknownTextError, type GivenTexts } from './statement-text.ts'

/** A statement in the sources. */
export interface Statement {
  place: string
  /** Its possible texts, or why they are not known. */
  texts: string[] | UnknownTextError
  /** The declared type of its rows, if it has one. */
  row: ts.Type | undefined
  /** Whether it goes to a connected database, whose session reads values by pg's defaults. */
  isForSource: boolean
  /** Whether the caller reads rows without declaring their type. */
  readsUntyped: boolean
}

/** Finds every call of `query`, and every template of Kysely that is executed. */
export function findStatements ({ checker, files }: Sources, given: GivenTexts): Statement[] {
  const texts = new StatementTexts(checker, given)
  const found: Statement[] = []
  const add = (node: ts.CallExpression, text: ts.Expression, row: ts.TypeNode | undefined, isForSource: boolean) => {
    found.push({
      place: placeOf(node),
      texts: orUnknown(() => texts.of(text)),
      row: row && checker.getTypeFromTypeNode(row),
      isForSource,
      readsUntyped: row === undefined && readsRows(node)
    })
  }
  for (const file of files) {
    walk(file, node => {
      if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return
      const { name, expression: receiver } = node.expression
      const [first] = node.arguments
      if (name.text === 'query' && first !== undefined) {
        add(node, first, node.typeArguments?.[0], isSource(checker, node, receiver))
      } else if (name.text === 'execute' && isTemplate(receiver)) {
        add(node, receiver, receiver.typeArguments?.[0], false)
      }
    })
  }
  return found
}

/** A value that a template of Kysely computes within a typed query. */
export interface Fragment {
  place: string
  texts: string[] | UnknownTextError
  type: ts.Type
}

/**
 * Finds the fragments with a declared type, except conditions: PostgreSQL itself requires that a condition is boolean.
 */
export function findFragments ({ checker, files }: Sources): Fragment[] {
  const texts = new StatementTexts(checker, {})
  const found: Fragment[] = []
  for (const file of files) {
    walk(file, node => {
      const declared = isTemplate(node) ? node.typeArguments?.[0] : undefined
      if (!isTemplate(node) || declared === undefined) return
      const method = ts.isPropertyAccessExpression(node.parent) ? node.parent.name.text : undefined
      const isCondition = declared.kind === ts.SyntaxKind.BooleanKeyword && method === undefined
      if (method === 'execute' || isCondition) return
      found.push({
        place: placeOf(node),
        texts: orUnknown(() => texts.of(node)),
        type: checker.getTypeFromTypeNode(declared)
      })
    })
  }
  return found
}

const isTemplate = (node: ts.Node): node is ts.TaggedTemplateExpression =>
  ts.isTaggedTemplateExpression(node) && node.tag.getText() === 'sql'

/** Platform statements go through a pool; `Queryable` and single clients talk to connected databases. */
function isSource (checker: ts.TypeChecker, call: ts.CallExpression, receiver: ts.Expression): boolean {
  const declaration = checker.getResolvedSignature(call)?.declaration
  return declaration?.getSourceFile().fileName.endsWith('/src/cdc/source/source.ts') === true ||
    checker.getTypeAtLocation(receiver).symbol?.name === 'Client'
}

/** A call whose whole result is passed on counts as one that reads no rows. */
function readsRows (call: ts.CallExpression): boolean {
  let node: ts.Node = call
  while (ts.isAwaitExpression(node.parent) || ts.isParenthesizedExpression(node.parent)) node = node.parent
  const { parent } = node
  if (ts.isPropertyAccessExpression(parent)) return parent.name.text === 'rows'
  if (!ts.isVariableDeclaration(parent) || !ts.isObjectBindingPattern(parent.name)) return false
  return parent.name.elements.some(({ propertyName, name }) => (propertyName ?? name).getText() === 'rows')
}

function orUnknown (read: () => string[]): string[] | UnknownTextError {
  try {
    return read()
  } catch (error) {
    if (error instanceof UnknownTextError) return error
    throw error
  }
}
