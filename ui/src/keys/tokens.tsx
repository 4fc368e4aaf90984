import { useMay } from '../app/me.ts'
import { Section } from '../components/page.tsx'
import { CheckToken } from './check-token.tsx'
import { MintToken } from './mint-token.tsx'

/** Issues tokens, and reads and verifies those that a program has. Nothing of it is stored. */
export function Tokens () {
  const may = useMay()
  return (
    <div className='grid content-start gap-4 overflow-auto p-4 md:p-6 xl:grid-cols-2'>
      {may('tokens:create') && (
        <Section title='Issue a token'>
          <MintToken />
        </Section>
      )}
      <Section title='Decode and verify a token'>
        <CheckToken />
      </Section>
    </div>
  )
}
