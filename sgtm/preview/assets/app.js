// The page: its state, what people do, what the server says. Drawing is in list.js and detail.js.

import * as api from "./api.js";
import { drawBar } from "./bar.js";
import { drawDetail, tabsOf } from "./detail.js";
import * as dialogs from "./dialogs.js";
import { focusOn, listenToKeys } from "./keys.js";
import { listView } from "./list.js";
import { copy, toast } from "./parts.js";
import { Requests } from "./store.js";

const SESSION = "sgtm preview session";
const THEME = "sgtm preview theme";
const requests = new Requests();
const place = (id) => document.getElementById(id);
const state = {
  boot: null,
  session: null,
  source: "session",
  link: "connecting",
  loading: true,
  selected: null,
  view: null,
  opening: false,
  problem: null,
  hasDraft: false,
  isEmpty: false,
  tab: "summary",
  event: 0,
  tag: "",
  search: "",
  folded: new Set(),
  hidesSilent: true,
  raw: false,
  replay: null,
  isReplaying: false,
  find: { isOpen: false, text: "", sought: "", isBusy: false, since: 0, said: null, problem: "" },
  theme: localStorage.getItem(THEME) ?? "system",
};
let stream = null;

// -- drawing: at most once a frame, and only the part that has changed -----------------------------

const stale = new Set();
function draw(...parts) {
  if (!stale.size) requestAnimationFrame(drawNow);
  for (const part of parts) stale.add(part);
}

function drawNow() {
  const parts = [...stale];
  stale.clear();
  for (const part of parts) drawers[part]();
}

const drawers = {
  bar: () => drawBar(place("bar"), state, acts),
  list: () => {
    list.draw(state);
    const isEmpty = !state.loading && !requests.all.length;
    if (isEmpty !== state.isEmpty) {
      state.isEmpty = isEmpty;
      drawers.detail();
    }
  },
  detail: () => {
    document.body.classList.toggle("opened", Boolean(state.view || state.opening || state.find.isOpen));
    place("detail").ariaBusy = String(state.selected !== (state.view?.summary.id ?? null) && !state.problem);
    drawDetail(place("detail"), state, acts);
    place("detail")
      .querySelector("[role=tab][aria-selected=true]")
      ?.scrollIntoView({ block: "nearest", inline: "nearest" });
  },
};
const drawAll = () => draw("bar", "list", "detail");

// -- what people do -------------------------------------------------------------------------------

