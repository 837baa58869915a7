"""What a page in a browser has drawn, and what it tells the mouse."""

FIGURE = """
  const all = (view) => [view, ...[...(view.child_views ?? [])].flatMap(all)]
  const figures = [...Bokeh.index].flatMap(all).filter((view) => view.model.type == "Figure")
  const holds = (part) => part.data_source && want.column in part.data_source.data
  const view = figures.find((view) => view.model.renderers.some(holds))
"""

PLACE = f"""
(want) => {{
  // Where on the screen the point (want.x, want.y) lies in the figure that has a glyph with want.column.
  {FIGURE}
  const seen = view.el.getBoundingClientRect()
  if (seen.y < 0 || seen.bottom > innerHeight) view.el.scrollIntoView({{block: "center"}})
  const box = view.el.getBoundingClientRect()
  return [box.x + view.frame.x_scale.compute(want.x), box.y + view.frame.y_scale.compute(want.y)]
}}
"""

TOLD = """
() => {
  const inside = (node) => [...node.querySelectorAll("*")].flatMap(
    (e) => [e, ...(e.shadowRoot ? inside(e.shadowRoot) : [])]
  )
  return inside(document).filter((e) => e.classList?.contains("bk-tooltip-content")).map((e) => e.innerText).join(" ")
}
"""

DRAWN = """
() => {
  // For each canvas that a figure is painted on: how many different colours a 40 x 40 copy of it has.
  const inside = (node) => [...node.querySelectorAll("*")].flatMap(
    (e) => [e, ...(e.shadowRoot ? inside(e.shadowRoot) : [])]
  )
  return inside(document).filter((e) => e.tagName == "CANVAS" && e.width > 100).map((canvas) => {
    const small = Object.assign(document.createElement("canvas"), {width: 40, height: 40})
    small.getContext("2d").drawImage(canvas, 0, 0, 40, 40)
    return new Set(new Uint32Array(small.getContext("2d").getImageData(0, 0, 40, 40).data.buffer)).size
  })
}
"""


def told(tab, column: str, x, y) -> str:
    """What `tab` says where the mouse rests on the point (x, y) of the figure that has a glyph with `column`."""
    right, down = tab.evaluate(PLACE, {"column": column, "x": x, "y": y})
    tab.mouse.move(right - 3, down - 3)
    tab.mouse.move(right, down)
    tab.wait_for_timeout(200)
    return tab.evaluate(TOLD)
