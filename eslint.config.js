import neostandard, { plugins } from 'neostandard'

const noSleeps = 'Wait for a fact, with `until` or `eventually` of test/support/waiting.ts. If the time is the ' +
  'scenario itself, use its `pace` or `elapse`.'

const noCasts = [
  'TSAsExpression > TSAsExpression > TSUnknownKeyword', 'TSAsExpression > TSNeverKeyword',
  'TSAsExpression > TSArrayType > TSNeverKeyword'
].map(selector => ({
  selector, message: 'Declare the true type of the value, or check the value with a type guard.'
}))

export default [
  { ignores: ['**/dist/', '.data/', '.tap/', 'coverage/', 'openapi.json', '**/*.gen.ts'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  ...neostandard({ ts: true, env: ['node'] }),
  {
    files: ['**/*.ts', '**/*.tsx'],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    plugins: { '@typescript-eslint': plugins['typescript-eslint'].plugin },
    rules: {
      // A TypeBox schema and the type that it describes share their name.
      '@typescript-eslint/no-redeclare': 'off',
      'no-void': ['error', { allowAsStatement: true }],
      '@stylistic/object-property-newline': 'off',
      // tap waits for its subtests by itself.
      '@typescript-eslint/no-floating-promises': ['error', {
        allowForKnownSafePromises: [{ from: 'package', package: '@tapjs/core', name: 'PromiseWithSubtest' }]
      }],
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: false }],
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/ban-ts-comment': 'error',
      'no-restricted-syntax': ['error', ...noCasts],
      '@typescript-eslint/naming-convention': ['error', {
        selector: ['variable', 'classProperty'],
        // A variable that is named after an environment variable keeps the name of it.
        filter: { regex: '^(NODE_ENV|TZ)$', match: false },
        format: null,
        custom: { regex: '^[A-Z][A-Z0-9_]+$', match: false }
      }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-import-type-side-effects': 'error'
    }
  },
  {
    files: ['ui/**/*.tsx'],
    rules: {
      'no-restricted-syntax': ['error', ...noCasts, {
        selector: 'CallExpression[callee.name=/^use(Layout)?Effect$/] > ArrowFunctionExpression[expression=true]',
        message: 'Write braces: React calls what an effect returns, and methods of elements return promises.'
      }],
      // A component passes on the handlers that it is given.
      'react/jsx-handler-names': 'off',
      // The pairs of a list of properties are no children of an element, so they need no key.
      'react/jsx-key': 'off'
    }
  },
  {
    files: ['test/**/*.ts'],
    ignores: ['test/support/waiting.ts'],
    rules: {
      'no-restricted-imports': ['error', {
        paths: ['node:timers/promises', 'timers/promises'].map(name => ({
          name, importNames: ['setTimeout', 'scheduler'], message: noSleeps
        }))
      }]
    }
  },
  {
    files: ['test/**/*.ts'],
    // Clients and receivers have timeouts of their own.
    ignores: ['test/support/**'],
    rules: {
      'no-restricted-syntax': ['error', ...noCasts, {
        selector: ':matches(NewExpression[callee.name=Promise], CallExpression[callee.name=promisify]) ' +
          ':matches(CallExpression[callee.name=setTimeout], Identifier.arguments[name=setTimeout])',
        message: noSleeps
      }]
    }
  }
]
