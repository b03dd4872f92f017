// A table that sorts, says so to screen readers, and keeps its rows while they change. On a phone each row is a block with
// its columns' titles; the roles keep it a table for screen readers.

import { html } from "../vendor/preact/preact.js";

/**
 * `columns`: { key, title, render(row), sort(row), numeric, hideOnPhone, width }; a column without `sort` does not sort.
 * `sort` is a column's key, with "-" before it for descending; `onSort(sort)` is called with the next one.
 */
export function Table({ caption, columns, rows, keyOf, sort = "", onSort, empty, rowClass, rowProps }) {
  const sorted = sortRows(rows, columns, sort);
  if (!rows.length && empty) return html`<div class="empty">${empty}</div>`;
  return html`
    <div class="scroll" tabindex="-1">
      <table role="table">
        <caption class="unseen">${caption}</caption>
        <thead role="rowgroup">
          <tr role="row">${columns.map((column) => html`<${Heading} key=${column.key} ...${{ column, sort, onSort }} />`)}</tr>
        </thead>
        <tbody role="rowgroup">
          ${sorted.map(
            (row) => html`
              <tr role="row" key=${keyOf(row)} class=${rowClass?.(row)} ...${rowProps?.(row)}>
                ${columns.map((column) => html`<td role="cell" key=${column.key} class=${cellClass(column)} data-title=${column.title}>${column.render(row)}</td>`)}
              </tr>
            `,
          )}
        </tbody>
      </table>
    </div>
  `;
}

const cellClass = ({ numeric, hideOnPhone, class: kind }) =>
  [numeric && "numeric", hideOnPhone && "wide-only", kind].filter(Boolean).join(" ") || undefined;

function Heading({ column, sort, onSort }) {
  const { key, title, hint } = column;
  const direction = sort === key ? "ascending" : sort === `-${key}` ? "descending" : undefined;
  if (!column.sort || !onSort)
    return html`<th role="columnheader" scope="col" class=${`${cellClass(column) ?? ""} unsorted`} title=${hint}>${title}</th>`;
  // Numbers are first sorted with the largest on top.
  const next = direction ? (direction === "ascending" ? `-${key}` : key) : column.numeric ? `-${key}` : key;
  return html`
    <th role="columnheader" scope="col" class=${cellClass(column)} aria-sort=${direction} title=${hint}>
      <button type="button" class="sort" onClick=${() => onSort(next)}>${title}<span aria-hidden="true">${direction ? (direction === "ascending" ? " ▲" : " ▼") : ""}</span></button>
    </th>
  `;
}

/** Return the rows in the order of `sort`; what is undefined comes last, either way. */
export function sortRows(rows, columns, sort) {
  const descending = sort.startsWith("-");
  const column = columns.find(({ key }) => key === sort.replace(/^-/, ""));
  if (!column?.sort) return rows;
  const isMissing = (value) => value === null || value === undefined || Number.isNaN(value);
  return [...rows].sort((left, right) => {
    const [a, b] = [column.sort(left), column.sort(right)];
    if (isMissing(a) || isMissing(b)) return Number(isMissing(a)) - Number(isMissing(b));
    const order = typeof a === "string" ? a.localeCompare(b, undefined, { numeric: true }) : a - b;
    return descending ? -order : order;
  });
}
