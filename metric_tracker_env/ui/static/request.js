// What the views of runs ask the server for, and how they tell what it refuses.
import { byId } from "./elements.js";

export function say(text) {
  byId("status").textContent = text;
}

// The answer as JSON; null where there is none, and then it is told why.
export async function get(route, query = {}, tell = say) {
  const asked = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined));
  try {
    const answer = await fetch(`/api/${route}?${asked}`);
    const told = await answer.json();
    if (answer.ok) return told;
    tell(typeof told.error === "string" ? told.error : told.error?.message ?? "the server refused this");
  } catch {
    tell("the server does not answer; is it still running?");
  }
  return null;
}

export function link(path, query) {
  const asked = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined && value !== 0));
  return `${path}?${asked}`;
}

export const query = () => Object.fromEntries(new URL(location.href).searchParams);

// Keep something in the address; browsers refuse many changes in a short time, so that the last of them counts.
const kept = {};
export function remember(changes) {
  Object.assign(kept, changes);
  clearTimeout(remember.timer);
  remember.timer = setTimeout(() => {
    const place = new URL(location.href);
    for (const [name, value] of Object.entries(kept)) {
      if (value === null || value === "" || value === undefined) place.searchParams.delete(name);
      else place.searchParams.set(name, value);
    }
    history.replaceState(null, "", place);
  }, 120);
}
