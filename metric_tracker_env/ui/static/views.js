// The links between the views that this server has.
import { byId, make } from "./elements.js";

const views = await fetch("/api/views").then((answer) => answer.json()).catch(() => ({}));
if (Object.keys(views).length > 1) {
  document.body.classList.add("many");
  byId("views").replaceChildren(...Object.entries(views).map(([name, path]) =>
    make("a", { href: path, "aria-current": path === location.pathname ? "page" : null }, name)));
}
