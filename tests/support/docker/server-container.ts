/** A server in a container, with a volume of its own that outlives stops and kills. */
import { once } from 'node:events'
import { request as httpsRequest } from 'node:https'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import {
  GenericContainer,
  Wait,
  getContainerRuntimeClient,
  type ExecResult,
  type StartedTestContainer,
} from 'testcontainers'
import { imageName, labels } from './image.js'

export interface ContainerOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly files?: readonly { readonly content: string; readonly target: string }[]
  /** Inside; the default is that of the image. */
  readonly port?: number
  readonly tls?: boolean
  /** Of the Postgres wire, inside, if it is to be reached. */
  readonly wirePort?: number
}

const startMsMax = 120_000

export async function startContainer(options: ContainerOptions = {}): Promise<ServerContainer> {
  const { port = 2900, tls = false, wirePort } = options
  const ready = Wait.forHttp('/ready', port)
  const container = await new GenericContainer(imageName)
    .withLabels(labels)
    .withEnvironment({ ...options.env })
    .withCopyContentToContainer([...(options.files ?? [])])
    .withDroppedCapabilities('ALL')
    .withSecurityOpt('no-new-privileges')
    .withExposedPorts(port, ...(wirePort === undefined ? [] : [wirePort]))
    .withWaitStrategy(tls ? ready.usingTls().allowInsecure() : ready)
    .withStartupTimeout(startMsMax)
    .start()
  return new ServerContainer(container, port)
}

export interface SqlReply {
  readonly status: number
  readonly rows: readonly Readonly<Record<string, unknown>>[]
}

export class ServerContainer implements AsyncDisposable {
  readonly #container: StartedTestContainer
  readonly #port: number

  constructor(container: StartedTestContainer, port: number) {
    this.#container = container
    this.#port = port
  }

  /** The first digits of its id, which are its host name too. */
  get id(): string {
    return this.#container.getId().slice(0, 12)
  }

  /** Where a port of the inside is outside, after every start another. */
  outside(port: number): { readonly host: string; readonly port: number } {
    return { host: this.#container.getHost(), port: this.#container.getMappedPort(port) }
  }

  async sql(
    key: string | undefined,
    sql: string,
    params: readonly unknown[] = [],
  ): Promise<SqlReply> {
    const { host, port } = this.outside(this.#port)
    const response = await fetch(`http://${host}:${port}/v1/api/sql`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(key === undefined ? {} : { 'x-api-key': key }),
      },
      body: JSON.stringify({ sql, params }),
    })
    // The shape is that of docs/http.md; tests/contract holds the server to it.
    const body = (await response.json()) as { readonly results?: readonly SqlReply[] }
    return { status: response.status, rows: body.results?.at(-1)?.rows ?? [] }
  }

  exec(...command: readonly string[]): Promise<ExecResult> {
    return this.#container.exec([...command])
  }

  /** Runs the command line inside; throws if it fails. */
  async kalam(...args: readonly string[]): Promise<string> {
    const { exitCode, output } = await this.exec('kalam', ...args)
    if (exitCode !== 0) throw new Error(`kalam ${args.join(' ')}: ${output}`)
    return output.trim()
  }

  /** What it said when it had started. */
  async greeting(): Promise<string> {
    let said = ''
    for await (const piece of await this.#container.logs()) {
      said += String(piece)
      if (said.includes('  stop:')) break
    }
    return said
  }

  /** `docker stop`; answers the exit code: 137 if Docker had to kill it. */
  async stop(): Promise<number> {
    const container = await this.#handle()
    await container.stop({ t: dockerStopSeconds })
    return this.#exitCode()
  }

  /** kill -9. */
  async kill(): Promise<number> {
    const container = await this.#handle()
    await container.kill()
    await container.wait()
    return this.#exitCode()
  }

  /** Starts what was stopped; resolves when it takes requests, with how long that took, in ms. */
  async start(): Promise<number> {
    const began = performance.now()
    await this.#container.restart()
    return performance.now() - began
  }

  /** `docker start`, without waiting for the server. */
  async startAlone(): Promise<void> {
    await (await this.#handle()).start()
  }

  /** Resolves when Docker's own checks have found it well. */
  async becomesHealthy(): Promise<void> {
    const client = await getContainerRuntimeClient()
    const filters = { container: [this.#container.getId()], event: ['health_status'] }
    const events = await client.container.dockerode.getEvents({ filters })
    const { State } = await (await this.#handle()).inspect()
    if (State.Health?.Status === 'healthy') return
    let told = ''
    for await (const event of events) {
      told += String(event)
      if (told.includes('health_status: healthy')) return
    }
  }

  /** SHOW CONFIG, as far as variables decide it. */
  async configOverTls(key: string): Promise<readonly unknown[]> {
    const request = {
      ...this.outside(this.#port),
      ...{ method: 'POST', path: '/v1/api/sql', rejectUnauthorized: false },
      headers: { 'content-type': 'application/json', 'x-api-key': key },
    }
    const body = JSON.stringify({ sql: 'SHOW CONFIG' })
    const [answer] = (await once(httpsRequest(request).end(body), 'response')) as [Readable]
    const { results } = JSON.parse(await text(answer)) as { readonly results: readonly SqlReply[] }
    return (results[0]?.rows ?? []).map(({ key, value, origin }) => ({ key, value, origin }))
  }

  async #exitCode(): Promise<number> {
    return (await (await this.#handle()).inspect()).State.ExitCode
  }

  async #handle() {
    const client = await getContainerRuntimeClient()
    return client.container.getById(this.#container.getId())
  }

  /** Away with it and its volume. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#container.stop()
  }
}

/** What `docker stop` gives a container to end. */
const dockerStopSeconds = 10
