/** The components on the real store, its client and a real server. */
import { createClient, type KalamClient } from 'kalam-link'
import { kalamPlugin } from 'kalam-link/vue'
import { createPinia } from 'pinia'
import { cleanup, configure, render, screen, waitFor, within } from '@testing-library/vue'
import userEvent from '@testing-library/user-event'
import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { kalam as runKalam } from '../../../tests/support/kalam.js'
import {
  closePlace,
  endServer,
  openPlace,
  serve,
  type Place,
} from '../../../tests/support/server-process.js'
import App from '../src/App.vue'
import { useTodos } from '../src/todos'
import type { Schema } from '../src/schema'

let place: Place
let server: ChildProcess
let apiKey: string
let kalam: KalamClient<Schema>
beforeAll(async () => {
  place = await openPlace()
  server = await serve(place)
  await asRoot('-f', join(import.meta.dirname, '../todo-app.sql'))
  apiKey = await asRoot('user', 'create', 'alice')
})
afterAll(async () => {
  await endServer(server, 'SIGTERM')
  closePlace(place)
})

beforeEach(async () => {
  kalam = createClient<Schema>({ url: place.url, apiKey })
  await kalam.query('DELETE FROM app.todos')
  render(App, { global: { plugins: [kalamPlugin(kalam), createPinia()] } })
  await screen.findByText('Connected')
  await screen.findByText(/^Nothing to do/u)
})
afterEach(() => {
  cleanup()
  kalam.close()
})

/** What the command line prints, which is root on this machine. */
async function asRoot(...args: readonly string[]): Promise<string> {
  const env = { KALAM_URL: place.url }
  const { exit, stdout, stderr } = await runKalam(['-q', ...args], { home: place.home, env })
  if (exit !== 0) throw new Error(stderr)
  return stdout.trim()
}

// Its own second is none on a busy machine.
configure({ asyncUtilTimeout: 20_000 })

const user = userEvent.setup()
const input = () => screen.getByLabelText<HTMLInputElement>('New todo')
const titles = () => screen.queryAllByRole('listitem').map((item) => item.textContent)

test('adds a todo, without the spaces around it, and empties the field', async () => {
  await user.type(input(), '  buy milk {Enter}')
  await screen.findByText('buy milk')
  expect(input().value).toBe('')
  expect((await kalam.query('SELECT title FROM app.todos')).rows).toEqual([{ title: 'buy milk' }])
})

test('adds nothing for a blank title', async () => {
  await user.type(input(), '   {Enter}')
  expect(screen.getByRole<HTMLButtonElement>('button', { name: 'Add' }).disabled).toBe(true)
  expect((await kalam.query('SELECT FROM app.todos')).rowCount).toBe(0)
})

test('toggles and deletes; the newest stands first', async () => {
  for (const title of ['first', 'second']) await kalam.table('app.todos').insert({ title })
  await waitFor(() =>
    expect(titles()).toEqual([expect.stringContaining('second'), expect.stringContaining('first')]),
  )
  const [second] = screen.getAllByRole('listitem')
  await user.click(within(second as HTMLElement).getByRole('checkbox'))
  await waitFor(() =>
    expect(within(second as HTMLElement).getByRole<HTMLInputElement>('checkbox').checked).toBe(
      true,
    ),
  )
  await user.click(screen.getByRole('button', { name: 'Delete first' }))
  await waitFor(() => expect(titles()).toHaveLength(1))
})

test('what cannot be written is said; the list stays as it is, and the text', async () => {
  await asRoot('-c', 'ALTER TABLE app.todos ADD CONSTRAINT short CHECK (length(title) < 10)')
  await user.type(input(), 'much too long{Enter}')
  expect((await screen.findByRole('alert')).textContent).toContain('short')
  await waitFor(() => expect(input().value).toBe('much too long'))
  expect(titles()).toEqual([])
  await asRoot('-c', 'ALTER TABLE app.todos DROP CONSTRAINT short')
})

test('H9: deleting what another tab has deleted is no problem', async () => {
  const store = useTodos()
  await store.remove({ id: 999, title: 'gone', completed: false })
  expect(store.problem).toBe('')
  expect(screen.queryByRole('alert')).toBeNull()
})

test('without a connection everything that writes is off', async () => {
  await kalam.table('app.todos').insert({ title: 'kept' })
  await screen.findByText('kept')
  kalam.close()
  await screen.findByText('Disconnected')
  expect(screen.getByText('kept')).toBeDefined()
  const controls = [input(), ...screen.getAllByRole('button'), screen.getByRole('checkbox')]
  expect(controls.map((control) => control.closest(':disabled') !== null)).toEqual(
    controls.map(() => true),
  )
})
