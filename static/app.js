// Conveniences that work without this file too: a theme that changes without loading the page again, and copying.

const year = 365 * 24 * 3600;
const root = document.documentElement;
// A page that was exported as a file has no cookies, and no service to keep them for.
const frozen = "site" in root.dataset;

function setTheme(theme) {
  root.dataset.theme = theme;
  for (const link of document.querySelectorAll("[data-set-theme]")) {
    if (link.dataset.setTheme === theme) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

function keepTheme(theme) {
  if (frozen) {
    localStorage.setItem("sekisho_theme", theme);
    return;
  }
  document.cookie = `sekisho_theme=${theme}; Path=/; Max-Age=${year}; SameSite=Lax`;
  const url = new URL(location.href);
  url.searchParams.delete("theme");
  history.replaceState(null, "", url);
}

for (const link of document.querySelectorAll("[data-set-theme]")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    setTheme(link.dataset.setTheme);
    keepTheme(link.dataset.setTheme);
  });
}

if (frozen) {
  for (const part of document.querySelectorAll("[data-scripted]")) part.hidden = false;
  setTheme(localStorage.getItem("sekisho_theme") ?? "auto");
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
