import { lazy, Suspense } from 'react'
import type { JsonEditorProps } from './code-mirror.tsx'
import { controlLook } from './field.tsx'

const CodeMirror = lazy(async () => ({ default: (await import('./code-mirror.tsx')).CodeMirrorEditor }))

/** An editor for JSON, loaded when it is first shown. Until then, the text can be edited in a plain field. */
export function JsonEditor (props: JsonEditorProps) {
  const { value, onChange, label } = props
  return (
    <Suspense
      fallback={
        <textarea
          aria-label={label}
          value={value}
          readOnly={props.isReadOnly}
          className={`${controlLook} min-h-40 font-mono text-xs`}
          onChange={event => onChange?.(event.target.value)}
        />
      }
    >
      <CodeMirror {...props} />
    </Suspense>
  )
}

/** Returns the value of a JSON text, or the problem in a sentence. */
export function parseJson (
  text: string
): { value: unknown; problem?: undefined } | { value?: undefined; problem: string } {
  try {
    return { value: JSON.parse(text) as unknown }
  } catch (error) {
    return { problem: `This is not JSON: ${(error as Error).message}` }
  }
}
