import { expect, test } from 'vitest'
import { createMetrics } from '#src/telemetry/metrics.js'

test('C7: the page has what was counted', async () => {
  const metrics = createMetrics()
  metrics.httpRequest({ route: '/v1/api/sql', status: 200, seconds: 0.002 })
  metrics.statement({ command: 'SELECT', outcome: 'success', seconds: 0.001 })
  metrics.authenticationFailed('unknown')
  metrics.rateLimited()
  metrics.leaseWaited(0.1)
  metrics.engineRestarted()
  metrics.checkpointed(0.2)
  metrics.walWritten(8192)
  metrics.walSynced({ seconds: 0.001, units: 12 })
  metrics.upkeep('vacuum')
  metrics.watchQueue(() => 7)
  const { body, contentType } = await metrics.render()
  expect(contentType).toContain('text/plain')
  for (const line of [
    'kalamdb_http_requests_total{route="/v1/api/sql",status="200"} 1',
    'kalamdb_http_request_seconds_count 1',
    'kalamdb_sql_statements_total{command="SELECT",outcome="success"} 1',
    'kalamdb_sql_statement_seconds_sum 0.001',
    'kalamdb_authentication_failures_total{reason="unknown"} 1',
    'kalamdb_rate_limited_total 1',
    'kalamdb_engine_lease_wait_seconds_count 1',
    'kalamdb_engine_restarts_total 1',
    'kalamdb_engine_checkpoint_seconds_count 1',
    'kalamdb_engine_wal_bytes_total 8192',
    'kalamdb_engine_wal_sync_units_sum 12',
    'kalamdb_engine_upkeep_total{task="vacuum"} 1',
    'kalamdb_engine_queue_units 7',
  ]) {
    expect(body.split('\n')).toContain(line)
  }
  expect(body).toContain('process_resident_memory_bytes')
})

test('two servers in one process count apart', async () => {
  const [first, second] = [createMetrics(), createMetrics()]
  first.rateLimited()
  expect((await second.render()).body).toContain('kalamdb_rate_limited_total 0')
})
