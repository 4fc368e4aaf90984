import ts from 'typescript'
import { pathOf, placeOf, walk } from './program.ts'

/** Stands for the value of a parameter in a Kysely template until the whole text is known. */
const parameter = '\u0001'
const textsMax = 64

/** Thrown for an expression whose text follows only from the values of a call. */
export class UnknownTextError extends Error {}

/** The possible texts of parameters of a function, while its body is read. */
type Bindings = ReadonlyMap<ts.Symbol, readonly string[]>

/** Texts of names and functions that only a run can compute: by file, then by name. */
export type GivenTexts = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>

/**
 * Derives the possible texts of a statement from its expression: literals, templates, constants, conditions, calls of
 * our own functions and parameters. For a parameter it reads the literals of its type or, if it has none, the calls in
 * the same file. Some values only have to be of the right kind: a number in a text is 1, and a condition from elsewhere
 * is true.
 */
export class StatementTexts {
  readonly #checker: ts.TypeChecker
  readonly #given: GivenTexts
  constructor (checker: ts.TypeChecker, given: GivenTexts) {
    this.#checker = checker
    this.#given = given
  }

  /** Throws UnknownTextError. */
  of (expression: ts.Expression): string[] {
    return this.#read(expression, new Map()).map(numbered)
  }

  #read (node: ts.Expression, bindings: Bindings): string[] {
    const texts = [...new Set(this.#givenFor(node) ?? this.#readForm(node, bindings))]
    if (texts.length === 0 || texts.length > textsMax) throw this.#unknown(node)
    return texts
  }

  #givenFor (node: ts.Expression): readonly string[] | undefined {
    const name = ts.isCallExpression(node) ? node.expression : node
    const declaration = ts.isIdentifier(name) ? this.#symbolOf(name)?.valueDeclaration : undefined
    return declaration && this.#given[pathOf(declaration.getSourceFile())]?.[name.getText()]
  }

  #readForm (node: ts.Expression, bindings: Bindings): readonly string[] {
    if (ts.isStringLiteralLike(node) || ts.isNumericLiteral(node)) return [node.text]
    if (ts.isTemplateExpression(node)) return this.#template(node, part => this.#read(part, bindings))
    if (ts.isParenthesizedExpression(node) || ts.isAsExpression(node)) return this.#read(node.expression, bindings)
    if (ts.isConditionalExpression(node)) {
      return [...this.#read(node.whenTrue, bindings), ...this.#read(node.whenFalse, bindings)]
    }
    if (ts.isBinaryExpression(node)) return this.#binary(node, bindings)
    if (ts.isTaggedTemplateExpression(node)) return this.#tagged(node, bindings)
    if (ts.isObjectLiteralExpression(node)) return this.#textOf(node, bindings)
    if (ts.isCallExpression(node)) return this.#call(node, bindings)
    if (ts.isIdentifier(node)) return this.#name(node, bindings)
    return this.#literalsOf(node)
  }

