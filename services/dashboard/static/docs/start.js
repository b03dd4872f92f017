// Shows the OpenAPI document with Swagger UI.

if (matchMedia("(prefers-color-scheme: dark)").matches) document.documentElement.classList.add("dark-mode");

window.SwaggerUIBundle({
  url: "openapi.json", // beside this page, also behind a proxy's prefix
  dom_id: "#docs",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  filter: true,
  tryItOutEnabled: false,
  validatorUrl: null, // the document is sent nowhere
});
