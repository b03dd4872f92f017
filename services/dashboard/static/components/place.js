// Where something is configured: the page shows documents, it does not change them.

import { html } from "../vendor/preact/preact.js";

/** The file and the path in it, such as `notifications.yml: channels.ops`. */
export const Place = ({ place }) => html`<code class="place">${place.file}: ${place.path}</code>`;
