// The frame of a view and of its sections.

import { takeMove } from "../app/router.js";
import { observable } from "../app/store.js";
import { html, useEffect, useId, useRef } from "../vendor/preact/preact.js";

/** The title of the view that is shown. */
export const pageTitle = observable("");

/** A view: its heading, what it is about, its actions, and its sections. */
export function Page({ title, about, actions, children }) {
  const heading = useRef(null);
  useEffect(() => pageTitle.set(title), [title]);
  useEffect(() => {
    if (takeMove()) heading.current.focus({ preventScroll: true });
  }, []);
  return html`
    <div class="page">
      <header class="page-head">
        <div>
          <h1 tabindex="-1" ref=${heading}>${title}</h1>
          ${about && html`<p class="quiet">${about}</p>`}
        </div>
        ${actions && html`<div class="actions">${actions}</div>`}
      </header>
      ${children}
    </div>
  `;
}

/** Move the focus to the view's heading: what had it goes away. */
export const focusHeading = () => setTimeout(() => document.querySelector("h1")?.focus({ preventScroll: true }));

/** A section with a heading; `plain` draws no box. */
export function Panel({ title, about, actions, plain = false, class: kind = "", children }) {
  const id = useId();
  return html`
    <section class=${`panel ${plain ? "plain" : ""} ${kind}`} aria-labelledby=${title && id}>
      ${
        title &&
        html`
          <header>
            <h2 id=${id}>${title}</h2>
            ${about && html`<span class="quiet">${about}</span>`}
            ${actions && html`<div class="actions">${actions}</div>`}
          </header>
        `
      }
      ${children}
    </section>
  `;
}

/** Names and values, in columns as wide as they fit; `facts` are [name, value] or [name, value, title]. */
export const Facts = ({ facts }) => html`
  <dl class="facts">
    ${facts.map(([name, value, title], index) => html`<div key=${index} title=${title}><dt>${name}</dt><dd>${value}</dd></div>`)}
  </dl>
`;
