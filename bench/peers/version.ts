import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../../test/support/repository.ts'

/** Returns the version of an installed package, also of one that does not export its package.json. */
export const versionOfPackage = (name: string): string => versionIn(join(root, 'node_modules', name, 'package.json'))

const versionIn = (path: string): string => (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version

/** The version of the platform. */
export const ownVersion = versionIn(join(root, 'package.json'))
