document.querySelector('footer').textContent = navigator.userAgent

/** Adds a line to the page. */
export function show(text) {
  const line = document.createElement('li')
  line.textContent = text
  document.querySelector('#log').append(line)
}
