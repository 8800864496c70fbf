#!/usr/bin/env python3
"""Looks at report.html in a real browser: headless Chromium, as a phone (390 wide), a tablet and a desktop, light and dark, and printed.

    tools/report/check_report.py [--out DIR] [--chromium PROGRAM] RUN_DIRECTORY_OR_PAGE...

A page without results.json beside it is one of `glot report A B`.

Fails where the page asks for anything from outside, the console says something, a chart that results.json and metrics.jsonl (beside the page)
call for is missing or empty, anything is wider than the screen, letters are too small or too large to read, or dark is not dark. Pictures of the
whole page are left in --out, to be looked at.
"""
import argparse
import html
import json
import pathlib
import re
import subprocess
import sys
import tempfile

VIEWS = [("phone", 390, False), ("phone-dark", 390, True), ("tablet", 768, False), ("desktop", 1280, False), ("desktop-dark", 1280, True)]
OUTSIDE = re.compile(r"""<script|<link[^>]+stylesheet|@import|url\(|\bsrc\s*=|https?://""", re.I)

# What the page says of itself, measured in a frame as wide as the screen.
MEASURE = """
const frame = document.querySelector('iframe'), page = frame.contentDocument, win = frame.contentWindow, root = page.documentElement;
const light = color => { const [r, g, b] = color.match(/[\\d.]+/g).map(v => (v / 255) ** 2.2); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
const style = e => win.getComputedStyle(e), back = light(style(page.body).backgroundColor), words = [];
for (const e of page.querySelectorAll('p, td, h1, h2, figcaption'))
    words.push(contrast(light(style(e).color), back));
const result = {height: root.scrollHeight, wide: [], charts: {}, letters: [], back, contrast: Math.min(...words)};
if (root.scrollWidth > root.clientWidth)
    result.wide.push('page ' + root.scrollWidth);
for (const e of page.querySelectorAll('.scroll'))
    if (e.scrollWidth > e.clientWidth + 1)
        result.wide.push('table ' + e.scrollWidth + ' ' + e.textContent.slice(0, 40));
for (const f of page.querySelectorAll('figure')) {
    const svg = f.querySelector('svg'), box = svg.getBoundingClientRect();
    result.charts[f.dataset.chart] = {height: box.height, marks: svg.querySelectorAll('polyline, rect, circle').length};
    for (const t of svg.querySelectorAll('text')) {
        const r = t.getBoundingClientRect();
        result.letters.push(r.height);
        if (r.left < box.left - 8 || r.right > box.right + 8)
            result.wide.push('text of ' + f.dataset.chart + ': ' + t.textContent);
    }
}
document.getElementById('result').textContent = JSON.stringify(result);
"""


