// What a view says when there is nothing, something failed, or it is not there yet.

import { html } from "../vendor/preact/preact.js";

/** Nothing to show: says so, and what to do. */
export const Empty = ({ children }) => html`<div class="empty">${children}</div>`;

/** Something failed; `error` is an ApiError or another error. */
export const Problem = ({ error, children }) => html`
  <div class="problem" role="alert">${children} ${error?.message ? `${error.message}.`.replace(/\.\.$/, ".") : ""}</div>
`;

/** Data under way; shown only after a moment, so that quick answers do not flicker. */
export const Loading = () => html`<p class="loading quiet" role="status">Loading…</p>`;

/** What a view shows of `useApi`: its data by `children(data)`, or why there is none. */
export function Loaded({ from: { data, error }, what = "This", children }) {
  if (data !== null) return children(data);
  if (error) return html`<${Problem} error=${error}>${what} could not be loaded:</${Problem}>`;
  return html`<${Loading} />`;
}
