/**
 * timestamptz in PostgreSQL's ISO style to ISO 8601 in UTC:
 * `2026-11-23 12:42:50.123456+01` → `2026-11-23T11:42:50.123456Z`. The digits of the fraction stay
 * as they are. Years before 0 and after 9999 have a sign and six digits, as in ECMAScript; 1 BC is
 * the year 0000. `infinity` is not a time and is left to the caller.
 */
import type { ByteSink } from './byte-sink.js'

/** Appends the time and returns true; or appends nothing, if the text is not such a time. */
export function encodeTimestamptz(
  source: Uint8Array,
  start: number,
  end: number,
  out: ByteSink,
): boolean {
  if (isPlainUtc(source, start, end)) {
    appendPlainUtc(source, start, end, out)
    return true
  }
  const time = readTime(source, start, end)
  if (time === undefined) return false
  appendTime(time, source, out)
  return true
}

/** Bytes of `YYYY-MM-DD HH:MM:SS`. */
const plainBytes = 19
/** Bytes of `+00`. */
const plainOffsetBytes = 3

/** The usual case: four digits of year, and the session's time zone is UTC. */
function isPlainUtc(source: Uint8Array, start: number, end: number): boolean {
  const offset = end - plainOffsetBytes
  return (
    offset >= start + plainBytes &&
    source[offset] === plus &&
    source[offset + 1] === digitZero &&
    source[offset + 2] === digitZero &&
    isDateTime(source, start) &&
    isFraction(source, start + plainBytes, offset)
  )
}

function isDateTime(source: Uint8Array, start: number): boolean {
  for (let i = 0; i < plainBytes; i++) {
    const byte = source[start + i] ?? 0
    const expected = dateTimePattern[i]
    if (expected === digitZero ? !isDigit(byte) : byte !== expected) return false
  }
  return true
}

/** Nothing, or a point and digits. */
function isFraction(source: Uint8Array, start: number, end: number): boolean {
  if (start === end) return true
  if (source[start] !== point || start + 1 === end) return false
  for (let at = start + 1; at < end; at++) if (!isDigit(source[at] ?? 0)) return false
  return true
}

function appendPlainUtc(source: Uint8Array, start: number, end: number, out: ByteSink): void {
  out.appendByte(quote)
  const mark = out.length
  out.appendRange(source, start, end - plainOffsetBytes)
  out.bytes[mark + dateBytes] = letterCapitalT
  out.appendByte(letterCapitalZ)
  out.appendByte(quote)
}

/** A time in UTC, with where its fraction stands in the source. */
interface Time {
  /** 0 is 1 BC. */
  readonly year: number
  readonly month: number
  readonly day: number
  readonly secondOfDay: number
  readonly fractionStart: number
  readonly fractionEnd: number
}

const timePattern =
  /^(\d{4,6})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(\.\d+)?([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?( BC)?$/
/** `294276-12-31 23:59:59.999999+15:59:59 BC`, with room. */
const timeBytesMax = 48

/** The rest: another time zone (offsets down to seconds, as of old), BC, years after 9999. */
function readTime(source: Uint8Array, start: number, end: number): Time | undefined {
  if (end - start > timeBytesMax) return undefined
  const match = timePattern.exec(latin1.decode(source.subarray(start, end)))
  if (match === null) return undefined
  const [, year, month, day, hour, minute, second, fraction = '', sign] = match
  const [offsetHour, offsetMinute = 0, offsetSecond = 0, era] = match.slice(9)
  const offset = secondsOf(offsetHour, offsetMinute, offsetSecond) * (sign === '-' ? -1 : 1)
  const days = daysFromDate(
    era === undefined ? Number(year) : 1 - Number(year),
    Number(month),
    Number(day),
  )
  const seconds = days * daySeconds + secondsOf(hour, minute, second) - offset
  const fractionStart = start + match[0].indexOf('.')
  return {
    ...dateFromDays(Math.floor(seconds / daySeconds)),
    secondOfDay: seconds - Math.floor(seconds / daySeconds) * daySeconds,
    fractionStart,
    fractionEnd: fractionStart + fraction.length,
  }
}

function secondsOf(hour: unknown, minute: unknown, second: unknown): number {
  return Number(hour) * 3600 + Number(minute) * 60 + Number(second)
}

const daySeconds = 86_400
/** The calendar repeats after 400 years. */
const eraYears = 400
const eraDays = 146_097

/**
 * Days since 0000-03-01, Gregorian without end in both directions, as PostgreSQL counts. Years
 * begin in March, so that the leap day is the last. (Hinnant, "chrono-Compatible Low-Level Date
 * Algorithms"; Date cannot be used: it ends at 275760, PostgreSQL at 294276.)
 */
function daysFromDate(year: number, month: number, day: number): number {
  const marchYear = month > 2 ? year : year - 1
  const era = Math.floor(marchYear / eraYears)
  const yearOfEra = marchYear - era * eraYears
  const dayOfYear = Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1
  const leapDays = Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100)
  return era * eraDays + yearOfEra * 365 + leapDays + dayOfYear
}

function dateFromDays(days: number): { year: number; month: number; day: number } {
  const era = Math.floor(days / eraDays)
  const dayOfEra = days - era * eraDays
  const leapDays =
    Math.floor(dayOfEra / 1_460) - Math.floor(dayOfEra / 36_524) + Math.floor(dayOfEra / 146_096)
  const yearOfEra = Math.floor((dayOfEra - leapDays) / 365)
  const daysBefore = 365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100)
  const dayOfYear = dayOfEra - daysBefore
  const marchMonth = Math.floor((5 * dayOfYear + 2) / 153)
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
  return {
    year: era * eraYears + yearOfEra + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * marchMonth + 2) / 5) + 1,
  }
}

function appendTime(time: Time, source: Uint8Array, out: ByteSink): void {
  const { year, month, day, secondOfDay } = time
  const hour = Math.floor(secondOfDay / 3600)
  const minute = Math.floor(secondOfDay / 60) % 60
  const clock = [hour, minute, secondOfDay % 60].map(twoDigits).join(':')
  out.appendText(`"${yearText(year)}-${twoDigits(month)}-${twoDigits(day)}T${clock}`)
  out.appendRange(source, time.fractionStart, time.fractionEnd)
  out.appendText('Z"')
}

function yearText(year: number): string {
  if (year >= 0 && year <= 9999) return String(year).padStart(4, '0')
  return (year < 0 ? '-' : '+') + String(Math.abs(year)).padStart(6, '0')
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0')
}

function isDigit(byte: number): boolean {
  return byte >= digitZero && byte <= digitNine
}

/** Bytes of `YYYY-MM-DD`. */
const dateBytes = 10
const dateTimePattern = new TextEncoder().encode('0000-00-00 00:00:00')
const latin1 = new TextDecoder('latin1')
const quote = 0x22
const plus = 0x2b
const point = 0x2e
const digitZero = 0x30
const digitNine = 0x39
const letterCapitalT = 0x54
const letterCapitalZ = 0x5a
