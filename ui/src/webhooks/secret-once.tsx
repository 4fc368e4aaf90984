import { KeyRound } from 'lucide-react'
import { CopyButton } from '../components/code.tsx'

/** A secret that the API returns once. It is kept in the memory of the page only. */
export function SecretOnce ({ secret, note }: { secret: string; note: string }) {
  return (
    <div className='grid gap-2 rounded border border-warning/50 bg-warning-soft p-3'>
      <p className='flex items-center gap-2 font-semibold'>
        <KeyRound size={15} className='text-warning' aria-hidden />
        Copy the secret now. It is not shown again.
      </p>
      <div className='flex items-center gap-1 rounded border border-line bg-surface px-2 py-1'>
        <code className='min-w-0 flex-1 font-mono text-xs break-all' aria-label='Secret'>
          {secret}
        </code>
        <CopyButton text={secret} label='Copy the secret' />
      </div>
      <p>{note}</p>
    </div>
  )
}
