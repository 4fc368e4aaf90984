import ts from 'typescript'
import type { Sources } from './program.ts'
import { RowType } from './row-type.ts'

/** Returns the row type of each table of the interface `Database`. */
export function tableTypes ({ checker, files }: Sources): Map<string, RowType> {
  const file = files.find(({ fileName }) => fileName.endsWith('/db/tables.ts'))
  const database = file?.statements.find(one => ts.isInterfaceDeclaration(one) && one.name.text === 'Database')
  if (database === undefined) throw new Error('db/tables.ts declares no Database')
  return new Map(checker.getPropertiesOfType(checker.getTypeAtLocation(database)).map(table => [
    table.name,
    new RowType(
      checker,
      checker.getPropertiesOfType(checker.getTypeOfSymbol(table)).map(column =>
        [column.name, selectedType(checker, checker.getTypeOfSymbol(column))]
      )
    )
  ]))
}

/** Kysely's `ColumnType` and `Generated` have one type for each kind of statement. */
function selectedType (checker: ts.TypeChecker, type: ts.Type): ts.Type {
  const selected = type.getProperty('__select__')
  return selected === undefined ? type : checker.getTypeOfSymbol(selected)
}
