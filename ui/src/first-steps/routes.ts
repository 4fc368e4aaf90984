import { createRoute, lazyRouteComponent } from '@tanstack/react-router'
import { text } from '../app/search.ts'
import { signedInRoute } from '../shell/routes.ts'

/** Where the reader is on the way to the first event. It is part of the URL, so a reload continues there. */
export interface FirstStepsSearch {
  application?: string
  topic?: string
}

export const firstStepsRoute = createRoute({
  getParentRoute: () => signedInRoute,
  path: 'first-steps',
  validateSearch: (search): FirstStepsSearch => ({
    application: text(search['application']),
    topic: text(search['topic'])
  }),
  component: lazyRouteComponent(() => import('./first-steps-page.tsx'), 'FirstStepsPage')
})

export const firstStepsRoutes = [firstStepsRoute] as const
