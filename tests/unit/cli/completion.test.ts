import { describe, expect, test } from 'vitest'
import { completeLine } from '#cli/shell/completion.js'

const names = {
  namespaces: ['public', 'app'],
  tables: [
    { namespace: 'app', name: 'todos' },
    { namespace: 'public', name: 'Odd Name' },
  ],
  columns: [
    { namespace: 'app', table: 'todos', name: 'title' },
    { namespace: 'app', table: 'other', name: 'thing' },
  ],
}

describe('Tab', () => {
  test.each([
    ['\\ti', ['\\timing']],
    ['\\format c', ['csv']],
    ['SEL', ['SELECT']],
    ['sel', ['select']],
    ['select * from tod', ['todos']],
    ['select * from app.', ['app.todos']],
    ['select ti from todos where ti', ['title']],
    ['select * from of', ['offset']],
    ['select todos.t', ['todos.title']],
    ['select app.todos.t', ['app.todos.title']],
    ['select zzz', []],
  ])('%s', (line, expected) => expect(completeLine(line, names)[0]).toEqual(expected))

  test('offers quoted names as they must be written', () =>
    expect(completeLine('select * from "', names)[0]).toEqual(['"Odd Name"']))
})
