"""A real headless browser for the tests of pages: what it fetched, what it complained of, what it shows."""

import base64
import contextlib
import json
import os
import shutil

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def missing():
    """Say what is not installed, or return None where a browser can be driven."""
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "the package selenium is not installed (it comes with the extra 'test')"
    if not any(map(shutil.which, BROWSERS)):
        return "no Chromium here (Debian: apt-get install chromium chromium-driver)"
    if not shutil.which("chromedriver"):
        return "no chromedriver here (Debian: apt-get install chromium-driver)"
    return None


class Browser:
    """Chromium behind a few verbs."""

    def __init__(self):
        from selenium.webdriver import Chrome, ChromeOptions, ChromeService

        options = ChromeOptions()
        options.binary_location = next(filter(None, map(shutil.which, BROWSERS)))
        for argument in ("--headless=new", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run"):
            options.add_argument(argument)
        if os.geteuid() == 0:
            options.add_argument("--no-sandbox")  # Chromium refuses to run as root otherwise
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = Chrome(options=options, service=ChromeService(shutil.which("chromedriver")))
        self.requests = []

    def open(self, path, width=1280, height=900, dark=False):
        """Show a page from a file in a window of a size, in light or dark."""
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.cdp("Emulation.setEmulatedMedia", features=[scheme])
        self.driver.get_log("performance"), self.driver.get_log("browser")
        self.driver.get(path.resolve().as_uri())

    def cdp(self, command, **arguments):
        return self.driver.execute_cdp_cmd(command, arguments)

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def complaints(self):
        """Messages of the console since the page was opened."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def fetched(self):
        """Addresses asked for since the page was opened."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]

    def press(self, *keys):
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def picture(self, path):
        """Write the whole page as a PNG."""
        data = self.cdp("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))

    def close(self):
        with contextlib.suppress(OSError):
            self.driver.quit()
