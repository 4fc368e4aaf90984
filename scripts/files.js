import { accessSync, constants, existsSync, readdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'

/* Times and rights of files, for the scripts that compile. */

/** @param {string} path */
export function modified (path) {
  return existsSync(path) ? statSync(path).mtimeMs : 0
}

/**
 * Returns the latest change of any file or folder below the paths. A folder changes when a file in it is added or
 * deleted.
 * @param {string[]} paths @returns {number}
 */
export function newest (paths) {
  let latest = 0
  for (const path of paths) {
    const stats = statSync(path)
    latest = Math.max(
      latest, stats.mtimeMs, stats.isDirectory() ? newest(readdirSync(path).map(name => join(path, name))) : 0
    )
  }
  return latest
}

/** @param {string} path */
export function isWritable (path) {
  try {
    accessSync(existsSync(path) ? path : dirname(path), constants.W_OK)
    return true
  } catch {
    return false
  }
}

/** @param {string} message @returns {never} */
export function fail (message) {
  process.stderr.write(`${message}\n`)
  process.exit(1)
}
