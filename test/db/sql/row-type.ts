import ts from 'typescript'
import type { ResultColumn } from './result-columns.ts'

/** A column of a declared row type. */
interface DeclaredColumn { type: ts.Type, isNullable: boolean }

const nothing = ts.TypeFlags.Null | ts.TypeFlags.Undefined

/** A declared type of rows, to compare with the columns and values that PostgreSQL returns. */
export class RowType {
  readonly #checker: ts.TypeChecker
  readonly #columns: ReadonlyMap<string, DeclaredColumn>

  constructor (checker: ts.TypeChecker, columns: Iterable<readonly [name: string, type: ts.Type]>) {
    this.#checker = checker
    this.#columns = new Map([...columns].map(([name, type]) => [name, {
      type,
      isNullable: membersOf(type).some(({ flags }) => (flags & (ts.TypeFlags.Null | ts.TypeFlags.Unknown)) !== 0)
    }]))
  }

  static of (checker: ts.TypeChecker, row: ts.Type): RowType {
    return new RowType(
      checker,
      checker.getPropertiesOfType(row).map(property => [property.name, checker.getTypeOfSymbol(property)])
    )
  }

  /**
   * Returns how the columns of a result differ. `mayLackRows` is set for a statement with an outer join, whose columns
   * may be null although those of the table may not.
   */
  differences (results: readonly ResultColumn[], mayLackRows: boolean): string[] {
    const found: string[] = []
    for (const { name, type, sample, isNullable } of results) {
      const declared = this.#columns.get(name)
      if (declared === undefined) found.push(`${name} is not declared`)
      else {
        if (!this.#fits(sample, declared.type, isJson(type))) {
          found.push(`${name} is declared as ${this.#checker.typeToString(declared.type)}, but is ${type}`)
        }
        if (isNullable === true && !declared.isNullable) found.push(`${name} may be null`)
        if (isNullable === false && declared.isNullable && !mayLackRows) found.push(`${name} is never null`)
      }
    }
    const names = new Set(results.map(({ name }) => name))
    return [...found, ...[...this.#columns.keys()].filter(name => !names.has(name)).map(name => `${name} is missing`)]
  }

  /** Returns the columns of a row whose values are not of the declared types. */
  misfits (row: Readonly<Record<string, unknown>>, results: readonly ResultColumn[]): string[] {
    return results.flatMap(({ name, type }) => {
      const declared = this.#columns.get(name)
      if (declared === undefined || this.#fits(row[name], declared.type, isJson(type))) return []
      return [`${name} is declared as ${this.#checker.typeToString(declared.type)}, but was ${String(row[name])}`]
    })
  }

  /** `isJson` allows every type that JSON can hold, because PostgreSQL does not describe what is inside. */
  #fits (value: unknown, type: ts.Type, isJson: boolean): boolean {
    return membersOf(type).some(member => {
      if (member.flags & ts.TypeFlags.Unknown) return true
      if (value === null) return (member.flags & nothing) !== 0
      const className = member.symbol?.name
      if (isJson) return className !== 'Date' && className !== 'Buffer'
      if (value instanceof Date) return className === 'Date'
      if (Buffer.isBuffer(value)) return className === 'Buffer'
      if (Array.isArray(value)) {
        const [element] = this.#checker.isArrayType(member)
          ? this.#checker.getTypeArguments(member as ts.TypeReference)
          : []
        return element !== undefined && value.every(one => this.#fits(one, element, false))
      }
      return (member.flags & (primitives[typeof value] ?? 0)) !== 0
    })
  }
}

const membersOf = (type: ts.Type): ts.Type[] => type.isUnion() ? type.types : [type]

/** The platform's pools read `json` as text, and `jsonb` as a value. */
const isJson = (type: string): boolean => type === 'jsonb'

const primitives: Record<string, ts.TypeFlags> = {
  string: ts.TypeFlags.StringLike, number: ts.TypeFlags.NumberLike, boolean: ts.TypeFlags.BooleanLike
}
