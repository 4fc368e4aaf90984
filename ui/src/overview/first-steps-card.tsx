import { Link } from '@tanstack/react-router'
import { useMay } from '../app/me.ts'
import { usePageScope } from '../app/scope.ts'
import { buttonLook } from '../components/button.tsx'
import { CodeBlock } from '../components/code.tsx'
import { toCurl } from '../components/copy-as.tsx'
import { Section } from '../components/page.tsx'

/** The next step while the environment has no topic. */
export function FirstStepsCard () {
  const scope = usePageScope()
  const mayCreate = useMay()('topics:create')
  const body = { name: 'order.placed', description: 'An order was placed', owner: 'shop' }
  return (
    <Section title='First steps'>
      <div className='grid items-start gap-4 md:grid-cols-2'>
        <div className='grid justify-items-start gap-3'>
          <p>
            This environment has no topic yet. Create one, publish an event, and watch it arrive: it takes two
            minutes.
          </p>
          {mayCreate && (
            <Link to='/first-steps' className={buttonLook('primary')}>
              Take the first steps
            </Link>
          )}
        </div>
        <CodeBlock
          label='Or create a topic with the API'
          text={toCurl({ method: 'POST', path: '/api/topics', body }, scope)}
        />
      </div>
    </Section>
  )
}
