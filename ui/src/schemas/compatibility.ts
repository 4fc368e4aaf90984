import type { Choice } from '../components/field.tsx'
import type { CompatibilityMode, CompatibilityPolicy } from './frame.tsx'

/** The modes in a sentence each, as in docs/SCHEMAS.md. */
export const modeSentences: Record<CompatibilityMode, string> = {
  backward: 'Every document that is valid under the previous version is valid under the new one.',
  forward: 'Every document that is valid under the new version is valid under the previous one.',
  full: 'The previous and the new version accept the same documents.',
  backward_transitive: 'Every document that is valid under any earlier version is valid under the new one.',
  forward_transitive: 'Every document that is valid under the new version is valid under all earlier ones.',
  full_transitive: 'All versions accept the same documents.',
  none: 'Versions are not compared. Any schema is accepted.'
}

export const policySentences: Record<CompatibilityPolicy, string> = {
  lenient:
    'Assumes that writers send only properties that their schema declares, so you can add an optional property.',
  strict: 'Compares the exact sets of documents, including those with undeclared properties.'
}

const modeLabels: Record<CompatibilityMode, string> = {
  backward: 'Backward',
  forward: 'Forward',
  full: 'Full',
  backward_transitive: 'Backward, all versions',
  forward_transitive: 'Forward, all versions',
  full_transitive: 'Full, all versions',
  none: 'None'
}

export const modeLabel = (mode: CompatibilityMode): string => modeLabels[mode]

export const modeChoices = (Object.keys(modeLabels) as CompatibilityMode[]).map(
  (value): Choice<CompatibilityMode> => ({ value, label: modeLabels[value] })
)

export const policyChoices: readonly Choice<CompatibilityPolicy>[] = [
  { value: 'lenient', label: 'Lenient' },
  { value: 'strict', label: 'Strict' }
]
