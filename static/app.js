// Conveniences that work without this file too: a theme that changes without loading the page again, copying, and the search box at
// a key.

const year = 365 * 24 * 3600;
const root = document.documentElement;

for (const link of document.querySelectorAll("[data-set-theme]")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    const theme = link.dataset.setTheme;
    root.dataset.theme = theme;
    document.cookie = `sekisho_theme=${theme}; Path=/; Max-Age=${year}; SameSite=Lax`;
    for (const other of link.parentElement.children) other.removeAttribute("aria-current");
    link.setAttribute("aria-current", "true");
    const url = new URL(location.href);
    url.searchParams.delete("theme");
    history.replaceState(null, "", url);
  });
}

// Copying is a button beside what is copied, so that keys reach it. The words come from the page: it has its reader's language.
const said = document.createElement("span");
said.className = "unseen";
said.setAttribute("role", "status");
if (navigator.clipboard) document.body.append(said);

function offerCopies(part) {
  if (!navigator.clipboard) return;
  for (const code of part.querySelectorAll("code[data-copy]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.title = root.dataset.copy;
    button.setAttribute("aria-label", `${root.dataset.copy}: ${code.dataset.copy || code.textContent}`);
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(code.dataset.copy || code.textContent);
      button.classList.add("done");
      said.textContent = root.dataset.copied;
      setTimeout(() => {
        button.classList.remove("done");
        said.textContent = "";
      }, 1500);
    });
    // Beside a text that is cut where it does not fit, within any other: so it stays with the text where lines break.
    if (code.classList.contains("digest")) code.after(button);
    else code.append(button);
  }
}

offerCopies(document);
document.addEventListener("fresh", (event) => offerCopies(event.target));

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  document.getElementById("search").focus();
});
