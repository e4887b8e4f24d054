/** Tables as CSV files (RFC 4180). */

/** @param {unknown} value */
function cell(value) {
  if (value === null || value === undefined || (typeof value === 'number' && !Number.isFinite(value))) return '';
  const text = String(value);
  // A text that starts like a formula must not run when a spreadsheet opens the file.
  const safe = typeof value === 'string' && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** @param {unknown[][]} rows */
export const csv = (rows) => `${rows.map((row) => row.map(cell).join(',')).join('\r\n')}\r\n`;

/**
 * Hand a file to the browser.
 * @param {string} name
 * @param {string | Blob} content
 */
export function download(name, content) {
  const file = content instanceof Blob ? content : new Blob([content], { type: 'text/csv;charset=utf-8' });
  const link = document.createElement('a');
  link.href = URL.createObjectURL(file);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/**
 * One row per step and channel columns side by side.
 * @param {import('./types').Columns} data
 * @returns {unknown[][]}
 */
export function seriesRows(data) {
  const names = Object.keys(data.channels);
  const parts = /** @type {const} */ (['low', 'high', 'mean', 'expected', 'lower', 'upper', 'contribution', 'flags']);
  const head = ['time', ...names.flatMap((n) => parts.map((p) => `${n}_${p}`)), 'score', 'rate', 'status'];
  const rows = Array.from(data.time, (t, i) => [
    new Date(t).toISOString(),
    ...names.flatMap((n) => parts.map((p) => data.channels[n][p][i])),
    data.score[i], data.rate[i], data.status[i],
  ]);
  return [head, ...rows];
}