  #template (template: ts.TemplateLiteral, read: (part: ts.Expression) => string[]): string[] {
    if (!ts.isTemplateExpression(template)) return [template.text]
    return template.templateSpans.reduce(
      (texts, { expression, literal }) =>
        texts.flatMap(text => read(expression).map(part => `${text}${part}${literal.text}`)),
      [template.head.text]
    )
  }

  #binary ({ left, right, operatorToken }: ts.BinaryExpression, bindings: Bindings): string[] {
    if (operatorToken.kind === ts.SyntaxKind.QuestionQuestionToken) {
      return [...this.#read(left, bindings), ...this.#read(right, bindings)]
    }
    const pairs = this.#read(left, bindings).flatMap(a => this.#read(right, bindings).map(b => [a, b] as const))
    if (operatorToken.kind === ts.SyntaxKind.PlusToken) return pairs.map(([a, b]) => a + b)
    if (operatorToken.kind === ts.SyntaxKind.AsteriskToken) return pairs.map(([a, b]) => String(Number(a) * Number(b)))
    throw this.#unknown(left)
  }

  /** A template of Kysely: fragments become part of the text, other values become parameters. */
  #tagged ({ tag, template }: ts.TaggedTemplateExpression, bindings: Bindings): string[] {
    if (tag.getText() !== 'sql') throw this.#unknown(tag)
    return this.#template(template, part => this.#isFragment(part) ? this.#read(part, bindings) : [parameter])
  }

  #isFragment (node: ts.Expression): boolean {
    return this.#checker.getTypeAtLocation(node).getProperty('toOperationNode') !== undefined
  }

  /** A statement with a name: its `text`. */
  #textOf (node: ts.ObjectLiteralExpression, bindings: Bindings): string[] {
    for (const member of node.properties) {
      if (member.name?.getText() !== 'text') continue
      if (ts.isPropertyAssignment(member)) return this.#read(member.initializer, bindings)
      if (ts.isShorthandPropertyAssignment(member)) return this.#read(member.name, bindings)
    }
    throw this.#unknown(node)
  }

  #call (node: ts.CallExpression, bindings: Bindings): string[] {
    const { expression, arguments: [first] } = node
    if (/^sql\.(ref|table|raw)$/.test(expression.getText()) && first !== undefined) return this.#read(first, bindings)
    const declaration = this.#functionOf(expression)
    if (declaration?.body === undefined) throw this.#unknown(node)
    const inner = new Map(bindings)
    declaration.parameters.forEach(({ name }, index) => {
      const argument = node.arguments[index]
      const symbol = this.#checker.getSymbolAtLocation(name)
      if (argument === undefined || symbol === undefined) return
      try {
        inner.set(symbol, this.#read(argument, bindings))
      } catch (error) {
        // An argument that does not occur in the text.
        if (!(error instanceof UnknownTextError)) throw error
      }
    })
    return returnsOf(declaration.body).flatMap(returned => this.#read(returned, inner))
  }

  #functionOf (callee: ts.Expression): ts.FunctionLikeDeclaration | undefined {
    const declaration = this.#symbolOf(callee)?.valueDeclaration
    if (declaration === undefined) return undefined
    if (ts.isFunctionDeclaration(declaration)) return declaration
    const value = ts.isVariableDeclaration(declaration) ? declaration.initializer : undefined
    return value !== undefined && ts.isArrowFunction(value) ? value : undefined
  }

  #name (node: ts.Identifier, bindings: Bindings): readonly string[] {
    const symbol = this.#symbolOf(node)
    const declaration = symbol?.valueDeclaration
    if (symbol === undefined || declaration === undefined) return this.#literalsOf(node)
    const bound = bindings.get(symbol)
    if (bound !== undefined) return bound
    if (ts.isVariableDeclaration(declaration) && declaration.initializer !== undefined) {
      return this.#read(declaration.initializer, bindings)
    }
    const element = elementOf(declaration)
    if (element !== undefined) return this.#read(element, bindings)
    const literals = this.#literals(node)
    if (literals.length > 0 || !ts.isParameter(declaration)) return literals
    return this.#arguments(declaration).flatMap(argument => this.#read(argument, bindings))
  }

  #symbolOf (node: ts.Expression): ts.Symbol | undefined {
    const symbol = ts.isShorthandPropertyAssignment(node.parent)
      ? this.#checker.getShorthandAssignmentValueSymbol(node.parent)
      : this.#checker.getSymbolAtLocation(node)
    return symbol !== undefined && symbol.flags & ts.SymbolFlags.Alias
      ? this.#checker.getAliasedSymbol(symbol)
      : symbol
  }

  /** The arguments for a parameter in the calls of the same file. */
  #arguments (declaration: ts.ParameterDeclaration): ts.Expression[] {
    const { parent } = declaration
    const index = parent.parameters.findIndex(one => one === declaration)
    const { name } = ts.isArrowFunction(parent) && ts.isVariableDeclaration(parent.parent) ? parent.parent : parent
    const symbol = name && this.#checker.getSymbolAtLocation(name)
    const found: ts.Expression[] = []
    walk(declaration.getSourceFile(), node => {
      if (!ts.isCallExpression(node) || symbol === undefined || this.#symbolOf(node.expression) !== symbol) return
      const argument = node.arguments[index]
      if (argument !== undefined) found.push(argument)
    })
    return found
  }

  #literalsOf (node: ts.Expression): string[] {
    const literals = this.#literals(node)
    if (literals.length === 0) throw this.#unknown(node)
    return literals
  }

  /** The texts that the type of an expression allows, if they can be listed. */
  #literals (node: ts.Expression): string[] {
    const type = this.#checker.getNonNullableType(this.#checker.getTypeAtLocation(node))
    if (type.flags & ts.TypeFlags.Number) return ['1']
    if (this.#checker.typeToString(type) === 'RawBuilder<boolean>') return ['true']
    const members = type.isUnion() ? type.types : [type]
    return members.every(member => member.isLiteral()) ? members.map(({ value }) => String(value)) : []
  }

  #unknown (node: ts.Expression): UnknownTextError {
    return new UnknownTextError(`${placeOf(node)}: the text of ${node.getText().slice(0, 60)} is not known`)
  }
}

/** The element of an array literal that a name is destructured from. */
function elementOf (declaration: ts.Declaration): ts.Expression | undefined {
  if (!ts.isBindingElement(declaration) || !ts.isVariableDeclaration(declaration.parent.parent)) return undefined
  const { initializer } = declaration.parent.parent
  return initializer !== undefined && ts.isArrayLiteralExpression(initializer)
    ? initializer.elements[declaration.parent.elements.findIndex(one => one === declaration)]
    : undefined
}

/** The values that a function returns, but not those that functions within it return. */
function returnsOf (body: ts.ConciseBody): ts.Expression[] {
  if (!ts.isBlock(body)) return [body]
  const found: ts.Expression[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node)) return
    if (ts.isReturnStatement(node) && node.expression !== undefined) found.push(node.expression)
    ts.forEachChild(node, visit)
  }
  visit(body)
  return found
}

function numbered (text: string): string {
  let number = 0
  return text.replaceAll(parameter, () => `$${++number}`)
}
