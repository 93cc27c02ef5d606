// The elements of the page by id, and the lines of text that tell the user what happens.

export const byId = (id) => document.getElementById(id);

// Shows a short message at the edge of the page for a moment.
export function notify(text) {
  const toast = byId("toast");
  toast.textContent = text;
  toast.classList.add("shown");
  clearTimeout(notify.timer);
  notify.timer = setTimeout(() => toast.classList.remove("shown"), 2500);
}

// Shows the first line of an error at the top of the page, until the page is loaded again.
export function showError(error) {
  const status = byId("status");
  status.hidden = false;
  status.className = "fault";
  status.setAttribute("role", "alert");
  status.textContent = String(error?.message ?? error).split("\n")[0];
}
