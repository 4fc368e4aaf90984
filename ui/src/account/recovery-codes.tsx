import { Download } from 'lucide-react'
import { useState } from 'react'
import { Button } from '../components/button.tsx'
import { CopyButton } from '../components/code.tsx'
import { save } from '../components/export.ts'
import { Checkbox } from '../components/field.tsx'
import { Section } from '../components/page.tsx'

/** Shows the recovery codes, once. */
export function RecoveryCodes ({ codes, onClose }: { codes: readonly string[]; onClose: () => void }) {
  const [isKept, setKept] = useState(false)
  const text = codes.join('\n')
  return (
    <Section
      title='Recovery codes'
      actions={
        <span className='flex items-center gap-1'>
          <CopyButton text={text} label='Copy the recovery codes' />
          <Button
            kind='plain'
            icon={<Download size={14} aria-hidden />}
            onClick={() => save('recovery-codes.txt', `${text}\n`, 'text/plain')}
          >
            Download
          </Button>
        </span>
      }
    >
      <p className='mb-3'>
        The second factor is enabled. Keep these codes where you find them without your phone: each one opens a
        session once, in place of a code of the app. They cannot be shown again.
      </p>
      <ol
        aria-label='Recovery codes'
        className='mb-4 grid grid-cols-2 gap-x-6 gap-y-1 rounded border border-line bg-sunken p-3 font-mono'
      >
        {codes.map(code => (
          <li key={code}>{code}</li>
        ))}
      </ol>
      <div className='grid justify-items-start gap-3'>
        <Checkbox label='I have kept the codes' checked={isKept} onChange={event => setKept(event.target.checked)} />
        <Button kind='primary' disabled={!isKept} onClick={onClose}>
          Done
        </Button>
      </div>
    </Section>
  )
}
