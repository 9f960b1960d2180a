// A filter left empty is not asked for: the API refuses parameters without a value.
document.addEventListener("submit", (event) => {
  if (!event.target.matches("form.sparse")) return;
  for (const field of event.target.elements) {
    if (field.name && !field.value) field.disabled = true;
  }
});

// Changes go to the address itself, without the question its page was shown for.
for (const form of document.querySelectorAll("#content form:not(.sparse)")) {
  if (!form.matches(".dry-run")) form.setAttribute("action", location.pathname);
}
