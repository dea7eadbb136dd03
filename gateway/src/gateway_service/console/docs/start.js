// Show the API's document of this gateway in Swagger UI, and ask nobody else.
"use strict";

window.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  docExpansion: "list",
  tryItOutEnabled: true,
  // There is one server, this one: a list of it says nothing, and has no name for screen readers.
  plugins: [() => ({ wrapComponents: { ServersContainer: () => () => null } })],
  validatorUrl: null,
});
