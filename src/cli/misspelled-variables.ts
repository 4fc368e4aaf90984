import leven from 'leven'
import { EnvironmentVariables } from '../config.ts'

const known = Object.keys(EnvironmentVariables.properties)

/** Longer names may differ in two letters; a short one that differs in two is another word. */
const distanceMax = (name: string) => name.length < 8 ? 1 : 2

/** A variable that the platform does not read, and the one that was probably meant. */
export interface MisspelledVariable { variable: string, meant: string }

/** Finds variables whose names differ from one of ours by a slip of the keyboard: `PORTT`, `DATABSE_URL`, `port`. */
export function misspelledVariables (names: string[]): MisspelledVariable[] {
  return names.filter(name => !known.includes(name)).flatMap(variable => {
    const name = variable.toUpperCase()
    const meant = known.find(candidate => leven(name, candidate) <= distanceMax(candidate))
    return meant === undefined ? [] : [{ variable, meant }]
  })
}
