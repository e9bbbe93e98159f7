"""cmake --install puts the program and what operators are to take from it where it says."""

import os
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("POSTRIDER_BUILD", os.path.join(ROOT, "build", "release"))
SHARED = {
    "share/postrider/prometheus/alerts.yml": "engine/observe/prometheus/alerts.yml",
    "share/postrider/grafana/postrider.json": "engine/observe/grafana/postrider.json",
}


class Install(unittest.TestCase):
    def test_puts_program_alert_rules_and_dashboard_below_the_prefix(self):
        with tempfile.TemporaryDirectory() as prefix:
            subprocess.run(["cmake", "--install", BUILD, "--prefix", prefix], check=True, capture_output=True)
            said = subprocess.run([os.path.join(prefix, "bin", "postrider"), "--version"], check=True,
                                  capture_output=True, text=True)
            self.assertRegex(said.stdout, r"^postrider \d")
            for installed, source in SHARED.items():
                with open(os.path.join(prefix, installed), "rb") as file, open(os.path.join(ROOT, source), "rb") as own:
                    self.assertEqual(own.read(), file.read(), installed)


if __name__ == "__main__":
    unittest.main()