const acts = {
  filter(text) {
    requests.setFilter(text);
    draw("list");
  },
  toggleWord(word) {
    const words = requests.filter.split(/\s+/).filter(Boolean);
    acts.filter((words.includes(word) ? words.filter((one) => one !== word) : [...words, word]).join(" "));
  },
  pause() {
    requests.pause(!requests.isPaused);
    draw("list");
  },
  clear() {
    requests.clear();
    closeFind();
    acts.close();
    draw("list");
  },
  select(id) {
    closeFind();
    if (id !== state.selected) openRequest(id);
  },
  /** Opens and closes the place to find ids; what was found stays. */
  find() {
    state.find.isOpen = !state.find.isOpen;
    draw("bar", "detail");
    if (state.find.isOpen) focusOn("find");
  },
  openFind() {
    if (state.find.isOpen) focusOn("find");
    else acts.find();
  },
  seek(text) {
    if (!state.find.isBusy && text.trim()) seek(text.trim());
  },
  close() {
    if (state.find.isOpen) return acts.find(); // what was open before is there again
    Object.assign(state, { selected: null, view: null, opening: false, replay: null, problem: null });
    draw("list", "detail");
  },
  tab(tab) {
    state.tab = tab;
    draw("detail");
    place("detail").querySelector(".panel")?.scrollTo(0, 0);
  },
  event(at) {
    state.event = at;
    draw("detail");
  },
  tag(name) {
    state.tag = name;
    draw("detail");
  },
  silent() {
    state.hidesSilent = !state.hidesSilent;
    draw("detail");
  },
  showSilent() {
    Object.assign(state, { hidesSilent: false, tag: "", tab: "tags" });
    draw("detail");
  },
  openTag(name, event, tab = "tags") {
    Object.assign(state, { tag: name, event, tab });
    draw("detail");
  },
  search(text) {
    state.search = text;
    draw("detail");
  },
  fold(path) {
    state.folded.has(path) ? state.folded.delete(path) : state.folded.add(path);
    draw("detail");
  },
  raw() {
    state.raw = !state.raw;
    draw("detail");
  },
  help() {
    dialogs.help();
  },
  how() {
    dialogs.howTo(state.session, state.boot?.url);
  },
  theme() {
    setTheme({ system: "light", light: "dark", dark: "system" }[state.theme]);
  },
  source(source) {
    if (source !== state.source) {
      state.source = source;
      follow();
    }
  },
  async change(change) {
    await attempt(async () => {
      const { id, container, sends } = state.session;
      await startSession({ container, sends, ...change });
      api.endSession(id).catch(() => {}); // it ends by itself
      if (state.source === "session") follow();
      toast("A new session: its token is new too");
    });
    draw("bar");
  },
  async logOut() {
    await attempt(api.logOut);
    location.assign("login");
  },
  async copyTest() {
    if (!hasRequest()) return;
    await attempt(async () => copy(await api.testOf(sourceId(), state.selected), "Copy as test"));
  },
  async replay() {
    if (!hasRequest() || state.isReplaying) return;
    const [id, container] = [state.selected, state.hasDraft ? "draft" : "published"];
    state.isReplaying = true;
    draw("detail");
    await attempt(async () => {
      const view = await api.replay(sourceId(), id, container);
      if (id === state.selected) Object.assign(state, { replay: { view, container }, tab: "replay" });
    });
    state.isReplaying = false;
    draw("detail");
  },
};

/** Do something; say what the server said if it refuses. */
async function attempt(what) {
  try {
    await what();
  } catch (error) {
    if (error.status === 401) return ended(401);
    toast(error.message);
  }
}

async function openRequest(id) {
  Object.assign(state, { selected: id, problem: null, replay: null, event: 0, opening: !state.view });
  if (state.tab === "replay") state.tab = "summary";
  draw("list", "detail");
  try {
    const view = await api.viewRequest(sourceId(), id);
    if (id !== state.selected) return;
    const names = new Set(view.events.flatMap((event) => event.tags.map((tag) => tag.name)));
    Object.assign(state, { view, opening: false, tag: names.has(state.tag) ? state.tag : "" });
  } catch (error) {
    if (error.status === 401) return ended(401);
    if (id !== state.selected) return;
    const isGone = error.status === 404;
    Object.assign(state, {
      view: null,
      opening: false,
      problem: isGone
        ? {
            title: "This request is gone",
            text: "Newer requests have pushed it out. What is kept is limited, so that the preview costs the server little.",
          }
        : { title: "It cannot be shown", text: error.message, name: "Try again", act: () => openRequest(id) },
    });
  }
  draw("list", "detail");
}

function closeFind() {
  if (state.find.isOpen) acts.find();
}

/** Ask what became of an id. The server looks through all it keeps, so it can take a while. */
async function seek(text) {
  const find = Object.assign(state.find, {
    sought: text,
    isBusy: true,
    since: Date.now(),
    said: null,
    problem: "",
  });
  draw("detail");
  const ticking = setInterval(() => draw("detail"), 1000);
  try {
    find.said = await api.find(text);
  } catch (error) {
    if (error.status === 401 || error.status === 403) ended(error.status);
    find.problem = error.message;
  }
  clearInterval(ticking);
  find.isBusy = false;
  draw("detail");
}

// -- sessions -------------------------------------------------------------------------------------

const sourceId = () => (state.source === "lookback" ? "lookback" : state.session.id);

async function startSession(wanted) {
  state.session = { ...wanted, ...(await api.openSession(wanted)) };
  sessionStorage.setItem(SESSION, JSON.stringify(state.session));
}