def browse(chromium, page, *flags):
    """Runs the browser without a network; what it printed, and what the console said."""
    command = [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr",
               "--host-resolver-rules=MAP * ~NOTFOUND", *flags, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def frame_page(folder, text, width, height, script=""):
    """A page that shows `text` in a frame of that size: a window cannot be as narrow as a phone."""
    path = folder / "frame.html"
    body = f'<iframe style="border:0;width:{width}px;height:{height}px" srcdoc="{html.escape(text)}"></iframe><pre id="result"></pre>'
    if script:
        body += f"<script>document.querySelector('iframe').onload = () => {{{script}}};</script>"
    path.write_text(f'<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><body style="margin:0">{body}')
    return path


def expected_charts(folder, text):
    """Charts that the run's files call for; where they are not beside the page, it compares runs, and a section of tasks has its chart."""
    if not (folder / "results.json").exists():
        return {"compare-scores", "train-ce"} | ({"compare-tasks"} if "Multiple choice</h2>" in text else set())
    r = json.loads((folder / "results.json").read_text())
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    has_choice = any(n > max(r.get("top_k", 1), 1) for n in r["experts"])
    charts = {"experts"}
    for phase in ("train", "review"):
        keys = {k for line in lines if line["phase"] == phase for k in line}
        charts |= {f"{phase}-{name}" for name, key in (("ce", "ce"), ("speed", "tokens_per_s"), ("lpr", "lpr")) if key in keys}
        charts |= {"train-balance"} if "balance" in keys and has_choice else set()
    if any(line["phase"] == "eval" and "step" in line for line in lines):
        charts.add("scores-on-the-way")
    if r.get("before", {}).get("text"):
        charts.add("scores")
    if r.get("before", {}).get("tasks"):
        charts.add("tasks")
    if "similarity" in r:
        charts |= {"similarity", "similarity-mean"}
    if r.get("routing"):
        charts.add("p-original")
        charts |= {f"share-{i}" for i, language in enumerate(r["languages"]) if has_choice and language["name"] in r["routing"]}
    return charts


def check_view(chromium, folder, text, view, expected):
    """Faults of one view, and its height."""
    name, width, is_dark = view
    dark = [f"--blink-settings=preferredColorScheme={0 if is_dark else 1}"]
    page = frame_page(folder, text, width, 900, MEASURE)
    dom, said = browse(chromium, page, *dark, f"--window-size={max(width, 500)},900", "--virtual-time-budget=5000", "--dump-dom")
    found = re.search(r'<pre id="result">(.*?)</pre>', dom, re.S)
    if not found or not found[1]:
        return [f"{name}: the page did not load"], 900
    m = json.loads(html.unescape(found[1]))
    faults = [f"{name}: console: {line}" for line in said]
    faults += [f"{name}: wider than the screen: {what}" for what in m["wide"]]
    faults += [f"{name}: no chart {chart}" for chart in sorted(expected - set(m["charts"]))]
    faults += [f"{name}: chart {c} is empty" for c, box in m["charts"].items() if box["height"] < 30 or box["marks"] == 0]
    if m["letters"] and (min(m["letters"]) < 10 or max(m["letters"]) > 26):
        faults.append(f"{name}: letters of charts are {min(m['letters']):.1f} to {max(m['letters']):.1f} px high, expected 10 to 26")
    if m["contrast"] < 4.5:
        faults.append(f"{name}: contrast of text is {m['contrast']:.2f}, expected 4.5 or more")
    if (m["back"] < 0.1) != is_dark:
        faults.append(f"{name}: brightness of the background is {m['back']:.2f}")
    return faults, m["height"]


def take_picture(chromium, folder, text, view, height, out):
    name, width, is_dark = view
    page = frame_page(folder, text, width, height)
    browse(chromium, page, f"--blink-settings=preferredColorScheme={0 if is_dark else 1}", f"--window-size={max(width, 500)},{height}",
           f"--screenshot={out}")


def check_print(chromium, page, out):
    """Printing gives paper, and light paper whatever the screen is."""
    _, said = browse(chromium, page, "--blink-settings=preferredColorScheme=0", "--no-pdf-header-footer", f"--print-to-pdf={out}")
    pages = out.read_bytes().count(b"/Type /Page\n") if out.exists() else 0
    return [f"print: console: {line}" for line in said] + ([] if pages else ["print: no pages"]), pages


def check(chromium, page, out):
    text = page.read_text(encoding="utf-8")
    faults = [f"asks for something outside: {m[0]}" for m in OUTSIDE.finditer(text.split("<pre>")[0])]
    expected = expected_charts(page.parent, text)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        for view in VIEWS:
            found, height = check_view(chromium, pathlib.Path(name), text, view, expected)
            take_picture(chromium, pathlib.Path(name), text, view, min(height, 16000), out / f"{view[0]}.png")
            faults += found
    found, pages = check_print(chromium, page, out / "print.pdf")
    faults += found
    print(f"{page}: {len(expected)} charts expected, {len(VIEWS)} views, {pages} pages printed, pictures in {out}: "
          f"{'good' if not faults else f'{len(faults)} faults'}")
    for fault in faults:
        print("  " + fault)
    return not faults


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("report-pictures"))
    parser.add_argument("--chromium", default="chromium")
    parser.add_argument("pages", nargs="+", type=pathlib.Path, metavar="RUN_DIRECTORY_OR_PAGE")
    args = parser.parse_args()
    pages = [(p / "report.html" if p.is_dir() else p).resolve() for p in args.pages]
    results = [check(args.chromium, page, args.out / f"{i}-{page.parent.name}" if len(pages) > 1 else args.out) for i, page in enumerate(pages)]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
