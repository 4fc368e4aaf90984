/** The look of the buttons in the bar. */
export const barButton = 'inline-flex h-8 min-w-0 max-w-48 items-center gap-1.5 rounded px-2 hover:bg-hover'
