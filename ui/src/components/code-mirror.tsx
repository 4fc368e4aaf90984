import { defaultKeymap, history, historyKeymap } from '@codemirror/commands'
import { json, jsonParseLinter } from '@codemirror/lang-json'
import { bracketMatching, foldGutter, HighlightStyle, indentOnInput, syntaxHighlighting } from '@codemirror/language'
import { linter, lintGutter, type Diagnostic } from '@codemirror/lint'
import { Compartment, EditorState } from '@codemirror/state'
import { drawSelection, EditorView, keymap, lineNumbers } from '@codemirror/view'
import { tags } from '@lezer/highlight'
import { useEffect, useRef } from 'react'
import { cspNonce } from '../app/csp-nonce.ts'

export interface JsonEditorProps {
  value: string
  onChange?: (value: string) => void
  label: string
  isReadOnly?: boolean
  /** Problems that the server has found, by position in the text. */
  problems?: readonly Diagnostic[]
  /** A class for the height. Default: between 10 and 32 lines. */
  className?: string
}

const look = EditorView.theme({
  '&': {
    backgroundColor: 'var(--surface)',
    color: 'var(--text)',
    fontSize: '12px',
    maxHeight: '520px',
    minHeight: '160px',
    borderRadius: '6px',
    overflow: 'hidden'
  },
  '&.cm-focused': { outline: '2px solid var(--accent)' },
  '.cm-scroller': { fontFamily: 'var(--font-mono)', lineHeight: '20px', overflow: 'auto' },
  '.cm-gutters': { backgroundColor: 'var(--surface)', color: 'var(--muted)', borderRight: '1px solid var(--line)' },
  '.cm-gutter': { minHeight: '158px' },
  '.cm-cursor': { borderLeftColor: 'var(--text)' },
  '.cm-content': { caretColor: 'var(--text)' },
  '&.cm-focused .cm-selectionBackground, .cm-selectionBackground': { backgroundColor: 'var(--selected) !important' },
  '.cm-tooltip': { backgroundColor: 'var(--raised)', border: '1px solid var(--line)', color: 'var(--text)' }
})

const parse = jsonParseLinter()
/** An empty text is no mistake yet. */
const parseProblems = (view: EditorView): Diagnostic[] => view.state.doc.length === 0 ? [] : parse(view)

export function CodeMirrorEditor ({
  value,
  onChange,
  label,
  isReadOnly = false,
  problems,
  className
}: JsonEditorProps) {
  const place = useRef<HTMLDivElement>(null)
  const view = useRef<EditorView>(null)
  const changed = useRef(onChange)
  const remote = useRef(new Compartment())
  useEffect(() => {
    changed.current = onChange
  }, [onChange])
  useEffect(() => {
    if (place.current === null) return
    const editor = new EditorView({
      parent: place.current,
      state: EditorState.create({
        doc: value,
        extensions: [
          EditorView.cspNonce.of(cspNonce),
          look,
          lineNumbers(),
          foldGutter(),
          history(),
          drawSelection(),
          indentOnInput(),
          bracketMatching(),
          json(),
          syntaxHighlighting(colours),
          linter(parseProblems),
          lintGutter(),
          remote.current.of([]),
          // Tab leaves the editor, so that the page can be used by keyboard. ⌘Enter sends the form.
          keymap.of([...defaultKeymap.filter(({ key }) => key !== 'Mod-Enter'), ...historyKeymap]),
          EditorState.readOnly.of(isReadOnly),
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ 'aria-label': label }),
          EditorView.updateListener.of(update => {
            if (update.docChanged) changed.current?.(update.state.doc.toString())
          })
        ]
      })
    })
    view.current = editor
    return () => editor.destroy()
    // The editor is created once; the effects below bring it up to date.
  }, [label, isReadOnly])
  useEffect(() => {
    const editor = view.current
    if (editor === null || editor.state.doc.toString() === value) return
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } })
  }, [value])
  useEffect(() => {
    view.current?.dispatch({
      effects: remote.current.reconfigure(
        // The text may have become shorter since the problems were placed.
        problems === undefined
          ? []
          : linter(({ state }) => problems.filter(({ to }) => to <= state.doc.length), { delay: 0 })
      )
    })
  }, [problems])
  return <div ref={place} className={`rounded border border-control ${className ?? ''}`} />
}

const colours = HighlightStyle.define([
  { tag: tags.propertyName, color: 'var(--info)' },
  { tag: tags.string, color: 'var(--ok)' },
  { tag: [tags.number, tags.bool], color: 'var(--warning)' },
  { tag: tags.null, color: 'var(--muted)' }
])
