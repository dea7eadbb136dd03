// Says so where one of the console's scripts cannot be fetched: then none of them runs.
"use strict";

document.querySelector("script[type=module]").addEventListener("error", () => {
  const fault = document.createElement("p");
  fault.setAttribute("role", "alert");
  fault.textContent = "The console could not be loaded. Check your network, and load this page again.";
  document.getElementById("main").replaceChildren(fault);
});
