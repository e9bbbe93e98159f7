"""A real Prometheus scrapes the running daemon, promtool finds nothing to complain about in what it says, and the alert
rules and the dashboard that we ship ask for nothing that is not there."""

import json
import os
import re
import urllib.parse
import urllib.request

import addresses
import campaigns
import sending
from jail import Jail
from sending import loopback

CONFIG = """\
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: postrider
    static_configs:
      - targets: ["{target}"]
"""
ROUTE = """\
[[route]]
match = "*"
hosts = ["{address}:{port}"]
allow_private = true
"""


SHIPPED = os.path.join(sending.PROJECT, "engine", "observe")
METRIC = re.compile(r"\b(?:postrider|process)_[a-z0-9_]+\b")


def dashboard_expressions():
    """Every expression of the dashboard, as it is asked once its variables are filled in."""
    with open(os.path.join(SHIPPED, "grafana", "postrider.json"), encoding="utf-8") as file:
        dashboard = json.load(file)
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    expressions += [annotation["expr"] for annotation in dashboard["annotations"]["list"]]
    filled = [expression.replace("$__rate_interval", "5m").replace("$instance", ".*").replace("$receiver", ".*")
              for expression in expressions]
    variables = [variable["definition"] for variable in dashboard["templating"]["list"] if "definition" in variable]
    return filled, variables


class Prometheus(Jail):
    def __init__(self, directory, target):
        super().__init__("prometheus", directory)
        self.address = addresses.fresh()
        self.port = addresses.free_port(self.address)
        self.write("etc/prometheus.yml", CONFIG.format(target=target))
        self.make("var/data")
        self.start("/usr/bin/prometheus", "--config.file=/etc/prometheus.yml", "--storage.tsdb.path=/var/data",
                   f"--web.listen-address={self.address}:{self.port}")
        loopback.wait_for("prometheus", self.is_ready, self.process)

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"http://{self.address}:{self.port}/-/ready", timeout=10) as answer:
                return answer.status == 200
        except OSError:
            return False

    def query(self, expression):
        """Labels (sorted pairs) -> value, of an instant query."""
        url = f"http://{self.address}:{self.port}/api/v1/query?query={urllib.parse.quote(expression)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            result = json.load(answer)["data"]["result"]
        return {tuple(sorted(one["metric"].items())): float(one["value"][1]) for one in result}

    def value(self, expression):
        return next(iter(self.query(expression).values()), None)


class Scraping(sending.InteropCase):
    @classmethod
    def prepare(cls):
        address = addresses.fresh()
        sink = cls.started(loopback.Sink(sending.POSTRIDER, cls.directory, ["--listen", f"{address}:0"]))
        cls.sender = cls.start_sender(ROUTE.format(address=address, port=sink.ports()[address]))
        campaign = campaigns.all_campaigns(["one.test", "two.test"])[0]
        cls.sent = len(campaign.rows)
        cls.sender.submit(campaign.write(cls.directory))
        cls.sender.wait_until_sent(cls.sent)
        cls.prometheus = cls.started(Prometheus(cls.directory, cls.sender.admin))
        loopback.wait_for("a scrape that tells of all deliveries",
                          lambda: cls.prometheus.value("sum(postrider_delivered_total)") == cls.sent,
                          cls.prometheus.process, seconds=20, step=0.2)

    def test_the_target_is_up_and_scraped_without_a_sample_lost(self):
        self.assertEqual(1, self.prometheus.value("up"))
        exposed = [line for line in self.sender.ask("GET", "/metrics").splitlines() if not line.startswith("#")]
        self.assertAlmostEqual(len(exposed), self.prometheus.value("scrape_samples_scraped"), delta=20)

    def test_both_conservation_equations_hold_in_prometheus(self):
        self.assertEqual(self.sent, self.prometheus.value("sum(postrider_accepted_total)"))
        self.assertEqual({0.0}, set(self.prometheus.query("postrider_conservation_intake_difference").values()))
        self.assertEqual({0.0}, set(self.prometheus.query("postrider_conservation_queue_difference").values()))

    def test_every_name_is_ours_and_histograms_answer_quantiles(self):
        names = {dict(labels)["__name__"] for labels in self.prometheus.query('{job="postrider"}')}
        # Those of the process are named alike in all programs; Prometheus makes the last two kinds itself.
        known = ("postrider_", "process_", "scrape_", "up")
        self.assertEqual([], [name for name in names if not name.startswith(known)])
        buckets = [name for name in names if name.endswith("_bucket")]
        self.assertTrue(buckets)
        for name in buckets:
            self.assertTrue(self.prometheus.query(f"histogram_quantile(0.99, sum by (le) ({name}))"), name)

    def test_the_alert_rules_pass_promtools_check_and_their_own_tests(self):
        for source in (os.path.join(SHIPPED, "prometheus", "alerts.yml"), os.path.join(sending.HERE, "alert_cases.yml")):
            with open(source, encoding="utf-8") as file:
                self.prometheus.write(f"etc/rules/{os.path.basename(source)}", file.read())
        self.assertIn("SUCCESS", self.prometheus.run("/usr/bin/promtool", "check", "rules", "/etc/rules/alerts.yml"))
        self.assertIn("SUCCESS", self.prometheus.run("/usr/bin/promtool", "test", "rules", "/etc/rules/alert_cases.yml"))

    def test_every_expression_of_the_dashboard_is_valid(self):
        expressions, _ = dashboard_expressions()
        self.assertGreater(len(expressions), 50)
        self.assertEqual([], [expression for expression in expressions if "$" in expression])
        rules = [{"record": f"dashboard:{number}", "expr": expression} for number, expression in enumerate(expressions)]
        # JSON is YAML.
        self.prometheus.write("etc/rules/dashboard.yml", json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
        said = self.prometheus.run("/usr/bin/promtool", "check", "rules", "/etc/rules/dashboard.yml")
        self.assertIn(f"{len(rules)} rules found", said)

    def test_alerts_and_dashboard_ask_for_nothing_that_is_not_on_the_page(self):
        page = self.sender.ask("GET", "/metrics")
        types = dict(line.split()[2:4] for line in page.splitlines() if line.startswith("# TYPE "))
        known = set(types) | {name + suffix for name, kind in types.items() if kind == "histogram"
                              for suffix in ("_bucket", "_sum", "_count")}
        with open(os.path.join(SHIPPED, "prometheus", "alerts.yml"), encoding="utf-8") as file:
            alerts = file.read()
        expressions, variables = dashboard_expressions()
        for source, texts in (("alerts.yml", [alerts]), ("postrider.json", expressions + variables)):
            asked = {name for text in texts for name in METRIC.findall(text)}
            self.assertGreater(len(asked), 15, source)
            self.assertEqual(set(), asked - known, source)
        # Values of labels that are always exposed.
        for name in ("postrider_paths", "postrider_guards"):
            for label, operator, value in re.findall(name + r'\{[^}]*?\b(mode|state|guard)(=~?|!=)"([^"]*)"', alerts):
                for one in value.split("|"):
                    self.assertIn(f'{label}="{one}"', page, (name, operator))

    def test_promtool_has_no_complaint(self):
        metrics = self.sender.ask("GET", "/metrics").encode()
        self.assertEqual("", self.prometheus.run("/usr/bin/promtool", "check", "metrics", stdin=metrics).strip())


if __name__ == "__main__":
    sending.main()
