#!/usr/bin/env python3
"""Plants one violation of each rule in a small tree and expects tools/check_tree.py to find it, and nothing else."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# The smallest house: two rooms of the same floor, one below, one above.
FILES = {
    "config/error.h": "#pragma once\nstruct Error {};\n",
    "config/error.cc": '#include "config/error.h"\n',
    "throttle/gcra.h": '#pragma once\n#include "config/error.h"\nstruct Gcra {};\n',
    "throttle/gcra.cc": '#include "throttle/gcra.h"\n',
    "queue/job.h": "#pragma once\n#include <string>\nstruct Job {\n  std::string id;\n};\n",
    "queue/job.cc": '#include "queue/job.h"\n',
    "engine/dns/resolver.h": '#pragma once\n#include "queue/job.h"\nstruct Resolver {};\n',
    "engine/dns/resolver.cc": '#include "engine/dns/resolver.h"\n',
    "tests/queue/job_test.cc": '#include "queue/job.h"\n',
}


class CheckTree(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.tree = tempfile.mkdtemp(prefix="postrider-tree-")
        self.addCleanup(shutil.rmtree, self.tree)
        os.makedirs(os.path.join(self.tree, "tools"))
        shutil.copy(os.path.join(PROJECT, "tools", "check_tree.py"), os.path.join(self.tree, "tools"))
        subprocess.run(["git", "init", "-q", self.tree], check=True)
        for name, text in FILES.items():
            self.write(name, text)
        self.built = [name for name in FILES if name.endswith(".cc")]

    def write(self, name, text):
        path = os.path.join(self.tree, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def findings(self):
        """What the check prints, its last line aside; and its exit code must fit."""
        commands = os.path.join(self.tree, "compile_commands.json")
        with open(commands, "w", encoding="utf-8") as file:
            json.dump([{"directory": self.tree, "file": os.path.join(self.tree, name), "command": "c++"}
                       for name in self.built], file)
        result = subprocess.run([sys.executable, os.path.join(self.tree, "tools", "check_tree.py"), "--commands",
                                 commands], capture_output=True, text=True, check=False, timeout=120)
        self.assertEqual("", result.stderr)
        lines = result.stdout.splitlines()
        self.assertEqual(1 if lines[:-1] else 0, result.returncode)
        return lines[:-1]

    def expect_one(self, place, *words):
        found = self.findings()
        self.assertEqual(1, len(found), found)
        self.assertTrue(found[0].startswith(place + ": "), found)
        for word in words:
            self.assertIn(word, found[0])

    def test_an_orderly_tree_passes(self):
        self.assertEqual([], self.findings())

    def test_an_upward_include_is_found(self):
        self.write("queue/job.cc", '#include "queue/job.h"\n\n#include "engine/dns/resolver.h"\n')
        self.expect_one("queue/job.cc:3", "queue (floor 1)", "engine/dns (floor 2)")

    def test_a_sibling_include_is_found(self):
        self.write("throttle/gcra.cc", '#include "throttle/gcra.h"\n#include "queue/job.h"\n')
        self.expect_one("throttle/gcra.cc:2", "throttle (floor 1)", "queue (floor 1)")

    def test_a_test_that_includes_what_it_tests_is_no_violation(self):
        self.write("tests/queue/job_test.cc", '#include "queue/job.h"\n#include "engine/dns/resolver.h"\n')
        self.assertEqual([], self.findings())

    def test_a_product_file_that_includes_tests_is_found(self):
        self.write("tests/queue/fixture.h", "#pragma once\n")
        self.write("queue/job.cc", '#include "queue/job.h"\n#include "tests/queue/fixture.h"\n')
        self.expect_one("queue/job.cc:2", "tests (floor 6)")

    def test_a_third_party_header_away_from_its_home_is_found(self):
        for header, home in [("rocksdb/db.h", "queue"), ("liburing.h", "engine/io"), ("openssl/ssl.h", "engine/tls"),
                             ("ares.h", "engine/dns"), ("CLI/CLI.hpp", "tools"), ("prometheus/registry.h", "observe")]:
            with self.subTest(header):
                self.write("throttle/gcra.cc", f'#include "throttle/gcra.h"\n\n#include <{header}>\n')
                self.expect_one("throttle/gcra.cc:3", header, home)

    def test_a_header_that_does_not_compile_alone_is_found(self):
        self.write("queue/batch.h", "#pragma once\nstruct Batch {\n  std::string rows;\n};\n")
        self.expect_one("queue/batch.h:1", "does not compile alone")

    def test_a_header_is_compiled_again_once_what_it_includes_changed(self):
        self.write("queue/batch.h", '#pragma once\n#include "queue/job.h"\nstruct Batch {\n  Job job;\n};\n')
        self.assertEqual([], self.findings())
        self.assertEqual([], self.findings())
        self.write("queue/job.h", "#pragma once\n#include <string>\nstruct Work {\n  std::string id;\n};\n")
        self.expect_one("queue/batch.h:1", "does not compile alone", "Job")
        self.expect_one("queue/batch.h:1", "does not compile alone", "Job")
        self.write("queue/job.h", FILES["queue/job.h"])
        self.assertEqual([], self.findings())
        self.write("queue/batch.h", '#pragma once\n#include "queue/job.h"\nstruct Batch {\n  Jobs jobs;\n};\n')
        self.expect_one("queue/batch.h:1", "does not compile alone", "Jobs")

    def test_what_compiled_is_not_compiled_again(self):
        self.write("queue/batch.h", '#pragma once\n#include "queue/job.h"\nstruct Batch {\n  Job job;\n};\n')
        calls = os.path.join(self.tree, "calls")
        compiler = os.path.join(self.tree, "compiler")
        self.write("compiler", f'#!/bin/sh\n[ "$1" = --version ] || echo "$@" >> {calls}\nexec g++ "$@"\n')
        os.chmod(compiler, 0o755)

        def compiled():
            if os.path.exists(calls):
                os.remove(calls)
            subprocess.run([sys.executable, os.path.join(self.tree, "tools", "check_tree.py"), "--compiler", compiler,
                            "--memory", os.path.join(self.tree, "memory.json")], capture_output=True, check=True,
                           timeout=120)
            if not os.path.exists(calls):
                return 0
            with open(calls, encoding="utf-8") as file:
                return len(file.readlines())

        self.assertEqual(1, compiled())
        self.assertEqual(0, compiled())
        for nonsense in ["", "{", "[]", '{"key": 1}', '{"key": [], "files": 7, "headers": {"a": [9]}}']:
            self.write("memory.json", nonsense)
            self.assertEqual(1, compiled(), nonsense)

    def test_a_header_without_its_guard_is_found(self):
        self.write("queue/batch.h", "struct Batch {};\n")
        self.expect_one("queue/batch.h:1", "#pragma once")

    def test_a_source_file_left_out_of_the_build_is_found(self):
        self.write("queue/forgotten.cc", '#include "queue/job.h"\n')
        self.expect_one("queue/forgotten.cc:1", "not part of the build")

    def test_a_long_line_is_found(self):
        self.write("queue/job.cc", '#include "queue/job.h"\n' + "// " + "x" * 117 + "\n// " + "y" * 118 + "\n")
        self.expect_one("queue/job.cc:3", "121 columns")

    def test_an_include_that_does_not_start_at_the_root_is_found(self):
        self.write("queue/job.cc", '#include "job.h"\n')
        found = self.findings()
        self.assertTrue(any(line.startswith("queue/job.cc:1: ") and "repository root" in line for line in found), found)

    def test_a_file_in_no_folder_of_the_house_is_found(self):
        self.write("attic/old.h", "#pragma once\n")
        self.expect_one("attic/old.h:1", "no folder of the house")


if __name__ == "__main__":
    unittest.main(verbosity=2)