/** The session that this tab had, if the server still has it; else a new one. */
async function resumeSession() {
  const kept = JSON.parse(sessionStorage.getItem(SESSION) ?? "null");
  if (kept && kept.expires_at * 1000 > Date.now()) {
    try {
      await api.listRequests(kept.id);
      state.session = kept;
      return;
    } catch (error) {
      if (error.status !== 404) throw error;
    }
  }
  await startSession({ container: "published", sends: true });
}

/** Show what comes in from where `state.source` says. */
async function follow() {
  stream?.close();
  requests.clear();
  requests.pause(false);
  closeFind();
  acts.close();
  state.loading = true;
  drawAll();
  const id = sourceId();
  stream = api.listen(id, {
    request: (summary) => {
      requests.put(summary);
      draw("list");
    },
    update: (summary) => {
      requests.put(summary);
      if (summary.id === state.selected) refresh(summary.id);
      draw("list");
    },
    gone: (ids) => {
      requests.drop(ids);
      draw("list");
    },
    all: (summaries) => {
      for (const one of summaries) requests.put(one);
      draw("list");
    },
    state: (link) => {
      state.link = link;
      draw("bar");
    },
    ended,
  });
  try {
    const summaries = await api.listRequests(id);
    if (id !== sourceId()) return;
    for (const one of summaries) requests.put(one);
    state.loading = false;
  } catch (error) {
    if (id === sourceId()) ended(error.status, error.message);
  }
  draw("list");
}

/** Something new is known of the open request: its deliveries, mostly. */
async function refresh(id) {
  try {
    const view = await api.viewRequest(sourceId(), id);
    if (id === state.selected) Object.assign(state, { view });
    draw("detail");
  } catch {
    /* it stays as it was: a question of seconds, or it is gone */
  }
}

function ended(status, text = "") {
  stream?.close();
  closeFind();
  Object.assign(state, { link: "ended", loading: false, view: null, selected: null, opening: false });
  state.problem =
    status === 401 || status === 403
      ? {
          title: "You are logged out",
          text: "The preview's cookie has ended, or the admin token was changed.",
          name: "Log in",
          act: () => location.assign("login"),
        }
      : status === 404
        ? {
            title: "This session is over",
            text: "Sessions end after a while without a look, and when the server restarts.",
            name: "Start a new session",
            act: begin,
          }
        : {
            title: "The server cannot be reached",
            text: text || "It may be restarting.",
            name: "Try again",
            act: begin,
          };
  drawAll();
}

// -- theme and keys -------------------------------------------------------------------------------

function setTheme(theme) {
  state.theme = theme;
  if (theme === "system") {
    localStorage.removeItem(THEME);
    delete document.documentElement.dataset.theme;
  } else {
    localStorage.setItem(THEME, theme);
    document.documentElement.dataset.theme = theme;
  }
  draw("bar");
}

/** Whether one is open, and to be seen. */
const hasRequest = () => Boolean(state.view) && !state.find.isOpen;

function move(step) {
  const next = requests.neighbour(state.selected, step);
  if (!next) return;
  acts.select(next.id);
  list.reveal(next.id);
}

function stepTab(step) {
  if (!hasRequest()) return;
  const tabs = tabsOf(state).map(([name]) => name);
  acts.tab(tabs[(tabs.indexOf(state.tab) + step + tabs.length) % tabs.length]);
}

// -- the beginning --------------------------------------------------------------------------------

async function begin() {
  Object.assign(state, { loading: true, problem: null, link: "connecting" });
  drawAll();
  try {
    state.boot = await api.bootstrap();
    state.hasDraft = Boolean(state.boot.draft);
    await resumeSession();
    await follow();
  } catch (error) {
    ended(error.status ?? 0, error.message);
  }
}

const list = listView(place("list"), requests, acts);
setTheme(state.theme);
listenToKeys(acts, {
  move,
  stepTab,
  tabAt: (index) => acts.tab(tabsOf(state)[index][0]),
  hasRequest,
});
window.addEventListener("pagehide", () => stream?.close());
begin();
