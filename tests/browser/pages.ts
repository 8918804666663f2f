/** What makes a page a harder place for WebAssembly. */

/** A Content-Security-Policy that allows what it must, and no WebAssembly. */
export const strictPolicy = "default-src 'none'; connect-src *; img-src data:; script-src 'self'"

/**
 * For pages before their own script. Chromium before 115 took no module over 4 KB on a page's main
 * thread; today's bound is 8 MB, and no flag makes it smaller.
 */
export const refuseAtOnce = `
  for (const name of ['Module', 'Instance']) {
    const whole = WebAssembly[name]
    WebAssembly[name] = new Proxy(whole, {
      construct(_, [first, ...rest]) {
        if (first instanceof ArrayBuffer || ArrayBuffer.isView(first))
          throw new RangeError('WebAssembly.Compile is disallowed on the main thread')
        return new whole(first, ...rest)
      },
    })
  }`
