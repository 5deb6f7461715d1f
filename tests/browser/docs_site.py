#!/usr/bin/env python3
"""Opens a generated docs site in headless Chromium from file:// and uses it as a reader would.

    docs_site.py SITE_FOLDER SCREENSHOT_FOLDER [MODEL]

Clicks from the overview to a model, reads its columns, switches to its compiled code, follows its lineage graph, searches,
and opens the whole graph. Fails on any console error. Needs Debian's `chromium` and `chromium-driver`; speaks the WebDriver
protocol (W3C) over loopback with Python's standard library alone.
"""
import base64
import json
import pathlib
import socket
import subprocess
import sys
import time
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
CHROME = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
          "--disable-background-networking", "--disable-component-update", "--window-size=1400,1000", "--force-color-profile=srgb"]


class Browser:
    """One WebDriver session."""

    def __init__(self, port):
        self.base = f"http://127.0.0.1:{port}"
        options = {"args": CHROME, "binary": "/usr/bin/chromium"}
        always = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self.base += "/session/" + self.call("POST", "/session", {"capabilities": {"alwaysMatch": always}})["sessionId"]

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{method} {path}: {error.read().decode()[:600]}")

    def open(self, url):
        self.call("POST", "/url", {"url": url})

    def find(self, css):
        return self.call("POST", "/element", {"using": "css selector", "value": css})[ELEMENT]

    def all(self, css):
        return [e[ELEMENT] for e in self.call("POST", "/elements", {"using": "css selector", "value": css})]

    def click(self, css):
        self.call("POST", f"/element/{self.find(css)}/click", {})

    def text(self, css):
        return self.call("GET", f"/element/{self.find(css)}/text")

    def type(self, css, text):
        self.call("POST", f"/element/{self.find(css)}/value", {"text": text})

    def screenshot(self, path):
        path.write_bytes(base64.b64decode(self.call("GET", "/screenshot")))

    def console_errors(self):
        return [e["message"] for e in self.call("POST", "/se/log", {"type": "browser"}) if e["level"] == "SEVERE"]


def expect(condition, what):
    if not condition:
        raise SystemExit(f"FAILED: {what}")
    print(f"ok: {what}")


def visit(browser, site, shots, model):
    browser.open((site / "index.html").resolve().as_uri())
    expect(browser.all("section table tbody tr"), "the overview lists resources")
    browser.screenshot(shots / "overview.png")

    browser.call("POST", "/execute/sync", {"script": "document.querySelectorAll('aside details').forEach(d => d.open = true)", "args": []})
    browser.click(f"aside a[href$='.{model}.html']")
    expect(model in browser.text("h1"), f"a click in the menu opens {model}")
    expect(len(browser.all("#columns tbody tr")) > 0, "its columns are shown")
    expect(browser.text("#columns tbody tr td:nth-child(2)") != "", "with their types")
    browser.screenshot(shots / "model.png")

    expect("ref(" in browser.text("[data-panel=source]") or "source(" in browser.text("[data-panel=source]"), "the source code is shown")
    browser.click("[data-tab=compiled]")
    compiled = browser.text("[data-panel=compiled]")
    expect("select" in compiled.lower() and "ref(" not in compiled, "a click shows the compiled code")
    expect(len(browser.all("#code .k")) > 0, "the code is coloured")

    expect(len(browser.all("#lineage .box")) > 1, "its lineage is drawn")
    browser.click("#lineage .box:not(.focus)")
    expect(browser.all("#lineage .box.focus"), "a click in the lineage opens the neighbour")

    browser.type("#search", model)
    expect(model in browser.text("#results a"), "the search finds the model")
    browser.click("#results a")
    expect(model in browser.text("h1"), "and leads to it")

    browser.click("nav a[href$='graph.html']")
    expect(len(browser.all(".lineage .box")) > 5, "the whole graph is drawn")
    browser.screenshot(shots / "graph.png")
    errors = browser.console_errors()
    expect(not errors, f"no console error {errors or ''}")


def main():
    site, shots = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    model = sys.argv[3] if len(sys.argv) > 3 else "fct_sales"
    shots.mkdir(parents=True, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    driver = subprocess.Popen(["chromedriver", f"--port={port}", "--allowed-ips=127.0.0.1"], stdout=subprocess.DEVNULL)
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port), 0.2).close()
                break
            except OSError:
                time.sleep(0.1)
        browser = Browser(port)
        visit(browser, site, shots, model)
        browser.call("DELETE", "")
    finally:
        driver.terminate()
        driver.wait()


if __name__ == "__main__":
    main()
