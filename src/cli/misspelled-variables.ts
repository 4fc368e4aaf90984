import leven from 'leven'
import { EnvironmentVariables } from '../config/environment-variables.ts'

const known = Object.keys(EnvironmentVariables.properties)

/** Longer names may differ in two letters. A short name that does is a different word. */
const distanceMax = (name: string) => name.length < 8 ? 1 : 2

/** A variable that the platform does not read, and the probably intended one. */
export interface MisspelledVariable { variable: string, meant: string }

/** Finds variables whose names differ from one of ours by a typing error: `PORTT`, `DATABSE_URL`, `port`. */
export function misspelledVariables (names: string[]): MisspelledVariable[] {
  return names.filter(name => !known.includes(name)).flatMap(variable => {
    const name = variable.toUpperCase()
    const meant = known.find(candidate => leven(name, candidate) <= distanceMax(candidate))
    return meant === undefined ? [] : [{ variable, meant }]
  })
}
