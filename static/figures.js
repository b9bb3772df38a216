// A figure's drawing as PNG, made here from the SVG that the server sends.

const scale = 2;

function offer(part) {
  for (const link of part.querySelectorAll('.chart .links a[href*=".svg"]')) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "link added";
    button.textContent = "PNG";
    button.addEventListener("click", () => save(link.href));
    link.after(button);
  }
}

async function save(href) {
  const answer = await fetch(href);
  if (!answer.ok) return;
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(await answer.text())}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.width * scale, image.height * scale];
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  const png = await new Promise((done) => canvas.toBlob(done, "image/png"));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(png);
  link.download = new URL(href).pathname.split("/").pop().replace(/svg$/, "png");
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

offer(document);
document.addEventListener("fresh", (event) => offer(event.target));
