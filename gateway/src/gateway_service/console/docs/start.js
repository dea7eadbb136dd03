// Show the API's document of this gateway in Swagger UI, and ask nobody else.
"use strict";

const options = {
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
};

if (window.SwaggerUIBundle) {
  window.SwaggerUIBundle(options);
} else {
  const main = document.getElementById("reference");
  main.setAttribute("role", "alert");
  main.textContent = "The reference could not be loaded. Check your network, and load this page again.";
}
