// What the figures of a page do for who has no mouse, or a narrow window. BokehJS is there before.

const all = (view) => [view, ...[...(view.child_views ?? [])].flatMap(all)]
const figures = (view) => all(view).filter((one) => one.model.type == "Figure")
const inside = (one) => [one, ...[one, one.shadowRoot].flatMap((node) => [...(node?.children ?? [])].flatMap(inside))]

// A figure that has the focus pans by the arrow keys, zooms by + and -, and by 0 is as it was.
document.addEventListener("keydown", (event) => {
  const path = event.composedPath()
  if (event.ctrlKey || event.metaKey || event.altKey) return
  if (path.some((node) => node.getAttribute?.("role") == "slider" || node.tagName == "SELECT")) return
  const view = [...Bokeh.index].flatMap(figures).find((one) => path.includes(one.el))
  const way = {ArrowLeft: [-1, 0, 0], ArrowRight: [1, 0, 0], ArrowUp: [0, 1, 0], ArrowDown: [0, -1, 0],
    "+": [0, 0, 1], "=": [0, 0, 1], "-": [0, 0, -1]}[event.key]
  if (!view || (!way && event.key != "0")) return
  event.preventDefault()
  if (!way) return view.reset_range()
  for (const [range, step] of [[view.model.x_range, way[0]], [view.model.y_range, way[1]]]) {
    if (typeof range.start != "number" || range.factors) continue
    const long = range.end - range.start, grow = -0.1 * way[2] * long, move = 0.1 * step * long
    range.setv({start: range.start + move - grow, end: range.end + move + grow})
  }
})

// What Tab reaches says what it is: a control by its heading, a figure by its title and its keys, a tool by its name.
const tell = (root) => {
  for (const view of all(root)) {
    const title = view.model.title, place = view.canvas_view?.events_el
    if (view.model.type == "Figure" && place && !place.hasAttribute("role")) {
      const keys = "arrow keys pan, + and - zoom, 0 resets"
      const say = () => place.setAttribute("aria-label", `${title?.text || "Figure"}: ${keys}`)
      place.setAttribute("role", "application")
      title?.change.connect(say)
      say()
    }
    if (!/(Slider|Select)$/.test(view.model.type) || !title) continue
    for (const handle of view.shadow_el.querySelectorAll(".noUi-handle, select")) handle.setAttribute("aria-label", title)
  }
  for (const bar of inside(root.el).filter((one) => one.classList.contains("bk-Toolbar"))) {
    bar.setAttribute("role", "toolbar")
    bar.setAttribute("aria-label", "Tools of the figure")
    const say = () => {
      for (const tool of bar.shadowRoot.querySelectorAll("[title][tabindex]")) {
        tool.setAttribute("role", "button")
        tool.setAttribute("aria-label", [...new Set(tool.title.split("\n"))].join(", "))
        if (tool.classList.contains("bk-OnOffButton")) {
          tool.setAttribute("aria-pressed", tool.classList.contains("bk-active"))
        }
      }
    }
    new MutationObserver(say).observe(bar.shadowRoot, {childList: true, subtree: true, attributeFilter: ["class", "title"]})
    say()
  }
}

// In a window too narrow for them figures stand below each other, and what is wider still is made narrower.
const fit = async (root) => {
  const place = root.el.closest(".plot"), drawn = () => new Promise((done) => setTimeout(done, 50))
  if (!place) return
  if (root.model.type == "GridPlot" && root.el.scrollWidth > place.clientWidth) {
    root.model.children = root.model.children.map(([one], row) => [one, row, 0])
    await drawn()
  }
  const right = (one) => one.getBoundingClientRect().right
  const over = Math.ceil(Math.max(0, ...figures(root).map((view) => right(view.el))) - right(place))
  for (const {model} of figures(root)) {
    const wide = model.frame_width, tall = model.frame_height
    if (over <= 0 || !wide || wide - over < 120) continue
    const map = model.center.some((one) => one.type == "ScaleBar")  // whose scales stay equal
    model.setv({frame_width: wide - over, frame_height: map ? Math.round(tall * (wide - over) / wide) : tall})
  }
}

// Lists of glaciers and dates that select, in the source that others follow, what a click or a brush would.
const choose = (root) => {
  const place = root.el.closest(".plot")
  const led = (one) => one?.data.rgi_id && one.data.date && one.selected.js_property_callbacks["change:indices"]?.length
  const found = figures(root).flatMap((view) => view.model.renderers.map((one) => one.data_source)).filter(led)
  const source = found.sort((a, b) => b.data.date.length - a.data.date.length)[0]
  if (!place || !source) return
  const {rgi_id: glaciers, date} = source.data, dates = [...new Set(date)].sort()
  const names = [...new Set(glaciers)].sort((a, b) => (b == "region") - (a == "region") || a.localeCompare(b))
  const form = place.appendChild(document.createElement("form"))
  const list = (label, values) => {
    const select = document.createElement("select")
    select.setAttribute("aria-label", label)
    select.append(...values.map(([value, text]) => new Option(text ?? value, value)))
    if (values.length > 1) form.appendChild(document.createElement("label")).append(label, select)
    return select
  }
  form.className = "choices"
  const one = list("Glacier", [...(names.length > 1 ? [["", "all"]] : []), ...names.map((text) => [text])])
  const from = list("from", dates.map((text) => [text])), to = list("to", dates.map((text) => [text]))
  let own = false
  const show = (least, most) => { from.value = least ?? dates[0]; to.value = most ?? dates.at(-1) }
  const several = names.length > 1
  show()
  form.addEventListener("change", (event) => {
    if (from.value > to.value) (event.target == from ? to : from).value = event.target.value
    const who = several ? one.value : "", whole = !who && from.value == dates[0] && to.value == dates.at(-1)
    const holds = (row) => (!who || glaciers[row] == who) && from.value <= date[row] && date[row] <= to.value
    own = true
    source.selected.indices = whole ? [] : [...date.keys()].filter(holds)
    own = false
  })
  source.selected.change.connect(() => {
    if (own) return
    const rows = [...source.selected.indices], who = new Set(rows.map((row) => glaciers[row]))
    one.value = who.size == 1 || !several ? [...who][0] ?? one.options[0].value : ""
    show(...(rows.length ? [rows.map((row) => date[row]).sort()[0], rows.map((row) => date[row]).sort().at(-1)] : []))
  })
}

const dressed = new WeakSet()
const ready = async () => {
  for (const root of [...Bokeh.index].filter((one) => !dressed.has(one))) {
    dressed.add(root)
    tell(root)
    choose(root)
    await fit(root)
  }
}
