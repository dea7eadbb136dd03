// The front page names the address it was opened at.
for (const each of document.querySelectorAll("[data-origin]")) {
  each.textContent = each.textContent.replace("http://localhost:8080", location.origin);
}
