import { useState } from 'react'
import { useMay } from '../app/me.ts'
import { useGet } from '../app/queries.ts'
import { CopyAs } from '../components/copy-as.tsx'
import { Page, Section } from '../components/page.tsx'
import { Loaded } from '../components/states.tsx'
import { DeliveryHint } from './delivery-hint.tsx'
import { RuleTable } from './rule-table.tsx'
import { RulesForm } from './rules-form.tsx'
import { useAlertTabs } from './tabs.ts'

/** When alerts fire, and how they reach people. */
export function RulesPage () {
  const tabs = useAlertTabs()
  const rules = useGet('/api/alerts/rules')
  const mayChange = useMay()('alerts:update')
  const [version, setVersion] = useState(0)
  return (
    <Page title='Alert rules' tabs={tabs} actions={<CopyAs request={{ method: 'GET', path: '/api/alerts/rules' }} />}>
      <div className='grid gap-4'>
        <Section title='Rules of this environment' isPlain>
          <Loaded query={rules}>
            {data =>
              mayChange
                ? (
                  <RulesForm key={version} rules={data} onDiscard={() => setVersion(version + 1)} />
                  )
                : (
                  <RuleTable rules={data} />
                  )}
          </Loaded>
        </Section>
        <DeliveryHint />
      </div>
    </Page>
  )
}
