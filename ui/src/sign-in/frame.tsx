import { useEffect, type ReactNode } from 'react'

/** The look of a link in a form. */
export const linkLook = 'text-accent underline underline-offset-2 hover:no-underline'

/** The frame of pages without a session: a narrow column with the name of the platform. */
export function SignInFrame ({
  title,
  children,
  intro,
  footer
}: {
  title: string
  intro?: ReactNode
  footer?: ReactNode
  children: ReactNode
}) {
  useEffect(() => {
    document.title = `${title} · Realtime Platform`
  }, [title])
  return (
    <main className='grid min-h-full content-start justify-items-center px-4 py-[10vh]'>
      <div className='w-full max-w-sm'>
        <p className='mb-5 flex items-center gap-2 font-medium text-muted'>
          <img src='/favicon.svg' alt='' width={24} height={24} />
          Realtime Platform
        </p>
        <div className='rounded border border-line bg-surface p-5'>
          <h1 className='text-xl font-semibold'>{title}</h1>
          {intro !== undefined && <div className='mt-1 text-muted'>{intro}</div>}
          <div className='mt-4'>{children}</div>
        </div>
        {footer !== undefined && <div className='mt-4 text-center text-muted'>{footer}</div>}
      </div>
    </main>
  )
}

/** A sentence about something that has happened, above a form. */
export const Notice = ({ children }: { children: ReactNode }) => (
  <div role='status' className='rounded border border-line bg-sunken px-3 py-2'>
    {children}
  </div>
)
