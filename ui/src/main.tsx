import { QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { setNonce } from 'get-nonce'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { cspNonce } from './app/csp-nonce.ts'
import { applyTheme } from './app/preferences.ts'
import { queryClient } from './app/query-client.ts'
import { Toasts } from './components/toast.tsx'
import { router } from './router.tsx'
import './styles.css'

// Radix inserts style elements, which the policy of the page admits by the nonce only.
setNonce(cspNonce)
applyTheme()

const root = document.getElementById('root')
if (root === null) throw new Error('The page has no #root')
createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={queryClient}>
      <RouterProvider router={router} />
      <Toasts />
    </QueryClientProvider>
  </StrictMode>
)
