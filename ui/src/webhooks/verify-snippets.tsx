import { useState } from 'react'
import { CodeBlock } from '../components/code.tsx'
import { Segments } from '../components/segments.tsx'
import { snippets } from './snippets.ts'

const choices = snippets.map(({ name }) => ({ value: name, label: name }))

/** Code that verifies the signature, for the libraries and the shell. */
export function VerifySnippets () {
  const [chosen, setChosen] = useState(choices[0]?.value ?? '')
  const shown = snippets.find(({ name }) => name === chosen)
  return (
    <div className='grid justify-items-start gap-2'>
      <Segments label='Language' choices={choices} value={chosen} onChange={setChosen} />
      {shown !== undefined && <CodeBlock text={shown.text} className='w-full' />}
    </div>
  )
}
